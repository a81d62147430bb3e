"""Corpora that people bring: tables as programs write them, folders, labels, Common Voice."""

import unicodedata
from pathlib import Path

import pytest
from corpus_files import record, summary

from asr.corpora.common_voice import find_language, read_table
from asr.corpora.entries import Recordings
from asr.corpora.folder import read_folder, read_labelled
from asr.corpora.table import NAMES, read_csv
from asr.errors import CorpusError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    record(tmp_path / "a.flac", 2.0, format="FLAC")
    return tmp_path / "table.csv"


class TestTables:
    @pytest.mark.parametrize(
        "content",
        [
            '"audio"\t"text"\n"a.flac"\t"the old man, went"\n',  # R, Excel
            'audio\ttext\na.flac\t"the old man, went"\n',  # Excel quotes single cells
            "sep=;\naudio;text\na.flac;the old man, went\n",
            '"sep=;"\r\naudio;text\r\na.flac;the old man, went\r\n',
            'audio,text\ra.flac,"the old man, went"\r',  # old Macs
            'audio,text\n.\\a.flac,"the old man, went"\n',
            "a.flac\tthe old man, went\n",  # no first line
            "wavs|x\n",
        ],
        ids=["quoted", "partly", "sep", "quoted-sep", "cr", "backslash", "headless", "ljspeech"],
    )
    def test_ways_to_write_a_table(self, table: Path, content: str) -> None:
        if content == "wavs|x\n":
            content = "a|The old man|the old man, went\n"
        table.write_bytes(content.encode())
        assert summary(read_csv(table)) == [("a", "a.flac", "the old man, went", None)]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings(self, table: Path, encoding: str) -> None:
        table.write_text("audio,text\na.flac,zwölf\n", encoding=encoding)
        assert read_csv(table)[0].text == "zwölf"

    @pytest.mark.parametrize("written", ["NFC", "NFD"])
    @pytest.mark.parametrize("stored", ["NFC", "NFD"])
    def test_accents_of_file_names(self, tmp_path: Path, written: str, stored: str) -> None:
        folder, name = (unicodedata.normalize(stored, word) for word in ("Größe", "café.wav"))
        record(tmp_path / folder / name)
        path = unicodedata.normalize(written, "Größe/café.wav")
        (tmp_path / "t.csv").write_text(f"audio,text\n{path},x\n")
        assert read_csv(tmp_path / "t.csv")[0].audio == tmp_path / folder / name

    @pytest.mark.parametrize("column", ["audio", "text", "speaker"])
    def test_usual_names_of_columns(self, table: Path, column: str) -> None:
        cells = {"audio": "a.flac", "text": "x", "speaker": "s"}
        for name in NAMES[column]:
            for spelled in (name, name.upper(), name.replace("_", " ")):
                header = {**dict.fromkeys(cells), column: spelled}
                first = ",".join(given or ours for ours, given in header.items())
                table.write_text(f"{first}\n{','.join(cells.values())}\n")
                assert summary(read_csv(table)) == [("a", "a.flac", "x", "s")], name

    def test_our_name_of_a_column_wins(self, table: Path) -> None:
        table.write_text("path,audio,sentence,text\nb.flac,a.flac,wrong,right\n")
        assert summary(read_csv(table)) == [("a", "a.flac", "right", None)]

    def test_end_in_place_of_duration(self, table: Path) -> None:
        table.write_text("audio,start,end,text\na.flac,0.5,1.25,x\n")
        assert [(item.start, item.duration) for item in read_csv(table)] == [(0.5, 0.75)]

    def test_what_cannot_be_used_is_left_out_and_named(self, table: Path) -> None:
        (table.parent / "cut.flac").write_bytes(b"cut")
        rows = ("a.flac,0,x", "b.flac,0,y", "a.flac,0,", "cut.flac,0,z", "a.flac,9,z", "a.flac")
        table.write_text("audio,start,text\n" + "".join(f"{row}\n" for row in rows))
        left_out: list[str] = []
        assert [item.text for item in read_csv(table, left_out)] == ["x"]
        complaints = ("b.flac", "text is empty", "1 fields", "cut.flac", "9 to 2 s")
        assert len(left_out) == len(complaints)
        for complaint in complaints:
            assert [line for line in left_out if complaint in line], complaint
        with pytest.raises(CorpusError, match=r"line 3: no file .*b\.flac"):
            read_csv(table)

    def test_a_table_of_which_nothing_is_left_is_refused(self, table: Path) -> None:
        table.write_text("audio,text\nb.flac,x\nc.flac,y\n")
        with pytest.raises(CorpusError, match=r"line 2: no file .*b\.flac; line 3: no file"):
            read_csv(table, [])


