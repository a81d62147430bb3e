"""Readable text where a model has a tagger: the commands, the API and bundles."""

import io
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
from tiny_tagger import tiny_tagger

import asr
from asr.cli import text, transcribe
from asr.errors import CheckpointError, DecoderError
from asr.manifest import read_manifest
from asr.readable import TAGGER


@pytest.fixture(scope="module")
def model(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke model with a tagger, whose marks are random."""
    folder = tmp_path_factory.mktemp("model") / "exp"
    shutil.copytree(smoke / "exp", folder)
    tiny_tagger().save(folder / TAGGER)
    return folder


@pytest.fixture(scope="module")
def recording(smoke: Path) -> Path:
    return read_manifest(smoke / "data" / "test.jsonl")[0].audio


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert transcribe.main(["--quiet", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_the_tagger_changes_readable_formats_alone(
    smoke: Path, model: Path, recording: Path, capsys: pytest.CaptureFixture[str]
):
    before = printed(capsys, recording, "--model", smoke / "exp")
    after = printed(capsys, recording, "--model", model)
    assert after != before
    assert after[0].isupper() and after.rstrip()[-1] in ".?!"
    assert printed(capsys, recording, "--model", model, "--plain") == before
    for name in ("trn", "ctm", "textgrid", "manifest"):
        plain = printed(capsys, recording, "--model", smoke / "exp", "--format", name)
        assert printed(capsys, recording, "--model", model, "--format", name) == plain
    record = json.loads(printed(capsys, recording, "--model", model, "--format", "json"))
    assert record["spoken"] == before.strip() == " ".join(w["word"] for w in record["words"])
    assert record["text"] == after.strip()
    plain = json.loads(printed(capsys, recording, "--model", smoke / "exp", "--format", "json"))
    assert "spoken" not in plain and plain["words"] == record["words"]


def test_highlighted_words_are_for_vtt(
    model: Path, recording: Path, capsys: pytest.CaptureFixture[str]
):
    words = (recording, "--model", model, "--highlight-words")
    assert "<u>" in printed(capsys, *words, "--format", "vtt")
    assert transcribe.main([*map(str, words)]) == 2
    assert "add --format vtt" in capsys.readouterr().err


def test_the_api_has_both_texts(smoke: Path, model: Path, recording: Path):
    plain = asr.load_model(smoke / "exp").transcribe(recording)
    found = asr.load_model(model).transcribe(recording)
    assert plain.text == plain.spoken == found.spoken != found.text
    assert found.words == ()
    options = asr.DecodingOptions(plain=True)
    assert asr.load_model(model, options).transcribe(recording) == plain


def test_live_text_is_readable(
    model: Path,
    recording: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    waveform, _ = soundfile.read(recording)
    content = (waveform * 32767).astype("<i2").tobytes()
    texts = []
    for options in ([], ["--plain"]):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        texts.append(printed(capsys, "--live", "--model", model, *options))
    readable, plain = texts
    assert readable != plain
    letters = [[c for c in text.lower() if c.isalpha()] for text in texts]
    assert letters[0] == letters[1]


def test_digits_of_another_language_are_refused_and_not_ignored(
    model: Path, recording: Path, tmp_path: Path, capsys
):
    foreign = tmp_path / "exp"
    shutil.copytree(model, foreign)
    tiny_tagger(english=False).save(foreign / TAGGER)
    asr.DecodingOptions().resolve(foreign)
    asr.DecodingOptions(numbers="words").resolve(foreign)
    assert transcribe.main(["--model", str(foreign), "--numbers", "digits", str(recording)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "--numbers digits is for English" in said[0]
    (tmp_path / "text").write_text("one\n")
    words = ["write", str(foreign), str(tmp_path / "text")]
    assert text.main([*words, "--numbers", "digits"]) == 2
    assert "--numbers digits is for English" in capsys.readouterr().err
    assert text.main(words) == 0


def test_numbers_need_readable_text(smoke: Path, model: Path):
    digits = asr.DecodingOptions(numbers="digits")
    assert digits.resolve(model).tagger == model / TAGGER
    with pytest.raises(DecoderError, match=r"has no tagger\.npz"):
        digits.resolve(smoke / "exp")
    with pytest.raises(DecoderError, match="--plain writes words"):
        asr.DecodingOptions(numbers="words", plain=True).resolve(model)
    with pytest.raises(DecoderError, match="numbers is 'roman'; allowed: 'digits', 'words'"):
        asr.DecodingOptions(numbers="roman")
    changed = asr.DecodingOptions(numbers="words").resolve(model).digest()
    assert changed != digits.resolve(model).digest()


def test_a_damaged_tagger_is_one_clear_error(
    model: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "exp"
    shutil.copytree(model, folder)
    (folder / TAGGER).write_bytes((folder / TAGGER).read_bytes()[:1000])
    assert transcribe.main([str(recording), "--model", str(folder)]) == 1
    error = capsys.readouterr().err
    assert "tagger.npz: not a tagger" in error and len(error.splitlines()) == 1
    assert printed(capsys, recording, "--model", folder, "--plain")
    with pytest.raises(CheckpointError, match="not a tagger"):
        asr.load_model(folder)
