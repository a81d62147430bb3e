"""Phones beside characters, from asr-train to a bundle that asr-transcribe reads."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from speech import SMALL, WORDS, write_conf, write_tones
from test_resume import RANDOM, Run, assert_same, stopped
from tiny_lstm import tiny_model

import asr
from asr.checkpoint import load_acoustic_model, load_checkpoint
from asr.cli import adapt, align, evaluate, export, lm, train, transcribe
from asr.decode import DecoderConfig, save_settings
from asr.lexicon import Lexicon, Pronunciations
from asr.lm import LmVocabulary, LstmArrays
from asr.manifest import read_manifest
from asr.text import Normalizer

LEXICON = "a EY1\na(2) AH0\nb B IY1\nc S IY1\n"
QUICK = {  # learns the tones in 20 epochs
    **SMALL,
    "model": {**SMALL["model"], "layers": 1, "hidden": 48},
    "data": {"batch_s": 3.0, "max_utterance_s": 3.0},
    "augment": {"speeds": [1.0], "time_masks": 0, "freq_masks": 1},
    "train": {**SMALL["train"], "consistency": 0.2, "epochs": 20, "ema_decay": 0.8},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones, a lexicon, and text of the same words."""
    folder = tmp_path_factory.mktemp("phones")
    write_tones(folder / "tones", 24)
    write_conf(folder, QUICK)
    (folder / "lexicon.txt").write_text(LEXICON)
    rng = np.random.default_rng(0)
    lines = (" ".join(rng.choice(list(WORDS), rng.integers(1, 5))) for _ in range(200))
    (folder / "text").write_text("\n".join(lines))
    return folder


def asr_train(folder: Path, out: Path, *more: str) -> int:
    tones = str(folder / "tones" / "tones.jsonl")
    words = [str(folder / "small.toml"), "--train", tones, "--valid", tones]
    return train.main([*words, "--out", str(out), *more])


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """An experiment that has learned phones, and a language model in its folder."""
    out = folder / "exp"
    assert asr_train(folder, out, "--lexicon", str(folder / "lexicon.txt")) == 0
    assert (
        lm.main(["train", str(folder / "text"), "--order", "2", "--out", str(out / "lm.bin")]) == 0
    )
    return out