def test_recordings_without_extension_and_in_usual_folders(tmp_path: Path) -> None:
    record(tmp_path / "wavs" / "one.WAV", format="WAV")
    record(tmp_path / "clips" / "two.wav")
    finder = Recordings(tmp_path)
    assert finder.find("one").name == "one.WAV"
    assert finder.find("two.wav") == tmp_path / "clips" / "two.wav"
    for missing in ("three", "no\0pe", "x" * 300, "clips"):
        with pytest.raises(ValueError, match="no file"):
            finder.find(missing)


class TestFolder:
    @pytest.fixture
    def corpus(self, tmp_path: Path) -> Path:
        for name in ("ann/one", "ann/two", "bob/one"):
            record(tmp_path / f"{name}.wav", 4.0)
        (tmp_path / "ann" / "one.txt").write_text("Hello,\nthere!\n")
        (tmp_path / "ann" / "two.lab").write_text("HELLO")
        (tmp_path / "bob" / "one.txt").write_text("0.5\t1.5\tgood\n\\\t100\t200\n2,0\t3.0\tday\n")
        return tmp_path

    def test_texts_labels_and_speakers(self, corpus: Path) -> None:
        utterances = read_folder(corpus)
        assert summary(utterances) == [
            ("ann-one", "one.wav", "Hello, there!", "ann"),
            ("ann-two", "two.wav", "HELLO", "ann"),
            ("bob-one-0001", "one.wav", "good", "bob"),
            ("bob-one-0002", "one.wav", "day", "bob"),
        ]
        assert [(item.start, item.duration) for item in utterances[1:]] == [
            (0.0, 4.0),
            (0.5, 1.0),
            (2.0, 1.0),
        ]

    def test_recordings_without_text(self, corpus: Path) -> None:
        record(corpus / "three.wav")
        record(corpus / "four.wav")
        (corpus / "four.txt").write_text(" \n")
        left_out: list[str] = []
        assert len(read_folder(corpus, left_out)) == 4
        assert ["four.txt: the text is empty" in line for line in left_out] == [True, False]
        assert "three.wav: no text beside it; write three.txt" in left_out[1]
        with pytest.raises(CorpusError, match="no text beside it"):
            read_folder(corpus)
        with pytest.raises(CorpusError, match="no such folder"):
            read_folder(corpus / "nope")

    def test_one_of_two_copies_counts(self, corpus: Path) -> None:
        record(corpus / "ann" / "one.flac", 4.0)
        assert next(item.audio.name for item in read_folder(corpus)) == "one.flac"
        assert len(read_folder(corpus)) == 4

    def test_a_longer_name_is_another_recording(self, corpus: Path) -> None:
        for name in ("one.1", "one.bak"):
            (corpus / "ann" / f"{name}.txt").write_text("wrong")
        assert read_folder(corpus)[0].text == "Hello, there!"

    def test_labels_of_one_recording(self, corpus: Path) -> None:
        audio = corpus / "ann" / "one.wav"
        assert [item.id for item in read_labelled(corpus / "bob" / "one.txt", audio)] == [
            "one-0001",
            "one-0002",
        ]
        with pytest.raises(CorpusError, match="not labels of Audacity"):
            read_labelled(corpus / "ann" / "two.lab", audio)

    @pytest.mark.parametrize("layout", ["long_textgrid", "short_textgrid"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_textgrids_as_praat_writes_them(
        self, tmp_path: Path, layout: str, encoding: str
    ) -> None:
        from praatio import textgrid
        from praatio.data_classes.interval_tier import IntervalTier
        from praatio.data_classes.point_tier import PointTier

        grid = textgrid.Textgrid()
        grid.addTier(PointTier("tones", [(1.0, "H*")], 0, 4))
        grid.addTier(IntervalTier("phones", [(0.5, 0.6, "h"), (0.6, 0.7, "ai")], 0, 4))
        said = [(0.5, 1.5, 'He said "hi 5 [sic]"'), (2.0, 3.5, "grüße")]
        grid.addTier(IntervalTier("speech", said, 0, 4))
        record(tmp_path / "a.wav", 4.0)
        path = tmp_path / "a.TextGrid"
        grid.save(str(path), layout, includeBlankSpaces=True)
        path.write_text(path.read_text("utf-8"), encoding)
        found = read_folder(tmp_path)
        assert [(item.start, item.start + item.duration, item.text) for item in found] == said

    def test_words_of_an_aligner_become_utterances(self, tmp_path: Path) -> None:
        from praatio import textgrid
        from praatio.data_classes.interval_tier import IntervalTier

        words = [(0.1, 0.4, "one"), (0.4, 0.8, "two"), (1.5, 2.0, "three")]
        grid = textgrid.Textgrid()
        grid.addTier(IntervalTier("words", words, 0, 4))
        grid.addTier(IntervalTier("phones", [(0.1, 0.2, "w")], 0, 4))
        record(tmp_path / "a.wav", 4.0)
        grid.save(str(tmp_path / "a.TextGrid"), "long_textgrid", includeBlankSpaces=True)
        found = read_folder(tmp_path)
        assert [(item.start, item.text) for item in found] == [(0.1, "one two"), (1.5, "three")]

    @pytest.mark.parametrize(
        "content", ["hello", 'File type = "ooTextFile"\n"TextGrid"\n0\n1\n<exists>\n3\n"Interv']
    )
    def test_damaged_textgrids(self, tmp_path: Path, content: str) -> None:
        record(tmp_path / "a.wav")
        (tmp_path / "a.TextGrid").write_text(content)
        with pytest.raises(CorpusError, match=r"a\.TextGrid: "):
            read_folder(tmp_path)


class TestCommonVoice:
    @pytest.fixture
    def corpus(self, tmp_path: Path) -> Path:
        folder = tmp_path / "cv-corpus-20.0" / "de"
        header = "client_id\tpath\tsentence_id\tsentence\tup_votes\tage\tlocale\tsegment\n"
        for table, names in {"train": "ab", "dev": "c", "test": "d", "validated": "abcd"}.items():
            rows = [f'{name * 9}\t{name}.mp3\t7\t"Hallo", sagte er.\t2\t\tde\t\n' for name in names]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{table}.tsv").write_text(header + "".join(rows))
        for name in "abcd":
            record(folder / "clips" / f"{name}.mp3", format="MP3")
        return tmp_path

    def test_tables(self, corpus: Path) -> None:
        folder = find_language(corpus)
        assert folder == find_language(folder)
        assert summary(read_table(folder, "train")) == [
            ("a", "a.mp3", '"Hallo", sagte er.', "a" * 9),
            ("b", "b.mp3", '"Hallo", sagte er.', "b" * 9),
        ]
        assert len(read_table(folder, "validated")) == 4

    def test_what_is_left_out_is_named_with_its_table(self, corpus: Path) -> None:
        folder = find_language(corpus)
        (folder / "clips" / "b.mp3").unlink()
        left_out: list[str] = []
        assert len(read_table(folder, "train", left_out)) == 1
        table = folder / "train.tsv"
        assert left_out == [f"{table}: line 3: no file {folder / 'b.mp3'}, nor in clips/"]

    def test_a_language_must_be_chosen(self, corpus: Path) -> None:
        (corpus / "cv-corpus-20.0" / "fr" / "clips").mkdir(parents=True)
        with pytest.raises(CorpusError, match=r"folder of one language.*de, .*fr"):
            find_language(corpus)
        with pytest.raises(CorpusError, match="here: none"):
            find_language(corpus / "cv-corpus-20.0" / "de" / "clips")
