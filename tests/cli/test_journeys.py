"""The paths that the guides promise, in small: from a table to text, another language, adaptation.

The commands are those of docs/train.md, docs/languages.md and docs/adapt.md. Words are tones, so
that a small network learns them in seconds; the settings behind --out make it small.
"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech import RATE_HZ, tone

from asr._folders import find_model
from asr.cli.adapt import keep_better
from asr.cli.umbrella import main
from asr.config import PRESETS, load_config
from asr.decode import Calibration, save_calibration
from asr.manifest import read_manifest
from asr.scoring import System, score_system
from asr.training import plan_training, preset_for

NETWORK = [
    *("features.sample_rate_hz=8000", "features.num_mels=16", "features.num_ceps=13"),
    *("features.deltas=0", "model.layers=1", "model.hidden=48", "model.dropout=0.0"),
    "model.conv_channels=0",
]
LEARNING = [
    *("augment.speeds=[1.0]", "augment.freq_warp=0.0", "augment.time_masks=0"),
    *("augment.freq_masks=0", "augment.noise_prob=0.0", "augment.band_limit_prob=0.0"),
    *("augment.reverb_prob=0.0", "data.batch_s=3", "data.max_utterance_s=3"),
    *("train.learning_rate=0.02", "train.warmup_steps=5", "train.ema_decay=0.8"),
    "train.processes=1",
]
SMALL = NETWORK + LEARNING
TONES = (400.0, 900.0, 2000.0)  # Hz


def write_table(folder: Path, words: list[str], count: int, pitch: float = 1.0) -> Path:
    """Write recordings of random words, and a table of them; return the table's path."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(words[0]))
    rows = []
    for number in range(count):
        said = rng.integers(0, len(words), rng.integers(2, 5)).tolist()
        pieces = [np.zeros(round(0.12 * RATE_HZ), np.float32)]
        for word in said:
            pieces += [tone(pitch * TONES[word], rng.uniform(0.12, 0.2)), pieces[0]]
        waveform = np.concatenate(pieces)
        waveform += (1e-3 * rng.standard_normal(len(waveform))).astype(np.float32)
        soundfile.write(folder / f"{number}.wav", waveform, RATE_HZ)
        rows.append((f"{number}.wav", f"{' '.join(words[word] for word in said)}!".capitalize()))
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "sentence"), *rows])
    return folder / "metadata.csv"


def run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0, words


def text_of(capsys: pytest.CaptureFixture[str], model: Path, recording: Path) -> str:
    capsys.readouterr()
    run("transcribe", "--model", model, recording)
    return capsys.readouterr().out.strip()