@pytest.fixture
def experiment(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, which a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "exp"))


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said, which must end in one line of error."""
    *before, last = capsys.readouterr().err.splitlines()
    assert "error: " in last
    assert not any("Traceback" in line for line in before)
    return last


def test_phones_are_kept_with_the_model(trained: Path, folder: Path):
    assert (trained / "phones.txt").read_text() == "<blank>\nAH\nB\nEY\nIY\nS\n"
    assert (trained / "tokens.txt").read_text() == "<blank>\n<space>\nA\nB\nC\n"
    model, _ = load_acoustic_model(trained)
    assert model.phone_output is not None
    assert model.phone_output.weight.shape == (6, 96)
    given = Pronunciations.read(folder / "lexicon.txt", Normalizer())
    kept = Pronunciations.load(trained)
    assert kept.phones == given.phones
    assert {word: kept.lexicon.of(word) for word in WORDS} == {
        word: given.lexicon.of(word) for word in WORDS
    }


def test_resume_goes_on_to_the_bit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    write_tones(tmp_path / "tones", 24)
    write_conf(tmp_path, {**SMALL, **RANDOM})
    lexicon = ("--lexicon", str(folder / "lexicon.txt"))
    more = ("train.consistency=0.2", "train.phone_weight=0.7", "train.epochs=2")
    whole, killed = (
        Run(tmp_path, "whole", *more, *lexicon),
        Run(tmp_path, "killed", *more, *lexicon),
    )
    assert train.main(whole.words) == 0
    stopped(killed, monkeypatch, "step", 4)
    assert train.main([word for word in killed.words if word not in lexicon]) == 0  # it is there
    assert "from step 3 in epoch 1" in capsys.readouterr().err
    assert_same(whole.out, killed.out)
    assert "phone_output.weight" in load_checkpoint(whole.out / "last").tensors["model"]
    for name in ("phones.txt", "lexicon.npz"):
        assert (whole.out / name).read_bytes() == (killed.out / name).read_bytes()


def error_rate(model: Path, folder: Path, out: Path, capsys, *more: str) -> float:
    words = [str(model), str(folder / "tones" / "tones.jsonl"), "--out", str(out), "--json"]
    assert evaluate.main([*words, *more]) == 0
    return float(json.loads(capsys.readouterr().out)["wer"])


def exchange(model: Path) -> None:
    """Say A as B and B as A from now on."""
    spoken = Pronunciations.load(model)
    other = {"A": "B", "B": "A"}
    words = tuple(other.get(word, word) for word in spoken.lexicon.words)
    lexicon = Lexicon(words, spoken.lexicon.word, spoken.lexicon.tokens)
    Pronunciations(spoken.phones, lexicon).save(model)


def test_evaluation_reads_phones_where_a_language_model_lies(
    experiment: Path, folder: Path, tmp_path: Path, capsys
):
    def rates() -> list[float]:
        readings = ((), ("--unit", "tokens"), ("--decoder", "greedy"))
        return [error_rate(experiment, folder, tmp_path, capsys, *more) for more in readings]

    before = rates()
    assert max(before) <= 0.1
    exchange(experiment)
    after = rates()
    assert after[0] > 0.4  # nothing else depends on how words are said
    assert after[1:] == before[1:]
    (experiment / "lm.bin").unlink()
    assert error_rate(experiment, folder, tmp_path, capsys) == before[2]
    assert error_rate(experiment, folder, tmp_path, capsys, "--unit", "phones") > 0.4


def test_weights_are_tuned_for_phones(experiment: Path, folder: Path, tmp_path: Path, capsys):
    tuned = error_rate(experiment, folder, tmp_path, capsys, "--tune")
    assert tuned <= 0.1
    assert (experiment / "decoder.json").exists()
    assert (experiment / "calibration.json").exists()
    assert error_rate(experiment, folder, tmp_path, capsys) == tuned


def texts_of(model: Path, folder: Path, capsys, *more: str) -> list[str]:
    recordings = [str(u.audio) for u in read_manifest(folder / "tones" / "tones.jsonl")[:5]]
    assert transcribe.main([*recordings, "--model", str(model), "--workers", "1", *more]) == 0
    return [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()]


def test_a_bundle_reads_phones_too(experiment: Path, folder: Path, tmp_path: Path, capsys):
    bundle = tmp_path / "bundle"
    assert export.main([str(experiment), str(bundle)]) == 0
    files = json.loads((bundle / "bundle.json").read_text())["files"]
    assert {"phones.txt", "lexicon.npz", "lm.bin"} <= files.keys()
    utterances = read_manifest(folder / "tones" / "tones.jsonl")[:5]
    capsys.readouterr()
    texts = texts_of(bundle, folder, capsys)
    assert sum(text != u.text for text, u in zip(texts, utterances, strict=True)) <= 1
    assert texts == texts_of(experiment, folder, capsys)

    recognizer = asr.load_model(bundle)
    assert "IY" in recognizer.acoustics.vocabulary.tokens
    found = recognizer.transcribe(utterances[0].audio, words=True)
    assert found.text == texts[0]
    assert [word.word for word in found.words] == texts[0].split()
    times = [time for word in found.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[-1] <= found.duration

    exchange(experiment)
    assert export.main([str(experiment), str(bundle)]) == 0
    swapped = [text.translate(str.maketrans("AB", "BA")) for text in texts]
    assert texts_of(bundle, folder, capsys) == swapped != texts
    assert texts_of(bundle, folder, capsys, "--unit", "tokens") != swapped

    (bundle / "lexicon.npz").unlink()
    assert transcribe.main([str(utterances[0].audio), "--model", str(bundle)]) == 1
    assert "lexicon.npz: cannot be read" in complaint(capsys)


def test_an_lstm_in_the_folder_rescores(experiment: Path, folder: Path, tmp_path: Path, capsys):
    plain = texts_of(experiment, folder, capsys)
    words = LmVocabulary(("</s>", "<unk>", "A", "B", "C"), "word")
    LstmArrays.of(tiny_model(len(words)), words).save(experiment / "lstm.npz")
    save_settings(experiment, DecoderConfig(rescore_weight=50.0))
    texts = texts_of(experiment, folder, capsys)
    assert sum(map(len, texts)) < sum(map(len, plain))  # it loves few words
    assert texts_of(experiment, folder, capsys, "--set", "rescore_weight=0") == plain
    own = ("--lm", str(experiment / "lm.bin"))  # an LSTM of other texts has no say then
    assert texts_of(experiment, folder, capsys, *own) == plain
    also = ("--rescore", str(experiment / "lstm.npz"))
    assert texts_of(experiment, folder, capsys, *own, *also) == texts

    bundle = tmp_path / "bundle"
    assert export.main([str(experiment), str(bundle)]) == 0
    assert "lstm.npz" in json.loads((bundle / "bundle.json").read_text())["files"]
    capsys.readouterr()
    assert texts_of(bundle, folder, capsys) == texts
    recording = read_manifest(folder / "tones" / "tones.jsonl")[0].audio
    found = asr.load_model(bundle).transcribe(recording, words=True)
    assert found.text == " ".join(word.word for word in found.words) == texts[0]
    (experiment / "lstm.npz").write_bytes(b"")
    assert transcribe.main([str(recording), "--model", str(experiment)]) == 1
    assert "lstm.npz: not an LSTM language model" in complaint(capsys)


def test_a_damaged_lexicon_is_not_exported(experiment: Path, tmp_path: Path, capsys):
    (experiment / "lexicon.npz").write_bytes(b"damaged")
    assert export.main([str(experiment), str(tmp_path / "bundle")]) == 2
    assert "lexicon.npz: not a lexicon of a model" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_model_begins_with_the_phones_of_another(trained: Path, folder: Path, tmp_path, capsys):
    more = ("--init", str(trained), "train.epochs=1")
    assert asr_train(folder, tmp_path / "same", *more) == 0
    assert "all 5 tokens kept; phones: all 6 tokens kept" in capsys.readouterr().err
    (tmp_path / "other.txt").write_text("a EY\nb B IY\nc K\n")
    assert asr_train(folder, tmp_path / "new", *more, "--lexicon", str(tmp_path / "other.txt")) == 0
    said = capsys.readouterr().err
    assert "phones: 4 tokens kept, 1 start fresh: 'K'" in said
    assert "teach no phones" not in said
    assert (tmp_path / "new" / "phones.txt").read_text() == "<blank>\nB\nEY\nIY\nK\n"


@pytest.mark.parametrize(
    ("lexicon", "message"),
    [
        ("a EY\nb B IY\n", "16 of 24 utterances teach no phones: the lexicon lacks 1 of their "),
        ("zoo Z UW\n", "24 of 24 utterances teach no phones: the lexicon lacks 3 of their "),
    ],
)
def test_words_without_a_pronunciation_are_told(
    folder: Path, tmp_path: Path, capsys, lexicon: str, message: str
):
    (tmp_path / "lexicon.txt").write_text(lexicon)
    more = ("--lexicon", str(tmp_path / "lexicon.txt"), "train.epochs=1")
    assert asr_train(folder, tmp_path / "exp", *more) == 0
    assert message in capsys.readouterr().err
    last = json.loads((tmp_path / "exp" / "log.jsonl").read_text().splitlines()[-1])
    assert np.isfinite(last["train_loss"])


def test_words_that_the_lexicon_lacks_are_guessed(folder: Path, tmp_path: Path, capsys):
    """From its other words: here each letter is always one phone."""
    (tmp_path / "lexicon.txt").write_text("a EY\nb B\nac EY S\nbc B S\nca S EY\ncb S B\n")
    more = ("--lexicon", str(tmp_path / "lexicon.txt"), "train.epochs=1")
    assert asr_train(folder, tmp_path / "exp", *more) == 0
    said = capsys.readouterr().err
    assert "the lexicon lacks 1 word of the transcripts; guessed: C S (" in said
    assert "teach no phones" not in said
    kept = Pronunciations.load(tmp_path / "exp").entries()
    assert len(kept) == 7 and kept["C"] == [("S",)] and kept["CA"] == [("S", "EY")]
    assert asr_train(folder, tmp_path / "exp", *more, "--resume", "train.epochs=2") == 0
    assert "guessed" not in capsys.readouterr().err  # the experiment has them


def test_pronunciations_of_some_words_go_before_those_of_a_model(
    trained: Path, folder: Path, tmp_path: Path, capsys
):
    (tmp_path / "names.txt").write_text("c IY S\nd B\n")
    more = ("--init", str(trained), "train.epochs=1", "--lexicon", str(tmp_path / "names.txt"))
    assert asr_train(folder, tmp_path / "exp", *more, "--lexicon", str(trained)) == 0
    assert "phones: all 6 tokens kept" in capsys.readouterr().err
    kept = Pronunciations.load(tmp_path / "exp").entries()
    assert kept == {"A": [("EY",), ("AH",)], "B": [("B", "IY")], "C": [("IY", "S")], "D": [("B",)]}
    (tmp_path / "names.txt").write_text("c K\n")
    assert asr_train(folder, tmp_path / "other", *more, "--lexicon", str(trained)) == 2
    said = complaint(capsys)
    assert "names.txt: C has the phone 'K'; allowed: the phones of the last --lexicon" in said
    assert said.endswith("AH B EY IY S")


def test_adaptation_takes_pronunciations(trained: Path, folder: Path, tmp_path: Path, capsys):
    write_tones(tmp_path / "tones", 100)
    (tmp_path / "names.txt").write_text("c IY S\n")
    tones, new = str(tmp_path / "tones" / "tones.jsonl"), tmp_path / "me"
    words = [str(trained), tones, "--out", str(new), "--lexicon", str(tmp_path / "names.txt")]
    assert adapt.main([*words, "train.epochs=1", "data.batch_s=3", "data.max_utterance_s=3"]) == 0
    kept = Pronunciations.load(new / "adaptation" / "exp").entries()
    assert kept["C"] == [("IY", "S")] and kept["B"] == [("B", "IY")]
    assert "teach no phones" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "lexicon.txt: cannot be read"),
        ("", "lexicon.txt: no word in it"),
        ("a\n", "lexicon.txt: line 1: a has no phones"),
        ("... D AA T\n", "lexicon.txt: no dictionary to learn phones from"),
    ],
)
def test_lexicons_that_cannot_be_learned_from(
    folder: Path, tmp_path: Path, capsys, content: str | None, message: str
):
    path = tmp_path / "lexicon.txt"
    if content is not None:
        path.write_text(content)
    assert asr_train(folder, tmp_path / "exp", "--lexicon", str(path)) == 1
    assert message in complaint(capsys)
    assert not (tmp_path / "exp").exists()


def test_an_out_folder_that_cannot_be_made(folder: Path, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("in the way")
    more = ("--lexicon", str(folder / "lexicon.txt"))
    assert asr_train(folder, tmp_path / "file", *more) == 1
    assert "file/" in complaint(capsys)


def test_phones_are_not_left_from_a_run_that_learned_them(folder: Path, tmp_path: Path):
    """Such as one that was stopped before its first checkpoint."""
    out = tmp_path / "exp"
    Pronunciations.read(folder / "lexicon.txt", Normalizer()).save(out)
    assert asr_train(folder, out, "train.epochs=1") == 0
    assert load_acoustic_model(out)[0].phone_output is None


@pytest.mark.parametrize("option", ["--unit", "--lexicon"])
def test_what_a_model_without_phones_is_asked(folder: Path, tmp_path: Path, capsys, option: str):
    out, recording = tmp_path / "exp", folder / "tones" / "0.wav"
    assert asr_train(folder, out, "train.epochs=1") == 0
    words = [str(recording), "--model", str(out), "--unit", "phones"]
    if option == "--lexicon":
        words += ["--lexicon", str(folder / "lexicon.txt")]
    assert transcribe.main(words) == 1
    assert "the model has no output over phones; use --unit tokens" in complaint(capsys)


def test_alignment_is_of_the_characters(trained: Path, folder: Path, tmp_path: Path):
    manifest = folder / "tones" / "tones.jsonl"
    words = [str(trained), str(manifest), "--out", str(tmp_path), "--format", "ctm"]
    assert align.main(words) == 0
    lines = (tmp_path / "alignment.ctm").read_text().splitlines()
    spoken = [word for utterance in read_manifest(manifest) for word in utterance.text.split()]
    assert sorted(line.split()[4] for line in lines) == sorted(spoken)
