"""CSV tables and Kaldi folders, in and out: what is read, and one clear error for each fault."""

from pathlib import Path

import pytest
from corpus_files import record, summary

from asr.corpora.kaldi import read_kaldi, write_kaldi
from asr.corpora.table import read_csv, write_csv
from asr.errors import CorpusError
from asr.manifest import Utterance


class TestCsv:
    @pytest.fixture
    def table(self, tmp_path: Path) -> Path:
        for name in ("a", "b"):
            record(tmp_path / "audio" / f"{name}.wav", 2.0)
        return tmp_path / "metadata.csv"

    @pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
    def test_delimiter_is_found_in_the_header(self, table: Path, mark: str) -> None:
        rows = [
            ("Audio", "speaker", "TEXT"),
            ("audio/a.wav", "ann", "one  two"),
            ("audio/b.wav", "", "3"),
        ]
        table.write_text("\ufeff" + "\r\n".join(mark.join(row) for row in rows), encoding="utf-8")
        assert summary(read_csv(table)) == [
            ("a", "a.wav", "one two", "ann"),
            ("b", "b.wav", "3", None),
        ]

    def test_all_columns(self, table: Path) -> None:
        table.write_text(
            "id,audio,start,duration,text\nx,audio/a.wav,0.5,1,t\ny,audio/a.wav,1.5,,u\n"
        )
        one, two = read_csv(table)
        assert (one.id, one.start, one.duration) == ("x", 0.5, 1.0)
        assert (two.id, two.start, two.duration) == ("y", 1.5, 0.5)

    def test_quotes(self, table: Path) -> None:
        table.write_text('audio,text\naudio/a.wav,"He said ""no"", twice"\n')
        assert read_csv(table)[0].text == 'He said "no", twice'
        table.write_text('audio\ttext\naudio/a.wav\t"No" he said\naudio/b.wav\t"\n')
        assert [item.text for item in read_csv(table)] == ['"No" he said', '"']
        table.write_text('audio,text\naudio/a.wav,"No" he said\n')
        with pytest.raises(CorpusError, match=r"line 2: .*quote fields"):
            read_csv(table)

    def test_ids_are_as_short_as_keeps_them_apart(self, table: Path) -> None:
        record(table.parent / "more" / "a.wav")
        record(table.parent / "my voice.wav")

        def ids(*files: str) -> list[str]:
            table.write_text("audio,text\n" + "".join(f"{file},x\n" for file in files))
            return [item.id for item in read_csv(table)]

        assert ids("audio/a.wav", "my voice.wav") == ["a", "my_voice"]
        assert ids("audio/a.wav", "more/a.wav") == ["audio-a", "more-a"]
        assert ids("audio/a.wav", "audio/a.wav") == ["a-0001", "a-0002"]

    @pytest.mark.parametrize("row", ["LJ1|raw 1|raw one", "LJ1|raw, one, with, commas"])
    def test_ljspeech_metadata(self, tmp_path: Path, row: str) -> None:
        record(tmp_path / "wavs" / "LJ1.wav")
        (tmp_path / "metadata.csv").write_text(row + "\n")
        assert summary(read_csv(tmp_path / "metadata.csv")) == [
            ("LJ1", "LJ1.wav", row.rpartition("|")[2], None)
        ]

    def test_ljspeech_faults(self, tmp_path: Path) -> None:
        record(tmp_path / "wavs" / "LJ1.wav")
        (tmp_path / "metadata.csv").write_text("LJ1|x\nLJ2|y\nLJ1|\n")
        with pytest.raises(CorpusError, match=r"line 2: no recording 'LJ2' in .*; line 3: not 'ID"):
            read_csv(tmp_path / "metadata.csv")

    @pytest.mark.parametrize(
        ("header", "complaint"),
        [
            ("pat,text", "no column 'audio'; found: pat, text; rename 'pat' to 'audio'"),
            ("audio,sentences", "no column 'text'; .*rename 'sentences' to 'text'"),
            ("audio,txt", "rename 'txt' to 'text'"),
            ("x,y", "no column 'audio'; found: x, y; the first line must name"),
            ("audio,text,text", "the column 'text' stands twice; rename one of them"),
            ("", "no column 'audio'"),
        ],
    )
    def test_missing_column_is_named_with_the_nearest(
        self, table: Path, header: str, complaint: str
    ) -> None:
        table.write_text(f"{header}\na,b\n")
        with pytest.raises(CorpusError, match=complaint):
            read_csv(table)

    def test_bad_rows_are_named_with_their_lines(self, table: Path) -> None:
        table.write_text(
            "id,audio,start,text\na,audio/a.wav,,fine\nb,audio/a.wav,, \n"
            "c,audio/c.wav,,no file\nd,audio/a.wav,soon,x\n\n,audio/a.wav,,x\ne,audio/a.wav,1,2,3\n"
        )
        with pytest.raises(CorpusError) as caught:
            read_csv(table)
        for complaint in (
            "line 3: the text is empty",
            "line 4: no file ",
            "line 5: start is 'soon', not a number",
            "line 7: the id is empty",
            "line 8: 5 fields, where the first line names 4",
        ):
            assert complaint in str(caught.value)

    @pytest.mark.parametrize("span", ["2,", "-1,", "1,0", "1,-1", "1,1.6", "nan,", "0,inf"])
    def test_segment_outside_its_recording(self, table: Path, span: str) -> None:
        table.write_text(f"audio,start,duration,text\naudio/a.wav,{span},x\n")
        with pytest.raises(CorpusError, match=r"a: .* while .*a\.wav is 2 s long"):
            read_csv(table)

    def test_small_overshoot_is_cut(self, table: Path) -> None:
        table.write_text("audio,start,duration,text\naudio/a.wav,1.5,0.75,x\n")
        assert read_csv(table)[0].duration == 0.5

    def test_repeated_ids_empty_tables_and_other_files(self, table: Path) -> None:
        table.write_text("id,audio,text\nx,audio/a.wav,1\nx,audio/b.wav,2\n")
        with pytest.raises(CorpusError, match="id 'x' occurs 2 times"):
            read_csv(table)
        table.write_text("audio,text\n")
        with pytest.raises(CorpusError, match="holds no utterances"):
            read_csv(table)
        table.write_bytes("audio,text\naudio/a.wav,été\n".encode("latin-1"))
        with pytest.raises(CorpusError, match="not UTF-8 at byte 23; save it as UTF-8"):
            read_csv(table)
        with pytest.raises(CorpusError, match="No such file"):
            read_csv(table.parent / "nope.csv")

    def test_what_is_written_is_read(self, table: Path) -> None:
        audio = table.parent.resolve() / "audio" / "a.wav"
        utterances = [
            Utterance(id="x", audio=audio, start=0.25, duration=1.5, text='a, "b"', speaker="s"),
            Utterance(id="y", audio=audio, duration=2.0, text="c"),
        ]
        write_csv(table, utterances)
        assert read_csv(table) == utterances


