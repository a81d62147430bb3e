"""docs/reference/json.md describes what the commands write: all of it, and nothing else."""

import json
import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from described import Described
from folders import ENGLISH, ROOT, SAMPLES
from speech import SMALL, write_conf, write_tones

from asr.cli import doctor, evaluate, lexicon, lm, prepare, score, train, transcribe
from asr.decode import DecoderConfig
from asr.doctor import Cost, Report, SelfTest
from asr.manifest import Utterance

SEARCH = {"Search": {field.name for field in fields(DecoderConfig)}}
TABLES = {  # by subject, the tables that its test compares
    "manifest": ("Utterance",),
    "transcript": ("Transcript", "Word", "Turn", "Channel", "Findings", "Search", "JournalLine"),
    "score": (
        "Score",
        "Evaluation",
        "NamedTotal",
        "NamedScore",
        "ScoreList",
        "Comparison",
        "Test",
        "Counts",
    ),
    "doctor": ("Report", "DataSet", "Bin", "Finding", "Severities", "Cost", "SelfTest"),
    "language model": ("Perplexity", "LexiconCount"),
    "log": ("Epoch",),
    "bundle": ("BundleIndex",),
}


@pytest.fixture
def page() -> Described:
    return Described("json.md", SEARCH)


def run(command: ModuleType, *words: object, status: int = 0) -> None:
    assert command.main([*map(str, words)]) == status


