"""recipes/english: modern.py, spoken.py, voices.py and noisy.py, the programs that make data."""

import csv
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from folders import ROOT
from speech import RATE_HZ, level_db, utter

from asr.audio import read_audio
from asr.manifest import Utterance, read_manifest, write_manifest

PROGRAM = Path(__file__).parents[2] / "recipes" / "english" / "modern.py"

PAGE = """---
title: "No sentence of the header. None."
---
# A heading without an end

Dr. Lee wrote [the page](https://example.org/page) again. It&rsquo;s *short*, e.g. this sentence!

- The first item of a list is a sentence.
- no end here

```
A program. It is left out.
```

{{< image alt="A template. It is left out." >}} Read https://example.org for the rest.
"""
BOOK = """<document><metadata><title>Of a book. It is left out.</title></metadata>
<para id="1">A market has <term>buyers</term> and sellers. Prices change <m:math><m:mi>p</m:mi>
</m:math> often.</para><table><para id="2">A cell. It is left out.</para></table>
<list><item>Goods &amp; services are traded.</item></list></document>"""
DIALOGUE = [{"utterances": [{"text": "one large tea please"}, {"text": "Is that all?"}]}]
STAR = {
    "Events": [
        {"Action": "instruct", "Agent": "UserGuide", "Text": "Order a lift. It is left out."},
        {"Action": "utter", "Agent": "User", "Text": "Hello! i need a lift"},
        {"Action": "pick_suggestion", "Agent": "Wizard", "Text": "Where to?"},
        {"Action": "query", "Agent": "Wizard"},
    ]
}
CLINC = {
    "train": [["set a timer for me", "timer"]],
    "val": [["what's the time?", "time"]],
    "oos_train": [["who won the cup", "oos"]],
    "test": [["a test is left out", "time"]],
}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def with_what_is_missing(folder: Path) -> str:
    """Make the folders of clones that the program says are missing; return what it says."""
    command = [sys.executable, str(PROGRAM), str(folder)]
    lacking = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert lacking.returncode == 1
    for name in lacking.stderr.split("lacks ")[1].split(";")[0].split(", "):
        (folder / name).mkdir()
    return lacking.stderr


def test_sentences_without_their_markup(tmp_path: Path):
    write(tmp_path / "digitalgov.gov/content/a/page.md", PAGE)
    write(tmp_path / "osbooks-introduction-business/modules/m1/index.cnxml", BOOK)
    lists = tmp_path / "voice-web" / "server" / "data" / "en"
    write(lists / "list.txt", "What changed?\nWhat changed?\n1/2 = 5 %.\n")
    write(lists / "large.txt", "A sentence of a large file.\n" * 150_000)
    write(tmp_path / "Taskmaster/TM-4-2024/data/data_00.json", json.dumps(DIALOGUE))
    write(tmp_path / "STAR/dialogues/1.json", json.dumps(STAR))
    write(tmp_path / "oos-eval/data/data_full.json", json.dumps(CLINC))
    write(tmp_path / "slurp/dataset/lm/lm.txt", "dim the lights\nok\n")
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    assert "lacks 18f.gsa.gov, osbooks-college-success-bundle" in with_what_is_missing(tmp_path)
    found = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert found.stdout.splitlines() == [
        "A market has buyers and sellers.",
        "Dim the lights.",
        "Dr. Lee wrote the page again.",
        "Goods & services are traded.",
        "Hello! i need a lift.",
        "Is that all?",
        "It\N{RIGHT SINGLE QUOTATION MARK}s short, e.g. this sentence!",
        "One large tea please.",
        "Prices change often.",
        "Set a timer for me.",
        "The first item of a list is a sentence.",
        "What changed?",
        "What's the time?",
        "Where to?",
        "Who won the cup.",
    ]


def test_a_damaged_dialogue_is_named(tmp_path: Path):
    write(tmp_path / "Taskmaster/TM-4-2024/data/data_00.json", '[{"utterances": [{"text": 3}]}]')
    with_what_is_missing(tmp_path)
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    damaged = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert damaged.returncode == 1
    assert "data_00.json: no list of dialogues" in damaged.stderr
    assert damaged.stdout == ""


SPOKEN = PROGRAM.with_name("spoken.py")


def test_numbers_are_said_in_words_and_names_in_letters():
    speaker = runpy.run_path(str(SPOKEN))["Speaker"](["Ellen"], seed=2)
    said = [speaker.sentence() for _ in range(3000)]
    assert all(re.fullmatch(r"[A-Z][a-zA-Z', ]*[.?]", sentence) for sentence in said)
    assert len(set(said)) > 2000
    assert any("e l l e n" in sentence for sentence in said)
    assert any("e double l e n" in sentence for sentence in said)
    digits = set(speaker.digits(1000).split()) | {"oh", "zero"}
    for _ in range(100):
        words = speaker.telephone().replace(",", "").split()
        assert digits.issuperset(words)
        assert len(words) in (7, 8, 10, 11)


