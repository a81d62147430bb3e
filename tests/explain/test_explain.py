"""asr-explain: its arrays against those computed apart, and each mistake in one line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from folders import ENGLISH, ROOT, SAMPLES
from networks import MODELS, write_experiment

from asr._install import install
from asr.checkpoint import load_acoustic_model
from asr.cli import explain
from asr.decode import Hypothesis, forced_alignment
from asr.explain.words import alternatives
from asr.lexicon import Pronunciations

SPEECH = SAMPLES / "quickstart.flac"
TEXT = (SAMPLES / "quickstart.txt").read_text().strip()
SOUND, RATE_HZ = soundfile.read(SPEECH, dtype="float32")
BYTES_OF_TEN_S = 8_000_000


def arrays_of(tmp_path: Path, *options: object) -> dict[str, np.ndarray]:
    path = tmp_path / "arrays.npz"
    assert explain.main([str(SPEECH), "--json", str(path), *map(str, options)]) == 0
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return arrays_of(tmp_path_factory.mktemp("english"))


def test_arrays_are_those_of_the_model(english: dict[str, np.ndarray]):
    model, _ = load_acoustic_model(ENGLISH)
    samples, count = torch.tensor(SOUND)[None], torch.tensor([len(SOUND)])
    with torch.no_grad():
        log_mel, frames = model.frontend.log_mel(samples, count)
        features = model.frontend.from_log_mel(log_mel, frames)
        (_, phones), _ = model.outputs(features, frames)
    np.testing.assert_array_equal(english["waveform"], SOUND)
    np.testing.assert_allclose(english["log_mel"], log_mel[0], atol=1e-5)
    np.testing.assert_allclose(english["features"], features[0], atol=1e-4)
    np.testing.assert_allclose(np.exp(english["log_probs"]), phones[0].exp(), atol=1e-5)
    np.testing.assert_array_equal(english["best_path"], phones[0].argmax(dim=1))
    assert english["layer3.backward.forget_gate"].shape == (len(phones[0]), 256)
    assert english["reach0.norms"].shape[1] == len(features[0])


def test_the_text_and_its_path_are_what_was_said(english: dict[str, np.ndarray]):
    assert str(english["text"]).lower() == TEXT.lower()
    assert " ".join(english["words"]).lower() == TEXT.lower()
    starts, ends = english["word_times"].T
    assert (starts < ends).all() and (ends[:-1] <= starts[1:] + 1e-9).all()
    path = english["tokens"][english["forced_path"]].tolist()
    kept = [now for before, now in zip(["", *path], path, strict=False) if now != before]
    assert "".join(token for token in kept if token != "<blank>").startswith("HHIYSEHDDHAETHHIY")


def test_the_recognised_text_when_given_has_its_path(
    tmp_path: Path, english: dict[str, np.ndarray]
):
    assert not [name for name in english if name.startswith("known")]
    found = arrays_of(tmp_path, "--text", TEXT)
    np.testing.assert_array_equal(found["known_path"], english["forced_path"])
    np.testing.assert_allclose(found["known_word_times"], english["word_times"])
    assert found["known_words"].tolist() == english["words"].tolist()
    assert found["known_log_prob"] == found["best_log_prob"]


def test_another_text_has_the_path_that_writes_it(tmp_path: Path, english: dict[str, np.ndarray]):
    found = arrays_of(tmp_path, "--text", "He said that, she was Brzkt")
    assert str(found["known_text"]) == "HE SAID THAT SHE WAS BRZKT"
    path, log_probs = found["known_path"], english["log_probs"]
    written = english["tokens"][path].tolist()
    kept = [now for before, now in zip(["", *written], written, strict=False) if now != before]
    phones = "".join(token for token in kept if token != "<blank>")
    assert phones.startswith("HHIYSEHDDHAETSHIYW")  # the last word's are guessed
    probability = log_probs[np.arange(len(path)), path].sum(dtype=np.float64)
    assert float(found["known_log_prob"]) == pytest.approx(probability, abs=1e-3)
    assert found["known_log_prob"] < found["best_log_prob"] - 5


def test_of_two_pronunciations_the_one_that_fits_is_taken(
    tmp_path: Path, english: dict[str, np.ndarray]
):
    """In the recording, 'the' before 'house' is DH AH; beside it, the lexicon has DH IY."""
    lexicon = Pronunciations.load(ENGLISH).lexicon
    assert len(lexicon.of("THE")) > 1
    best = -np.inf
    before, after = TEXT.upper().split("THE HOUSE")
    for way in lexicon.of("THE"):
        ids = [lexicon.of(word)[0] for word in before.split()] + [way]
        ids += [lexicon.of(word)[0] for word in ("HOUSE", *after.split())]
        tokens = [token for spelled in ids for token in spelled]
        best = max(best, forced_alignment(english["log_probs"], tokens).log_prob)
    assert float(arrays_of(tmp_path, "--text", TEXT)["known_log_prob"]) >= best - 1e-6


def test_a_text_in_characters(tmp_path: Path):
    model = write_experiment(tmp_path / "exp", MODELS["lstm"])
    found = arrays_of(tmp_path, "--model", model, "--text", "bad cab")
    path = found["tokens"][found["known_path"]].tolist()
    kept = [now for before, now in zip(["", *path], path, strict=False) if now != before]
    assert "".join(token for token in kept if token != "<blank>") == "BAD CAB"
    assert found["known_words"].tolist() == ["BAD", "CAB"]


def test_a_piece_and_other_models(tmp_path: Path):
    models = [write_experiment(tmp_path / name, MODELS[name]) for name in ("lstm", "gru", "rnn")]
    found = arrays_of(
        tmp_path, "--model", models[0], "--against", *models[1:], "--start", 0.5, "--end", 2
    )
    assert len(found["waveform"]) == 1.5 * RATE_HZ
    assert float(found["start"]) == 0.5
    assert [str(found[f"reach{i}.model"]) for i in range(3)] == ["lstm", "gru", "rnn"]
    assert found["reach1.norms"].shape == found["reach0.norms"].shape
    assert found["reach1.norms"].shape[1] == 151
    assert len(found["reach1.norms"]) >= 12
    later = np.arange(151) >= 3 * (found["reach2.frames"][:, None] + 1)
    assert not found["reach2.norms"][later].any()  # it reads forward only
    assert found["reach1.norms"][later].any()


def test_page_and_arrays_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model = write_experiment(tmp_path / "exp", MODELS["gru"])
    page, arrays = tmp_path / "p.html", tmp_path / "a.npz"
    options = ["--model", str(model), "--out", str(page), "--json", str(arrays)]
    assert explain.main([str(SPEECH), *options]) == 0
    assert capsys.readouterr().out == f"{page}\n{arrays}\n"
    assert page.read_text().startswith("<!doctype html>")
    assert "layer1.forward.hidden_state" in np.load(arrays)


def test_without_out_the_page_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = write_experiment(tmp_path / "exp", MODELS["lstm"])
    monkeypatch.chdir(tmp_path)
    assert explain.main([str(SPEECH), "--model", str(model)]) == 0
    assert Path("quickstart-explained.html").stat().st_size < BYTES_OF_TEN_S


def test_ten_seconds_fit_into_8_megabytes(tmp_path: Path):
    long = tmp_path / "long.wav"
    soundfile.write(long, np.tile(SOUND, 4)[: 10 * RATE_HZ], RATE_HZ)
    page = tmp_path / "long.html"
    assert explain.main([str(long), "--out", str(page)]) == 0
    assert 3_000_000 < page.stat().st_size < BYTES_OF_TEN_S


@pytest.mark.parametrize("seconds", [0.001, 2.0])
def test_silence_has_no_words(tmp_path: Path, seconds: float):
    model = write_experiment(tmp_path / "exp", MODELS["lstm"])
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, np.zeros(round(seconds * RATE_HZ)), RATE_HZ)
    for options in ([], ["--model", str(model)]):
        assert explain.main([str(quiet), "--out", str(tmp_path / "p.html"), *options]) == 0


# --- mistakes -------------------------------------------------------------------------------------


def complaint(capsys: pytest.CaptureFixture[str], status: int, *words: object) -> str:
    """Run the command; return the one line that it complains with."""
    assert explain.main(list(map(str, words))) == status
    printed, complained = capsys.readouterr()
    assert not printed
    assert complained.count("\n") == 1
    return complained


def test_a_model_without_torch_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("bundle.json", "model.onnx", "tokens.txt", "phones.txt"):
        (tmp_path / name).symlink_to(ENGLISH / name)
    said = complaint(capsys, 1, SPEECH, "--model", tmp_path)
    assert f"{tmp_path}: has no best/" in said and "exported from" in said
    said = complaint(capsys, 1, SPEECH, "--against", tmp_path)
    assert f"{tmp_path}: has no best/" in said


def test_no_model_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "holds no model" in complaint(capsys, 1, SPEECH, "--model", tmp_path)
    missing = tmp_path / "none"
    assert f"--model {missing}: does" in complaint(capsys, 2, SPEECH, "--model", missing)
    assert f"--against {missing}: does" in complaint(capsys, 2, SPEECH, "--against", missing)


def test_recordings_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    broken, empty, none = (tmp_path / name for name in ("broken.wav", "empty.wav", "none.wav"))
    broken.write_bytes(b"no sound at all")
    soundfile.write(empty, np.zeros(0), RATE_HZ)
    for path in (broken, empty, none):
        assert str(path) in complaint(capsys, 1, path, "--out", tmp_path / "p.html")
        assert not (tmp_path / "p.html").exists()


def test_an_hour_needs_start_and_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    hour = tmp_path / "hour.wav"
    with soundfile.SoundFile(hour, "w", 8000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * 8000, np.int16))
    said = complaint(capsys, 1, hour)
    assert str(hour) in said and "3600 s" in said and "--start and --end" in said
    assert "--start and --end" in complaint(capsys, 1, hour, "--start", 10, "--end", 80)
    assert "lasts 3600.00 s" in complaint(capsys, 1, hour, "--start", 3590, "--end", 3640)
    model = write_experiment(tmp_path / "exp", MODELS["rnn"])
    options = ["--model", model, "--start", 3598, "--out", tmp_path / "p.html"]
    assert explain.main(list(map(str, (hour, *options)))) == 0


@pytest.mark.parametrize(("start", "end"), [("2", "1"), ("1", "1"), ("-1", "1"), ("nan", "2")])
def test_no_piece(start: str, end: str, capsys: pytest.CaptureFixture[str]):
    said = complaint(capsys, 2, SPEECH, f"--start={start}", "--end", end)
    assert "0 <= start < end" in said


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "holds no word; give the words"),
        ("... !", "holds no word; give the words"),
        ("bad é你", "not in the vocabulary"),
        ("bad " * 40, "the text needs 159 frames, the recording has 105"),
    ],
)
def test_texts_that_cannot_be_aligned(
    text: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    model = write_experiment(tmp_path / "exp", MODELS["lstm"])
    words = [SPEECH, "--model", model, "--out", tmp_path / "p.html", "--text", text]
    said = complaint(capsys, 1, *words)
    assert "--text '" in said and named in said
    assert len(said) < 300
    assert not (tmp_path / "p.html").exists()


def test_a_word_that_nobody_can_pronounce(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert explain.main([str(SPEECH), "--json", str(tmp_path / "a.npz"), "--text", "жжж"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("'ЖЖЖ': its pronunciation cannot be guessed; leave the word out")


@pytest.mark.parametrize("option", ["--out", "--json"])
def test_a_place_that_cannot_be_written(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    said = complaint(capsys, 2, SPEECH, option, tmp_path)
    assert f"{option} {tmp_path}: cannot be written" in said


def test_without_torch_it_says_how_to_install_it():
    code = (
        "import sys; sys.modules['torch'] = None; from asr.cli.explain import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, str(SPEECH)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "torch" in done.stderr and install("train") in done.stderr


# --- alternatives ---------------------------------------------------------------------------------


def hypothesis(text: str, score: float) -> Hypothesis:
    return Hypothesis(tuple(text.split()), (), (), score, score)


def test_alternatives_are_weighted_by_their_hypotheses():
    nbest = [
        hypothesis("a b c", np.log(0.5)),
        hypothesis("a x c", np.log(0.25)),
        hypothesis("a x", np.log(0.125)),
        hypothesis("a b c d", np.log(0.125)),
    ]
    first, second, third = alternatives(nbest)
    assert first == ()
    assert [(word, pytest.approx(share)) for word, share in second] == [("x", 0.375)]
    assert [(word, pytest.approx(share)) for word, share in third] == [("", 0.125)]