def rate(folder: Path) -> float:
    return float(json.loads((folder / "score.json").read_text())["wer"])


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/, lm.bin and exp/, by the commands of docs/train.md."""
    folder = tmp_path_factory.mktemp("english")
    table = write_table(folder / "in", ["ay", "bee", "sea"], 60)
    run("prepare", "csv", table, "--split", "80/10/10", "--out", folder / "data")
    text = folder / "text.txt"
    rng = np.random.default_rng(0)
    lines = (" ".join(rng.choice(["Ay", "bee,", "sea"], rng.integers(2, 5))) for _ in range(200))
    text.write_text("\n".join(lines))
    run("lm", "train", text, "--language", "en", "--order", "2", "--out", folder / "lm.bin")
    sets = ["--train", folder / "data/train.jsonl", "--valid", folder / "data/valid.jsonl"]
    run(
        "train",
        *sets,
        "--out",
        folder / "exp",
        "--lm",
        folder / "lm.bin",
        *SMALL,
        "train.epochs=16",
    )
    return folder  # fmt: skip


def test_from_a_table_to_text(english: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("evaluate", english / "exp", english / "data/test.jsonl", "--out", english / "exp/test")
    assert rate(english / "exp/test") < 0.1
    said = read_manifest(english / "data/test.jsonl")[0]
    assert text_of(capsys, english / "exp", said.audio) == said.text.upper().rstrip("!")
    config = json.loads((english / "exp/config.json").read_text())
    assert config["train"]["mmi"] > 0  # a language model will read it
    log = [json.loads(line) for line in (english / "exp/log.jsonl").read_text().splitlines()]
    assert log[-1]["valid_decoded_wer"] < 0.1


def test_going_on_needs_no_settings(english: Path, tmp_path: Path) -> None:
    exp = Path(shutil.copytree(english / "exp", tmp_path / "exp"))
    sets = ["--train", english / "data/train.jsonl", "--valid", english / "data/valid.jsonl"]
    run("train", *sets, "--out", exp, "--resume", "train.epochs=17")
    assert (exp / "log.jsonl").read_text().count("\n") == 17
    before, after = (
        json.loads((folder / "config.json").read_text()) for folder in (english / "exp", exp)
    )
    assert after == {**before, "train": {**before["train"], "epochs": 17}}


def test_another_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("num2words")
    table = write_table(tmp_path / "in", ["3", "Kühe", "Äpfel"], 60)
    data, text = tmp_path / "data", tmp_path / "text.txt"
    text.write_text("3 Kühe, Äpfel.\nÄpfel: 3 Kühe!\nKühe 3 3 Äpfel\n" * 30)
    run("prepare", "csv", table, "--language", "de", "--split", "80/10/10", "--out", data)
    capsys.readouterr()
    main(["doctor", str(data / "train.jsonl"), "--valid", str(data / "valid.jsonl")])
    shown = capsys.readouterr().out
    assert "becomes" in shown and "drei" in shown
    assert "lost-letters" not in shown and "english-numbers" not in shown
    run("lm", "train", text, "--language", "de", "--order", "2", "--out", tmp_path / "lm.bin")
    run("lexicon", "--graphemes", data / "train.jsonl", "--out", tmp_path / "lexicon.txt")
    assert (tmp_path / "lexicon.txt").read_text().splitlines() == [
        "drei d r e i",
        "kühe k ü h e",
        "äpfel ä p f e l",
    ]
    sets = ["--train", data / "train.jsonl", "--valid", data / "valid.jsonl"]
    more = ["--lexicon", tmp_path / "lexicon.txt", "--lm", tmp_path / "lm.bin"]
    run("train", *sets, "--out", tmp_path / "exp", *more, *SMALL, "train.epochs=16")
    run("evaluate", tmp_path / "exp", data / "test.jsonl", "--out", tmp_path / "exp/test")
    assert rate(tmp_path / "exp/test") < 0.1
    found = {
        text_of(capsys, tmp_path / "exp", item.audio) for item in read_manifest(data / "test.jsonl")
    }
    words = {word for text in found for word in text.split()}
    assert words == {"drei", "kühe", "äpfel"}


def test_adaptation_keeps_the_language_model_and_the_better_model(
    english: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a speaker with a higher voice, a fifth of whose words are right before."""
    table = write_table(tmp_path / "in", ["ay", "bee", "sea"], 80, pitch=1.4)
    run("prepare", "csv", table, "--out", tmp_path / "me.jsonl")
    capsys.readouterr()
    new = tmp_path / "me"
    run("adapt", english / "exp", tmp_path / "me.jsonl", "--out", new, *LEARNING, "train.epochs=12")
    captured = capsys.readouterr()
    before, after, verdict = captured.out.splitlines()[-3:]
    assert before.startswith("before %WER ") and after.startswith("after  %WER ")
    assert verdict == f"{new} is the new model"
    assert "done: best epoch" in captured.err
    assert "would help most next" not in captured.err  # advice for training from nothing
    assert float(after.split()[2]) < 10 < float(before.split()[2])
    assert "split by recording: " in captured.err
    assert (new / "lm.bin").read_bytes() == (english / "exp/lm.bin").read_bytes()
    assert (new / "bundle.json").exists() and (new / "best").is_dir()
    assert not (new / "last").exists()
    said = read_manifest(new / "adaptation/test.jsonl")[0]
    assert text_of(capsys, new, said.audio) == said.text.upper().rstrip("!")
    # what is perfect already is kept
    again = tmp_path / "again"
    run(
        "adapt",
        new,
        tmp_path / "me.jsonl",
        "--out",
        again,
        *LEARNING,
        "train.epochs=1",
        "train.learning_rate=1e-9",
    )
    assert "is the model before, as the new one is no better" in capsys.readouterr().out
    assert (again / "model.onnx").read_bytes() == (new / "model.onnx").read_bytes()  # fmt: skip
    tried = json.loads((again / "adaptation/exp/config.json").read_text())
    assert tried["train"]["epochs"] == 1  # the work of this run, not of the one before


