"""asr-prepare as its users type it: manifests, what it prints, exit status, download and unpack."""

import functools
import hashlib
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from corpus_files import chapter, record

from asr.cli.prepare import main
from asr.corpora import ARCHIVES, Archive, librispeech
from asr.manifest import read_manifest


def make_subset(folder: Path, speaker: str = "19") -> Path:
    record(
        chapter(folder, speaker, "198", f"{speaker}-198-0000 HI") / f"{speaker}-198-0000.flac", 36
    )
    return folder


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what went to stderr, which is to be one line of the command's."""
    captured = capsys.readouterr()
    assert captured.err.startswith("asr-prepare: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_librispeech_subsets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train-clean-5", "dev-wide", "other"):
        make_subset(tmp_path / "LibriSpeech" / name)
    out = tmp_path / "out"
    command = ["librispeech", str(tmp_path), "--subsets", "train-clean-5", "dev-wide"]
    assert main([*command, "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"{out}/train-clean-5.jsonl: 1 utterance, 0.01 h, 1 speaker",
        f"{out}/dev-wide.jsonl: 1 utterance, 0.01 h, 1 speaker",
    ]
    assert captured.err == ""  # no progress bar where there is no terminal
    assert sorted(path.name for path in out.iterdir()) == ["dev-wide.jsonl", "train-clean-5.jsonl"]
    utterance = read_manifest(out / "dev-wide.jsonl")[0]
    assert (utterance.id, utterance.text, utterance.duration) == ("19-198-0000", "HI", 36.0)
    assert utterance.audio.is_file()


def test_librispeech_without_subsets_takes_all(tmp_path: Path) -> None:
    for name in ("b", "a"):
        make_subset(tmp_path / name)
    assert main(["librispeech", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.jsonl", "b.jsonl"}


def test_fsdd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for speaker in ("theo", "ann", "bob"):
        for take in (0, 5, 10):
            record(tmp_path / "recordings" / f"3_{speaker}_{take}.wav")
    out = tmp_path / "out"
    assert main(["fsdd", str(tmp_path), "--out", str(out)]) == 0
    assert capsys.readouterr().out.count("\n") == 7
    sizes = {path.stem: len(read_manifest(path)) for path in out.iterdir()}
    assert sizes == {"all": 9} | dict.fromkeys(
        ("train", "valid", "test", "all-train", "all-valid", "all-test"), 3
    )
    assert {item.speaker for item in read_manifest(out / "test.jsonl")} == {"theo"}
    speakers = ["--test-speaker", "ann", "--valid-speaker", "theo"]
    assert main(["fsdd", str(tmp_path), *speakers, "--out", str(out)]) == 0
    assert {item.speaker for item in read_manifest(out / "test.jsonl")} == {"ann"}
    assert {item.speaker for item in read_manifest(out / "valid.jsonl")} == {"theo"}
    assert main(["fsdd", str(tmp_path), "--test-speaker", "eve", "--out", str(out)]) == 2


def test_csv_and_kaldi(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "a.wav", 1.5)
    (tmp_path / "metadata.csv").write_text("audio,text\na.wav,Hello!\n")
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    (tmp_path / "text").write_text("a Hello!\n")
    for number, source in enumerate((["csv", "metadata.csv"], ["kaldi", "."])):
        out = tmp_path / "out" / f"{number}.jsonl"
        assert main([source[0], str(tmp_path / source[1]), "--out", str(out)]) == 0
        assert capsys.readouterr().out == f"{out}: 1 utterance, 0.00 h, 0 speakers\n"
        assert [(item.text, item.duration) for item in read_manifest(out)] == [("Hello!", 1.5)]


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["librispeech", "{}", "--subsets", "nope"], 1, "no subset 'nope' in it; found: dev"),
        (["librispeech", "{}", "--subsets", "../x"], 2, "not the name of a folder"),
        (["librispeech", "{}/dev"], 2, "no subset in it"),
        (["librispeech", "{}/nope"], 1, "no such folder"),
        (["librispeech", "{}", "--download"], 2, "--download needs --subsets"),
        (["librispeech", "{}", "--url-base", "http://x"], 2, "--download"),
        (["librispeech", "{}", "--subsets", "x", "--download"], 1, "nor on OpenSLR; published:"),
        (["csv", "{}/nope.csv"], 1, "nope.csv: No such file"),
        (["kaldi", "{}"], 1, "wav.scp: No such file"),
        (["fsdd", "{}"], 1, "holds no utterances"),
    ],
)
def test_errors_are_one_line_and_a_status(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    complaint: str,
) -> None:
    make_subset(tmp_path / "dev")
    filled = [argument.format(tmp_path) for argument in arguments]
    assert main([*filled, "--out", str(tmp_path / "out")]) == status
    assert complaint in error_line(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["nope"], ["csv", "x.csv"], ["fsdd", "--out", "x"]])
