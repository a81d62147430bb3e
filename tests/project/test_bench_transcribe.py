import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from folders import ENGLISH, ROOT, SAMPLES

from asr.config import TextConfig
from asr.errors import AsrError, AudioError, ConfigError

BENCH = ROOT / "scripts" / "bench"
FAKE = """
class Decoder:
    def __init__(self, samprate):
        assert samprate == 16000
    def start_utt(self):
        self.seconds = 0.0
    def process_raw(self, samples, full_utt):
        self.seconds += len(samples) / 2 / 16000 if full_utt else 0.0
    def end_utt(self):
        pass
    def hyp(self):
        words = "one two three".split()[: round(self.seconds)]
        return type("Hyp", (), {"hypstr": " ".join(words)}) if words else None
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCH)


@pytest.fixture
def bench() -> ModuleType:
    import transcribe

    return transcribe


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Recordings of 1, 2 and 3 seconds, of which a fake peer makes as many words."""
    rng = np.random.default_rng(0)
    lines = []
    for seconds, text in ((1, "One."), (2, "one Two"), (3, "one two four")):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, rng.uniform(-0.1, 0.1, 16_000 * seconds), 16_000)
        record = {"id": text, "audio": path.name, "start": 0, "duration": seconds, "text": text}
        lines.append(json.dumps(record | {"speaker": "a"}) + "\n")
    (tmp_path / "m.jsonl").write_text("".join(lines))
    return tmp_path / "m.jsonl"


def script(path: Path, command: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python of an environment with a fake peer."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "pocketsphinx.py").write_text(FAKE)
    metadata = tmp_path / "fake" / "pocketsphinx-9.8.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: pocketsphinx\nVersion: 9.8\n")
    return script(
        tmp_path / "bin" / "python", f'PYTHONPATH={tmp_path}/fake exec {sys.executable} "$@"'
    )