def test_adaptation_splits_by_share_and_seed(english: Path, tmp_path: Path, capsys) -> None:
    table = write_table(tmp_path / "in", ["ay", "bee", "sea"], 80)
    run("prepare", "csv", table, "--out", tmp_path / "me.jsonl")

    def compared(name: str, *options: str) -> list[str]:
        words = ["adapt", english / "exp", tmp_path / "me.jsonl", "--out", tmp_path / name]
        run(*words, *LEARNING, "train.epochs=1", "train.learning_rate=1e-9", *options)
        folder = tmp_path / name / "adaptation"
        sets = [read_manifest(folder / f"{part}.jsonl") for part in ("train", "valid", "test")]
        assert len({item.id for part in sets for item in part}) == 80 == sum(map(len, sets))
        return [item.id for item in sets[2]]

    usual = compared("usual")
    assert len(usual) == pytest.approx(12, abs=3)
    assert compared("same", "--seed", "1") == usual
    assert compared("other", "--seed", "2") != usual
    assert len(compared("half", "--split", "40/10/50")) == pytest.approx(40, abs=4)


def test_adaptation_goes_on_after_a_stop_and_says_what_is_not_handed_on(
    english: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    shutil.copytree(english / "exp", base)
    save_calibration(base, Calibration(0.5))
    table = write_table(tmp_path / "in", ["ay", "bee", "sea"], 80, pitch=1.4)
    run("prepare", "csv", table, "--out", tmp_path / "me.jsonl")
    words = ["adapt", base, tmp_path / "me.jsonl", "--out", new, *LEARNING]
    run(*words, "train.epochs=2")
    for path in new.iterdir():  # as a run leaves it that is stopped in training
        if path.name != "adaptation":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    capsys.readouterr()
    assert main([str(word) for word in (*words, "train.epochs=12")]) == 2
    assert "add --resume to go on there" in capsys.readouterr().err
    run(*words, "train.epochs=12", "train.patience=0", "--resume")
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == f"{new} is the new model"
    assert "calibration.json is not handed on" in captured.err
    assert not (new / "calibration.json").exists()
    log = (new / "adaptation/exp/log.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in log if "epoch" in json.loads(line)]
    assert sorted(set(epochs)) == [*range(1, 13)]


def test_adaptation_ends_when_its_patience_does(english: Path, capsys) -> None:
    given = {"overrides": [], "hours": 0.05, "decoded": True}
    plan = plan_training(conf=None, init=english / "exp", **given)
    assert plan.config.train.patience == 3
    assert plan.reason.endswith("at most 12 epochs")
    for preset in PRESETS:
        plan = plan_training(conf=preset, **given)
        assert plan.config.train.patience == 0
        assert "at most" not in plan.reason


def test_usage_of_adapt_names_the_model_once(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["adapt", "--help"])
    usage = "usage: asr-adapt [MODEL] MANIFEST --out NEW [option ...] [section.key=value ...]\n\n"
    assert capsys.readouterr().out.startswith(usage)


def test_what_adaptation_refuses(
    english: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "in", ["ay", "bee", "sea"], 10)
    run("prepare", "csv", table, "--out", tmp_path / "me.jsonl")
    me, out = str(tmp_path / "me.jsonl"), ["--out", str(tmp_path / "new")]
    for words, status, complaint in (
        ([str(english / "exp"), me, *out], 1, "s of speech; asr-adapt needs 60 s or more"),
        (["nope", me, *out], 2, "nope: no model; give its folder, or a name"),
        ([str(english / "exp"), me, "--out", str(english)], 2, "holds files; give a new folder"),
        ([me, me, me, *out], 2, "give a manifest, or a model and a manifest"),
        ([str(english / "exp"), me, *out, "--split", "80/20"], 2, "compares on a third set"),
        ([str(english / "exp"), me, *out, "--lexicon", me], 2, "the model has no pronunciations"),
        ([me, *out, "--lexicon", me], 1, "me.jsonl: "),
    ):
        capsys.readouterr()
        assert main(["adapt", *words]) == status, words
        assert complaint in capsys.readouterr().err
        assert not (tmp_path / "new").exists()


def test_own_pronunciations_go_before_those_of_the_adapted_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path / "in", ["ay", "bee", "sea"], 80)
    run("prepare", "csv", table, "--out", tmp_path / "me.jsonl")
    names, given = tmp_path / "names.txt", list[str]()
    names.write_text("SIOBHAN SH IH V AO N\n")

    def train(words: list[str], _: str) -> int:
        given.extend(words)
        return 1

    monkeypatch.setattr("asr.cli.train.main", train)
    me = [str(tmp_path / "me.jsonl"), "--out", str(tmp_path / "new")]
    assert main(["adapt", *me, "--lexicon", str(names)]) == 1
    at = given.index("--lexicon")
    assert given[at : at + 4] == ["--lexicon", str(names), "--lexicon", str(find_model("english"))]


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [(30, 28, "exp"), (30, 30, "base"), (30, 32, "base"), (30, 10, "exp"), (10, 30, "base")],
)
def test_adaptation_says_when_its_figures_may_differ_by_chance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: int, after: int, kept: str
) -> None:
    def judged(name: str, errors: int) -> System:
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
        said = " ".join(["b"] * errors + ["a"] * (100 - errors))
        return score_system(name, {"u": " ".join("a" * 100)}, {"u": said}, {"u": None})

    base, exp, new = (tmp_path / name for name in ("base", "exp", "new"))
    keep_better(base, exp, new, judged("base", before), judged("exp", after), lexicon="names.txt")
    assert (new / "name").read_text() == kept
    said = capsys.readouterr()
    assert ("may differ by chance" in said.err) == (abs(before - after) < 5)
    assert ("alone has the pronunciations of names.txt" in said.out) == (kept == "base")