def test_names_to_spell_are_those_of_a_text(tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("When he saw Ellen, Ellen saw Bob.\n" * 5)
    program = runpy.run_path(str(SPOKEN))
    assert program["names_in"](text.read_text()) == ["Bob", "Ellen"]
    text.write_text("When he saw Ellen.\n")
    command = [sys.executable, str(SPOKEN), str(text)]
    lacking = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert lacking.returncode == 1
    assert "text.txt: no name is used 5 times; give sentences with capitals" in lacking.stderr
    text.write_bytes(b"\xff\xfe")
    for path in (text, tmp_path / "missing.txt"):
        command = [sys.executable, str(SPOKEN), str(path)]
        unread = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert unread.returncode == 1
        assert len(unread.stderr.splitlines()) == 1
        assert f"{path}: cannot be read" in unread.stderr


SETS = ("voices", "orders", "numbers", "an4")


def rows_of_voices() -> list[list[str]]:
    table = PROGRAM.with_name("voices.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in table.splitlines()]


def write_clones(folder: Path, *, without: str = "") -> None:
    """Empty recordings, and AN4's words, as its two files have them."""
    said = {
        "etc/an4_train.transcription": "<s> GO </s> ({})",
        "etc/an4_test.transcription": "STOP ({})",
    }
    lines = {name: "" for name in said}
    for repository, name, _, part, _ in rows_of_voices():
        if repository != without:
            write(folder / repository.split("/")[1] / name, "")
        if repository == "cmusphinx/an4":
            file = "etc/an4_test.transcription" if part == "an4" else "etc/an4_train.transcription"
            lines[file] += said[file].format(Path(name).stem) + "\n"
    for name, text in lines.items():
        write(folder / "an4" / name, text)


def list_voices(clones: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM.with_name("voices.py")), str(clones), str(out)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_voices_become_lists(tmp_path: Path):
    write_clones(tmp_path / "clones")
    assert list_voices(tmp_path / "clones", tmp_path / "out").returncode == 0
    for part in SETS:
        lines = (tmp_path / "out" / part / "metadata.csv").read_text(encoding="utf-8").splitlines()
        found = list(csv.DictReader(lines))
        an4 = "STOP" if part == "an4" else "GO"
        assert [(one["speaker"], one["text"]) for one in found] == [
            (speaker, words or an4) for _, _, speaker, of, words in rows_of_voices() if of == part
        ]
        assert all(Path(one["audio"]).is_file() for one in found)
        assert {*found[0]} == {"audio", "speaker", "text"}


def test_voices_that_are_not_there_are_counted(tmp_path: Path):
    write_clones(tmp_path, without="yl4579/StarGANv2-VC")
    lacking = list_voices(tmp_path, tmp_path / "out")
    assert lacking.returncode == 1
    assert lacking.stderr.endswith("lacks 10 files of yl4579/StarGANv2-VC; clone what is missing\n")
    assert not (tmp_path / "out").exists()
    (tmp_path / "an4" / "etc" / "an4_test.transcription").unlink()
    assert (
        "130 files of cmusphinx/an4, 10 files of" in list_voices(tmp_path, tmp_path / "out").stderr
    )


def test_what_could_be_put_together_to_persons_is_not_in_the_table():
    """The words of AN4 are names, addresses and birth dates; no recording is listed twice."""
    assert not any(words for repository, *_, words in rows_of_voices() if "an4" in repository)
    places = [(repository, name) for repository, name, *_ in rows_of_voices()]
    assert len(set(places)) == len(places) == 2522


def test_no_name_is_both_trained_and_judged_on():
    speakers = {part: {row[2] for row in rows_of_voices() if row[3] == part} for part in SETS}
    assert [len(speakers[part]) for part in SETS] == [488, 6, 10, 10]
    assert not speakers["voices"] & set.union(*(speakers[part] for part in SETS[1:]))
    test_clean = "121 260 1188 1580 1995 2300 4507 5105 5142 8455"
    dev_clean = "84 251 652 1272 1673 1988 2035 2086 2412 2803"
    assert not speakers["voices"] & set(f"{test_clean} {dev_clean}".split())


def make_noisy(folder: Path, seed: int) -> list[Utterance]:
    """Run noisy.py on twelve recordings of tones, with rain and a cat; return the copies."""
    rng = np.random.default_rng(1)
    utterances = []
    for number in range(12):
        audio, speech = folder / f"{number}.wav", utter("A B C", rng)
        soundfile.write(audio, speech, RATE_HZ)
        duration = len(speech) / RATE_HZ
        utterances.append(Utterance(id=str(number), audio=audio, duration=duration, text="A B C"))
    write_manifest(folder / "clear.jsonl", utterances)
    for name, rms in (("rain-heavy-rain.wav", 0.1), ("animals-cat.wav", 0.02), ("alarm.wav", 0.9)):
        (folder / "noises").mkdir(exist_ok=True)
        noise = np.clip(rms * rng.standard_normal(RATE_HZ), -1, 1)
        soundfile.write(folder / "noises" / name, noise, RATE_HZ)
    out = folder / f"noisy-{seed}"
    command = [PROGRAM.with_name("noisy.py"), folder / "clear.jsonl", folder / "noises", out, seed]
    paths = {"PYTHONPATH": f"{ROOT / 'scripts' / 'bench'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=os.environ | paths,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{out}: 12 copies\n"), done.stderr
    return read_manifest(out / "noisy.jsonl")


def test_noisy_copies_have_noise_as_told(tmp_path: Path):
    copies = make_noisy(tmp_path, 1)
    assert [copy.id for copy in copies] == [str(number) for number in range(12)]
    ratios_db = []
    for copy in copies:
        noisy = read_audio(copy.audio, sample_rate_hz=16_000).waveform
        clear = read_audio(tmp_path / f"{copy.id}.wav", sample_rate_hz=16_000).waveform
        assert len(noisy) == len(clear)
        share = noisy @ clear / (clear @ clear)  # how loud the speech still is
        ratios_db.append(level_db(share * clear) - level_db(noisy - share * clear))
        assert 0.05 < share < 1.1
    assert -1 < min(ratios_db) < max(ratios_db) < 17
    assert max(ratios_db) - min(ratios_db) > 4


def test_noisy_copies_are_those_of_their_seed(tmp_path: Path):
    first, other = (make_noisy(tmp_path, seed)[0].audio.read_bytes() for seed in (1, 2))
    again = make_noisy(tmp_path, 1)[0].audio.read_bytes()
    assert first == again != other