def test_usage_errors_are_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: asr-prepare" in capsys.readouterr().err


def test_module_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'soundfile', 'tqdm'} & set(sys.modules)"
    code = f"import sys, asr.cli.prepare; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve Mini LibriSpeech's dev-clean-2, as made here, from loopback; give the base URL."""
    source = make_subset(tmp_path / "source" / "LibriSpeech" / "dev-clean-2").parent
    (source / "README.TXT").write_text("read me")
    archive = tmp_path / "www" / "31" / "dev-clean-2.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, "LibriSpeech")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(ARCHIVES, "dev-clean-2", Archive(31, md5))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *arguments: None)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path / "www")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def download_command(root: Path, mirror: str, *subsets: str) -> list[str]:
    command = ["librispeech", str(root), "--subsets", *subsets, "--download", "--url-base", mirror]
    return [*command, "--out", str(root.parent / "out")]


def test_download_of_a_missing_subset(
    tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "new" / "LibriSpeech"
    assert main(download_command(root, mirror, "dev-clean-2")) == 0
    assert read_manifest(root.parent / "out" / "dev-clean-2.jsonl")[0].text == "HI"
    assert {path.name for path in root.iterdir()} == {"dev-clean-2", "README.TXT"}
    monkeypatch.setattr(librispeech, "download", lambda *args, **more: pytest.fail("there already"))
    assert main(download_command(root, mirror, "dev-clean-2")) == 0


def test_download_beside_what_is_there(tmp_path: Path, mirror: str) -> None:
    root = tmp_path / "corpora"
    make_subset(root / "LibriSpeech" / "mine", "7")
    (root / "LibriSpeech" / "README.TXT").write_text("mine")
    assert main(download_command(root, mirror, "mine", "dev-clean-2")) == 0
    assert (root / "LibriSpeech" / "README.TXT").read_text() == "mine"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "mine.jsonl",
        "dev-clean-2.jsonl",
    }