def test_another_language_drops_what_is_of_the_first(
    english: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "in", ["kuh", "tür", "äpfel"], 12)
    run("prepare", "csv", table, "--language", "any", "--out", tmp_path / "m.jsonl")
    sets = ["--train", tmp_path / "m.jsonl", "--valid", tmp_path / "m.jsonl"]
    run(
        "train",
        "--init",
        english / "exp",
        *sets,
        "--out",
        tmp_path / "exp",
        *LEARNING,
        "train.epochs=1",
    )
    assert (
        "is taken to be of another language, as its texts are written in" in capsys.readouterr().err
    )
    assert not {"lm.bin", "trigram.safetensors"} & {
        path.name for path in (tmp_path / "exp").iterdir()
    }
    assert json.loads((tmp_path / "exp/config.json").read_text())["text"]["case"] == "lower"


def test_presets_by_hours_and_decoder() -> None:
    assert [preset_for(hours) for hours in (0.1, 1.9, 2, 19, 20, 300)] == [
        "half-hour", "half-hour", "five-hours", "five-hours", "fifty-hours", "five-hundred-hours",
    ]  # fmt: skip
    assert set(PRESETS) == {preset_for(hours) for hours in (1, 5, 50, 500)}
    for hours in (0.1, 0.5, 1, 5, 50, 500):
        decoded, greedy = (
            plan_training(conf=None, overrides=[], hours=hours, decoded=decoded).config
            for decoded in (True, False)
        )
        assert decoded.train.mmi > 0 and greedy.train.mmi == 0
        assert greedy.train.epochs > decoded.train.epochs
        assert greedy.model == decoded.model
    given = plan_training(conf="five-hours", overrides=["train.mmi=0.5"], hours=1, decoded=False)
    assert given.config.train.mmi == 0.5
    own = plan_training(conf="english", overrides=[], hours=1, decoded=False)
    assert own.config == load_config("english") and not own.reason