def test_help_needs_neither_peers_nor_data():
    shown = subprocess.run(
        [sys.executable, BENCH / "transcribe.py", "--help"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert "--hours" in shown.stdout


def test_wall_time_cpu_and_memory_are_those_of_the_command():
    from recognisers import timed

    code = "import time; time.sleep(0.2); x = b'x' * 300_000_000; print('a'); print('b')"
    printed, usage = timed([sys.executable, "-c", code])
    assert printed == "a\nb"
    assert usage.wall_s > 0.2
    assert 0 < usage.cpu_s < usage.wall_s
    assert 300 < usage.peak_mb < 340


def test_the_memory_of_who_measures_does_not_count():
    from recognisers import timed

    large = b"x" * 300_000_000
    assert timed(["true"])[1].peak_mb < 50
    assert len(large) == 300_000_000


def test_a_command_that_fails_is_named():
    from recognisers import timed

    with pytest.raises(AsrError, match=r"python.*: status 3: because$"):
        timed([sys.executable, "-c", "import sys; print('because', file=sys.stderr); sys.exit(3)"])


def test_recordings_are_what_the_manifest_says(manifest: Path, tmp_path: Path):
    from recordings import gather, join

    found = gather([str(manifest)], tmp_path / "wavs")
    assert found.seconds == [1.0, 2.0, 3.0]
    assert found.references == ["One.", "one Two", "one two four"]
    assert found.speakers == ["a"] * 3
    assert found.audio_s == 6.0
    assert found.short == 2
    samples, rate_hz = soundfile.read(found.wavs[1], dtype="int16")
    assert rate_hz == 16_000
    assert np.array_equal(samples, soundfile.read(tmp_path / "2.wav", dtype="int16")[0])
    join(found, 8.5 / 3600, tmp_path / "long.wav")
    joined = soundfile.read(tmp_path / "long.wav", dtype="int16")[0]
    parts = [soundfile.read(wav, dtype="int16")[0] for wav in found.wavs]
    assert np.array_equal(joined, np.concatenate([*parts, *parts])[: int(8.5 * 16_000)])


def test_recordings_without_texts_have_no_references(manifest: Path, tmp_path: Path):
    from recordings import gather

    found = gather([str(manifest.with_name("2.wav"))], tmp_path / "wavs")
    assert (found.seconds, found.references) == ([2.0], ())
    with pytest.raises(ConfigError, match=r"m\.jsonl is a manifest; give it alone"):
        gather([str(manifest), "a.wav"], tmp_path / "wavs")
    with pytest.raises(AudioError, match=r"missing\.wav"):
        gather([str(tmp_path / "missing.wav")], tmp_path / "wavs")


@pytest.mark.parametrize("system", ["asr-greedy", "asr-beam"])
def test_ours_hears_what_the_package_hears(system: str):
    import listener

    from asr.inference import open_acoustics
    from asr.recognize import Recognizer, load_model

    wav = SAMPLES / "quickstart.flac"
    found = listener.answer(system, ENGLISH, [wav, wav])
    recognizer = load_model(ENGLISH)
    if system == "asr-greedy":
        recognizer = Recognizer(open_acoustics(ENGLISH))
    assert found["texts"] == [recognizer.transcribe(wav).spoken] * 2
    assert all(seconds > 0 for seconds in found["cpu_s"])
    assert found["versions"]["numpy"] == np.__version__


def test_a_contest_with_a_fake_peer(
    bench: ModuleType, manifest: Path, python: Path, tmp_path: Path
):
    from recognisers import Entrant
    from recordings import gather

    recordings = gather([str(manifest)], tmp_path / "wavs")
    peer = Entrant(python, "pocketsphinx", tmp_path)
    entrants = {"pocketsphinx": peer, "asr absent": replace(peer, python=Path(sys.executable))}
    ours = script(tmp_path / "bin" / "asr-transcribe", f'echo "$*" >>{tmp_path}/started')
    command = (ours, "--model", "m")
    report = bench.measure(entrants, command, recordings, TextConfig(), rounds=2)
    sphinx = report["pocketsphinx"]
    assert (sphinx["errors"], sphinx["words"]) == (1, 6)
    assert sphinx["wer"] == pytest.approx(1 / 6)
    assert sphinx["real_time_factor"] == pytest.approx(np.median(sphinx["rounds_s"]) / 6)
    assert len(sphinx["rounds_s"]) == 2
    assert "No module named 'pocketsphinx'" in report["asr absent"]["not_available"]
    assert report["versions"] == {"pocketsphinx": "9.8"}
    assert report["audio_s"] == 6.0
    short = recordings.wavs[2]
    started = (tmp_path / "started").read_text().splitlines()
    assert started == [f"--model m {short}", f"--model m --decoder greedy {short}"] * 2
    assert report["cold_start_s"].keys() == report["peak_memory_mb"].keys()

    bench.add_long_recording(report, command, recordings, 0.002)
    assert report["long_recording"]["hours"] == 0.002
    report["installed_mb"] = {"asr": 300.4, "pocketsphinx": 40.0}
    text = "\n".join(bench.lines(report))
    assert "pocketsphinx  16.67     1/6" in text
    assert "asr-transcribe, 0.002 h" in text
    assert "asr absent: not available (ModuleNotFoundError" in text
    assert "installed: asr 300 MB, pocketsphinx 40 MB" in text
    assert text.endswith("pocketsphinx 9.8")


def test_without_references_there_are_no_errors(bench: ModuleType, tmp_path: Path):
    from contest import Measured
    from recordings import Recordings

    recordings = Recordings(wavs=[tmp_path / "0.wav"], seconds=[4.0])
    found = bench.figures("a", Measured(["text"], [1.0, 9.0, 2.0]), recordings, TextConfig())
    assert found == {
        "real_time_factor": 0.5,
        "times_real_time": 2.0,
        "rounds_s": [1.0, 9.0, 2.0],
    }


def test_installers_do_not_count(tmp_path: Path):
    from recognisers import size_mb

    for name, size in (("pip/a.py", 10), ("numpy/b.so", 2_000_000), ("six.py", 500_000)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    assert size_mb(tmp_path) == 2.5


def test_a_model_must_be_an_int8_bundle(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert bench.main(["a.wav", "--model", str(tmp_path)]) == 1
    assert f"{tmp_path}/bundle.json: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [("--hours", "-1", "0 to 24"), ("--hours", "nan", "0 to 24"), ("--rounds", "0", "1 or more")],
)
def test_absurd_options_are_refused(
    bench: ModuleType, capsys: pytest.CaptureFixture[str], option: str, value: str, allowed: str
):
    with pytest.raises(SystemExit, match="2"):
        bench.main(["a.wav", option, value])
    assert f"'{value}'; allowed: {allowed}" in capsys.readouterr().err