def test_download_that_fails_is_one_line(
    tmp_path: Path, mirror: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(download_command(tmp_path / "root", mirror, "dev-other")) == 1
    assert f"{mirror}12/dev-other.tar.gz: the server answered 404" in error_line(capsys)


@pytest.mark.parametrize(
    "content",
    [("../evil", "outside"), ("other/a", "no folder LibriSpeech/dev-clean-2")],
)
def test_archive_with_other_content_leaves_nothing_unpacked(
    tmp_path: Path,
    mirror: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: tuple[str, str],
) -> None:
    name, complaint = content
    archive = tmp_path / "www" / "31" / "dev-clean-2.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(ARCHIVES, "dev-clean-2", Archive(31, md5))
    assert main(download_command(tmp_path / "root", mirror, "dev-clean-2")) == 1
    assert complaint in error_line(capsys)
    assert [path.name for path in (tmp_path / "root").iterdir()] == [archive.name]


def test_published_archives_have_md5_sums() -> None:
    assert len(ARCHIVES) == 9
    assert len({archive.md5 for archive in ARCHIVES.values()}) == 9
    assert all(len(bytes.fromhex(archive.md5)) == 16 for archive in ARCHIVES.values())
    assert {archive.resource for archive in ARCHIVES.values()} == {12, 31}


def test_tones_and_the_way_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tones", "--out", str(tmp_path)]) == 0
    assert "train.jsonl: 300 utterances" in capsys.readouterr().out
    manifest = tmp_path / "test.jsonl"
    assert main(["to-csv", str(manifest), "--out", str(tmp_path / "test.csv")]) == 0
    assert main(["csv", str(tmp_path / "test.csv"), "--out", str(tmp_path / "a.jsonl")]) == 0
    assert main(["to-kaldi", str(manifest), "--out", str(tmp_path / "kaldi")]) == 0
    assert main(["kaldi", str(tmp_path / "kaldi"), "--out", str(tmp_path / "b.jsonl")]) == 0
    for name in ("a.jsonl", "b.jsonl"):
        assert read_manifest(tmp_path / name) == read_manifest(manifest)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    rows = [f"{name}.wav,Text {name},{name[0]}" for name in ("a1", "a2", "b1", "b2", "c1")]
    for row in rows:
        record(tmp_path / row.split(",")[0], 1.0)
    table = tmp_path / "metadata.csv"
    table.write_text("\n".join(["audio,text,speaker", *rows, "d1.wav,missing,d"]) + "\n")
    return table


def test_what_is_missing_is_left_out_and_named(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = own.parent / "m.jsonl"
    assert main(["csv", str(own), "--out", str(out)]) == 1
    assert len(read_manifest(out)) == 5
    captured = capsys.readouterr()
    assert "line 7: no file" in captured.err
    assert "d1.wav" in captured.err
    assert "1 left out in all; --strict" in captured.err
    out.unlink()
    assert main(["csv", str(own), "--out", str(out), "--strict"]) == 1
    assert "line 7: no file" in error_line(capsys)
    assert not out.exists()


def test_utterances_are_counted_not_their_recordings(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own.parent / "d1.wav").write_text("no audio")
    rows = "d1.wav,one,d,0,0.5\nd1.wav,two,d,0.5,0.5\na1.wav,three,a,0,0.5\n"
    own.write_text(f"audio,text,speaker,start,duration\n{rows}")
    assert main(["csv", str(own), "--out", str(own.parent / "m.jsonl")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all("d1.wav: " in line for line in lines[:2])
    assert "2 left out in all; --strict" in lines[2]


def test_split_into_sets(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = own.parent / "data"
    command = ["csv", str(own), "--split", "60/20/20", "--language", "de", "--out"]
    assert main([*command, str(out)]) == 1  # one is missing
    assert "split by speaker: nobody is heard in two sets" in capsys.readouterr().out
    sets = [read_manifest(out / f"{name}.jsonl") for name in ("train", "valid", "test")]
    speakers = [{item.speaker for item in part} for part in sets]
    assert sum(map(len, speakers)) == len(set().union(*speakers)) == 3
    assert {item.language for part in sets for item in part} == {"de"}


def test_sentences_that_several_people_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for speaker in "abcdef":
        for number in range(6):
            record(tmp_path / f"{speaker}{number}.wav", 1.0)
            rows.append(f"{speaker}{number}.wav,{speaker},Sentence {'zyxwvu'[number]}!")
    table = tmp_path / "metadata.csv"
    table.write_text("\n".join(("audio,speaker,text", *rows)))
    command = ["csv", str(table), "--split", "60/20/20", "--out", str(tmp_path / "data")]
    assert main(command) == 0
    assert "of 6 utterances in test.jsonl have texts that training has" in capsys.readouterr().err
    assert main([*command, "--split-by", "text"]) == 0
    captured = capsys.readouterr()
    assert "split by text: no text is in two sets" in captured.out
    assert not captured.err
    parts = [read_manifest(tmp_path / "data" / f"{n}.jsonl") for n in ("train", "valid", "test")]
    assert sum(len({item.text for item in part}) for part in parts) == 6
    assert main([*command, "--split-by", "recording"]) == 0
    assert "split by recording: figures" in capsys.readouterr().out


def test_another_seed_makes_other_sets(own: Path) -> None:
    heard = set()
    for seed in "12345":
        out = own.parent / seed
        main(["csv", str(own), "--split", "60/20/20", "--seed", seed, "--out", str(out)])
        heard.add(read_manifest(out / "test.jsonl")[0].speaker)
    assert len(heard) > 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--split", "80", "--out", "data"], "--split 80: write the shares"),
        (["--split", "80/10/10", "--out", "m.jsonl"], "give a folder"),
        (["--seed", "3", "--out", "m.jsonl"], "--seed is of the random --split"),
        (["--split-by", "text", "--out", "m.jsonl"], "--split-by text is of --split; give both"),
        (["--language", "xx", "--out", "m.jsonl"], "language 'xx' has no preset; allowed: en, any"),
    ],
)
def test_options_that_do_not_fit(
    own: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    *options, out = arguments
    assert main(["csv", str(own), *options, str(own.parent / out)]) == 2
    assert complaint in error_line(capsys)


def test_folders_labels_and_common_voice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "in" / "clips" / "a.wav", 4.0)
    (tmp_path / "in" / "clips" / "a.txt").write_text("0\t1\thello\n")
    for table in ("train", "dev", "test", "validated"):
        (tmp_path / "in" / f"{table}.tsv").write_text("client_id\tpath\tsentence\nx\ta.wav\thi\n")
    labels, audio = (str(tmp_path / "in" / "clips" / name) for name in ("a.txt", "a.wav"))
    for name, command in (
        ("f", ["folder", str(tmp_path / "in")]),
        ("l", ["audacity", labels, "--audio", audio]),
    ):
        assert main([*command, "--out", str(tmp_path / f"{name}.jsonl")]) == 0
        assert [item.text for item in read_manifest(tmp_path / f"{name}.jsonl")] == ["hello"]
    voice = ["commonvoice", str(tmp_path / "in"), "--out", str(tmp_path / "cv")]
    assert main(voice) == 0
    assert {path.name for path in (tmp_path / "cv").iterdir()} == {
        "train.jsonl",
        "valid.jsonl",
        "test.jsonl",
    }
    assert main([*voice, "--split", "80/10/10"]) == 2
    assert "1 utterance is too few for 3 sets" in capsys.readouterr().err