def printed(capsys: pytest.CaptureFixture[str]) -> object:
    return json.loads(capsys.readouterr().out)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_call(folder: Path) -> None:
    """Write the sample with its halves on two channels, and its beginning at another rate."""
    waveform, rate_hz = soundfile.read(SAMPLES / "quickstart.flac")
    half = np.where(np.arange(len(waveform)) < len(waveform) / 2, waveform, 0)
    soundfile.write(folder / "call.wav", np.stack([half, waveform - half], axis=1), rate_hz)
    soundfile.write(folder / "talk.wav", waveform[: rate_hz // 2], rate_hz // 2)


def test_every_table_is_compared(page: Described):
    assert [*page.tables] == [name for names in TABLES.values() for name in names]


def test_transcripts_and_their_journal(page: Described, tmp_path: Path):
    write_call(tmp_path)
    (tmp_path / "damaged.wav").write_text("no sound")
    (tmp_path / "names.txt").write_text("night\n")
    (tmp_path / "words.txt").write_text("he HH IY\nsaid S EH D\nnight N AY T\n")
    known = ("--lexicon", tmp_path / "words.txt", "--hotwords", tmp_path / "names.txt")
    call, out = tmp_path / "call.wav", ("--format", "json", "--output-dir", tmp_path / "out")
    others = (tmp_path / "talk.wav", tmp_path / "damaged.wav")
    run(transcribe, "--channels", "split", *known, *out, call, *others, status=1)
    split = json.loads((tmp_path / "out" / "call.json").read_text())
    assert split["turns"] and split["channels"] and split["words"][0]["speaker"]
    page.check(split, "Transcript")
    page.check(json.loads((tmp_path / "out" / "talk.json").read_text()), "Transcript")
    run(transcribe, "--channels", 2, "--decoder", "greedy", *out, call)
    second = json.loads((tmp_path / "out" / "call.json").read_text())
    assert second["channel"] == 2
    assert second["decoder"] == {"name": "greedy"}
    page.check(second, "Transcript")
    journal = lines(tmp_path / "out" / ".asr-journal.jsonl")
    assert {line["status"] for line in journal} == {"ok", "failed", "replacing"}
    for line in journal:
        page.check(line, "JournalLine")
    assert not page.unseen(*TABLES["transcript"])


def test_manifests(page: Described, tmp_path: Path):
    write_call(tmp_path)
    table = "audio,text,speaker\ntalk.wav,er sagte,anna\ncall.wav,dass er nicht,ben\n"
    (tmp_path / "table.csv").write_text(table)
    made = tmp_path / "made.jsonl"
    run(prepare, "csv", tmp_path / "table.csv", "--language", "de", "--out", made)
    assert lines(made)[0]["language"] == "de"
    recognised = (transcribe, "--format", "manifest", "--decoder", "greedy")
    run(*recognised, "-o", tmp_path / "own.jsonl", SAMPLES / "quickstart.flac")
    for line in (*lines(made), *lines(tmp_path / "own.jsonl")):
        page.check(line, "Utterance")
    assert not page.unseen("Utterance")
    assert {*page.tables["Utterance"]} == {key.name for key in fields(Utterance)}


def write_references(folder: Path) -> None:
    """Write references and two systems' hypotheses with errors of each kind."""
    texts = {"ref": ("do re mi", "fa so"), "a": ("do fa", "fa so so"), "b": ("do re mi", "fa")}
    for name, both in texts.items():
        rows = ({"id": i, "text": t, "speaker": f"s{i}"} for i, t in zip("12", both, strict=True))
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def test_scores(page: Described, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_references(tmp_path)
    ref, a, b = (tmp_path / f"{name}.jsonl" for name in ("ref", "a", "b"))
    run(score, "--json", "--align", "--normalize", ref, a)
    page.check(printed(capsys), "NamedScore")
    run(score, "--json", "--normalize", ref, a, b)
    page.check(printed(capsys), "ScoreList")
    assert not page.unseen("NamedScore", "ScoreList", "Comparison", "Test", "Counts")


def test_scores_of_an_evaluation(
    page: Described, smoke: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = tmp_path / "data.jsonl"
    rows = lines(smoke / "data" / "test.jsonl")[:3]
    absolute = ({**row, "audio": str(smoke / "data" / str(row["audio"]))} for row in rows)
    data.write_text("".join(f"{json.dumps(row)}\n" for row in absolute))
    words = (smoke / "exp", data, "--decoder", "greedy", "--json")
    run(evaluate, *words, "--out", tmp_path / "one")
    page.check(printed(capsys), "Evaluation")
    run(evaluate, *words, "--out", tmp_path / "two", "--against", tmp_path / "one")
    assert printed(capsys) == json.loads((tmp_path / "two" / "score.json").read_text())
    page.check(json.loads((tmp_path / "two" / "score.json").read_text()), "Evaluation")
    assert not page.unseen("Evaluation", "NamedTotal")
    assert_named(tmp_path / "two")


def test_reports_of_the_doctor(page: Described, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tones = write_tones(tmp_path / "tones", 4)
    (tmp_path / "tones" / json.loads(tones.read_text().splitlines()[0])["audio"]).unlink()
    run(doctor, tones, "--fix", tmp_path / "clean.jsonl", "--json", status=1)
    report = printed(capsys)
    page.check(report, "Report")
    measured = Report(
        (),
        (),
        Cost(**{key.name: 1 if key.type in (int, "int") else 0.5 for key in fields(Cost)}),
        SelfTest(utterances=("1",), steps=9, seconds=1.0, first_loss=3.0, last_loss=0.1, cer=0.0),
    )
    page.check(json.loads(json.dumps(measured.as_dict())), "Report")
    assert not page.unseen(*TABLES["doctor"])


def test_figures_of_language_models_and_lexicons(
    page: Described, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "text.txt").write_text("do re mi\nre mi fa\n" * 20)
    (tmp_path / "dictionary").write_text("do D OW\nre R EY\nmi M IY\n")
    run(lm, "train", "--order", 2, tmp_path / "text.txt", "--out", tmp_path / "lm.bin")
    run(lm, "perplexity", "--json", tmp_path / "lm.bin", tmp_path / "text.txt")
    page.check(printed(capsys), "Perplexity")
    made = ("--out", tmp_path / "lexicon.txt", "--json")
    run(lexicon, tmp_path / "dictionary", tmp_path / "text.txt", *made)
    page.check(printed(capsys), "LexiconCount")
    assert not page.unseen(*TABLES["language model"])


def test_the_log_of_a_training_run(page: Described, smoke: Path, tmp_path: Path):
    for line in lines(smoke / "exp" / "log.jsonl"):
        page.check(line, "Epoch")
    tones = write_tones(tmp_path / "tones", 8)
    (tmp_path / "lexicon.txt").write_text("a EY1\nb B IY1\nc S IY1\n")
    (tmp_path / "text.txt").write_text("A B C\nB C A\nC A B\n" * 20)
    run(lm, "train", "--order", 2, tmp_path / "text.txt", "--out", tmp_path / "lm.bin")
    known = ("--lexicon", tmp_path / "lexicon.txt", "--lm", tmp_path / "lm.bin")
    manifests = ("--train", tones, "--valid", tones, "--out", tmp_path / "exp")
    run(train, write_conf(tmp_path, SMALL), *manifests, *known, "train.epochs=1")
    for line in lines(tmp_path / "exp" / "log.jsonl"):
        page.check(line, "Epoch")
    assert not page.unseen("Epoch")
    assert_named(tmp_path / "exp")


def test_the_index_of_a_bundle(page: Described):
    page.check(json.loads((ENGLISH / "bundle.json").read_text()), "BundleIndex")
    assert not page.unseen("BundleIndex")
    assert_named(ENGLISH, "CMUDICT_LICENSE")


def assert_named(folder: Path, *but: str) -> None:
    """Fail if a folder has a file that docs/reference/files.md does not name."""
    text = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w.-]+?)(?:\.\.\.|/)?`", text)
    names = {path.name for path in folder.iterdir()} - {*but}
    assert not [name for name in names if not any(map(name.startswith, named))]
    assert len(names) > 3


def test_what_differs_from_the_page_is_noticed(page: Described):
    word = {"word": "a", "start": 0.0, "end": 1.0, "confidence": 0.5}
    page.check(word, "Word")
    wrong: Iterable[dict[str, object]] = (
        {**word, "extra": 1},
        {**word, "start": "0"},
        {**word, "confidence": None},
        {"word": "a"},
    )
    for record in wrong:
        with pytest.raises(AssertionError):
            page.check(record, "Word")
    assert page.unseen("Word") == ["Word.channel", "Word.speaker"]