class TestKaldi:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        record(tmp_path / "rec one.wav", 2.0)
        (tmp_path / "wav.scp").write_text("rec1 rec one.wav\n")
        (tmp_path / "text").write_text("rec1 HELLO  THERE\n")
        return tmp_path

    def test_whole_recordings(self, folder: Path) -> None:
        assert summary(read_kaldi(folder)) == [("rec1", "rec one.wav", "HELLO THERE", None)]
        assert read_kaldi(folder)[0].duration == 2.0

    def test_segments_and_speakers(self, folder: Path) -> None:
        (folder / "segments").write_text("u1 rec1 0.25 1.0\nu2 rec1 1.5 -1\n")
        (folder / "text").write_text("u1 ONE\nu2 TWO\n")
        (folder / "utt2spk").write_text("u1 ann\nu2 bob\n")
        one, two = read_kaldi(folder)
        assert (one.start, one.duration, one.text, one.speaker) == (0.25, 0.75, "ONE", "ann")
        assert (two.start, two.duration, two.text, two.speaker) == (1.5, 0.5, "TWO", "bob")

    def test_commands_are_refused_and_never_run(self, folder: Path) -> None:
        for command in ("touch ran; cat x.wav |", "| touch ran"):
            (folder / "wav.scp").write_text(f"rec1 {command}\n")
            with pytest.raises(CorpusError, match=r"rec1: .*is a command, which is never run"):
                read_kaldi(folder)
        assert not Path("ran").exists()
        assert not (folder / "ran").exists()

    @pytest.mark.parametrize(
        ("file", "content", "complaint"),
        [
            ("text", "rec1 A\nrec2 B\n", "rec2 has a text, but no audio"),
            ("text", "", "rec1 has audio, but no text"),
            ("text", "rec1\n", "rec1 has an empty text"),
            ("text", "rec1 A\nrec1 B\n", "text, line 2: 'rec1' is there twice"),
            ("utt2spk", "rec2 ann\n", "rec1 is not in utt2spk"),
            ("wav.scp", "rec1\n", "rec1 has no path"),
            ("wav.scp", "rec1 nope.wav\n", "nope.wav: No such file"),
            ("wav.scp", "rec1 no\0pe.wav\n", "check the path"),
            ("segments", "rec1 rec1 0\n", "'rec1 0' is not 'UTTERANCE RECORDING START END'"),
            ("segments", "rec1 rec1 0 x\n", "'rec1 0 x' is not"),
            ("segments", "rec1 rec9 0 1\n", "recording 'rec9' is not in wav.scp"),
            ("segments", "rec1 rec1 1 3\n", "rec1: 1 to 3 s, while"),
        ],
    )
    def test_faults(self, folder: Path, file: str, content: str, complaint: str) -> None:
        (folder / file).write_text(content)
        with pytest.raises(CorpusError, match=complaint):
            read_kaldi(folder)

    def test_what_is_said_to_be_left_out_is_left_out(self, folder: Path) -> None:
        (folder / "wav.scp").write_text("rec1 rec one.wav\nrec2 rec one.wav\n")
        (folder / "text").write_text("rec1 ONE\nrec2 TWO\n")
        (folder / "utt2spk").write_text("rec1 ann\n")
        left_out: list[str] = []
        assert [item.id for item in read_kaldi(folder, left_out)] == ["rec1"]
        assert left_out == ["rec2 is not in utt2spk"]

    def test_each_utterance_that_is_left_out_is_counted_once(self, folder: Path) -> None:
        (folder / "utt2spk").unlink(missing_ok=True)
        (folder / "wav.scp").write_text("rec1 rec one.wav\nrec2 sox a.mp3 |\n")
        (folder / "text").write_text("rec1 ONE\nrec2 TWO\n")
        (folder / "segments").unlink(missing_ok=True)
        left_out: list[str] = []
        assert [item.id for item in read_kaldi(folder, left_out)] == ["rec1"]
        (complaint,) = left_out
        assert "is a command, which is never run" in complaint
        (folder / "segments").write_text("rec1 rec1 0 1\na rec2 0 1\nb rec2 1 2\n")
        (folder / "text").write_text("rec1 ONE\na TWO\nb\n")
        left_out = []
        assert [item.id for item in read_kaldi(folder, left_out)] == ["rec1"]
        assert [line.split(":")[1] for line in left_out] == [" a", " b"]
        with pytest.raises(CorpusError, match="which is never run"):
            read_kaldi(folder)

    def test_missing_file(self, folder: Path) -> None:
        (folder / "text").unlink()
        with pytest.raises(CorpusError, match="text: No such file"):
            read_kaldi(folder)

    def test_what_is_written_is_read_sorted(self, folder: Path) -> None:
        audio = folder.resolve() / "rec one.wav"
        utterances = [
            Utterance(id="a", audio=audio, start=0.25, duration=1.5, text="X Y", speaker="s"),
            Utterance(id="b", audio=audio, duration=2.0, text="Z", speaker="s"),
        ]
        write_kaldi(folder / "out", reversed(utterances))
        assert read_kaldi(folder / "out") == utterances
        assert (folder / "out" / "segments").read_text() == (
            "a a 0.250000 1.750000\nb a 0.000000 2.000000\n"
        )

    @pytest.mark.parametrize("change", [{"id": "a b"}, {"speaker": "a b"}, {"audio": "x\ny"}])
    def test_names_that_the_format_cannot_hold(
        self, tmp_path: Path, change: dict[str, str]
    ) -> None:
        values = {"id": "a", "speaker": "s", "audio": "x.wav", **change}
        audio = Path(values.pop("audio"))
        with pytest.raises(CorpusError, match="white space in a name"):
            write_kaldi(tmp_path, [Utterance(audio=audio, duration=1, text="x", **values)])


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match="cannot be written"):
        write_csv(tmp_path / "file" / "table.csv", [])
