"""LibriSpeech and FSDD: layouts, splits, durations, and one clear error for each fault."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from corpus_files import chapter, record, summary
from folders import real_material

from asr._install import install
from asr.audio import read_audio
from asr.corpora.entries import audio_duration, recordings_by_name
from asr.corpora.folder import read_folder
from asr.corpora.fsdd import read_fsdd, splits
from asr.corpora.librispeech import find_subset, read_librispeech, subset_names
from asr.corpora.table import read_csv
from asr.errors import AudioError, ConfigError, CorpusError, MissingReaderError


def encoded(path: Path, seconds: float) -> Path:
    """Write a recording in the format of its extension, by ffmpeg."""
    if not (ffmpeg := shutil.which("ffmpeg")):
        pytest.skip("no ffmpeg to encode with")
    wav = record(path.with_suffix(".source"), seconds, format="WAV")
    subprocess.run([ffmpeg, "-v", "error", "-i", wav, path], check=True)
    wav.unlink()
    return path


class TestAudioDuration:
    @pytest.mark.parametrize(
        "form", ["WAV", "FLAC", "OGG", "AIFF", "MP3"], ids=lambda form: form.lower()
    )
    def test_comes_from_the_header_whatever_the_extension(self, tmp_path: Path, form: str) -> None:
        path = record(tmp_path / "a.raw", 0.75, format=form)
        # MP3 pads to whole frames of 1152 samples
        assert audio_duration(path) == pytest.approx(0.75, abs=0.3 if form == "MP3" else 1e-9)

    @pytest.mark.parametrize(
        ("content", "remedy"),
        [
            (b"", r"is empty \(0 bytes\); record or copy it again, or leave it out"),
            (b"RIFF", "convert it to WAV or FLAC"),
            (b"not audio at all" * 100, "convert it to WAV or FLAC"),
        ],
    )
    def test_no_audio(self, tmp_path: Path, content: bytes, remedy: str) -> None:
        (tmp_path / "a.wav").write_bytes(content)
        with pytest.raises(AudioError, match=rf"a\.wav: .*{remedy}"):
            audio_duration(tmp_path / "a.wav")

    @pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.mp4"])
    def test_what_phones_record_is_measured_by_decoding(self, tmp_path: Path, name: str) -> None:
        pytest.importorskip("av", reason="PyAV is not installed")
        path = encoded(tmp_path / name, 2.5)
        assert audio_duration(path) == pytest.approx(2.5, abs=0.1)  # codecs pad
        assert read_audio(path, duration=audio_duration(path)).quality.duration > 2.4

    def test_what_phones_record_without_its_reader(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = encoded(tmp_path / "a.m4a", 1.0)
        (tmp_path / "a.txt").write_text("hello")
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(MissingReaderError, match=r"without the package av .* leave it out"):
            audio_duration(path)
        left_out: list[str] = []
        record(tmp_path / "b.wav", 1.0)
        (tmp_path / "b.txt").write_text("hello")
        assert [item.id for item in read_folder(tmp_path, left_out)] == ["b"]
        (complaint,) = left_out
        assert complaint.startswith(f"{path}: is MPEG-4") and install("media") in complaint

    def test_a_folder_and_a_table_of_what_phones_record(self, tmp_path: Path) -> None:
        pytest.importorskip("av", reason="PyAV is not installed")
        encoded(tmp_path / "one.m4a", 1.0)
        (tmp_path / "one.txt").write_text("hello")
        (item,) = read_folder(tmp_path)
        assert (item.id, item.text) == ("one", "hello")
        (tmp_path / "metadata.csv").write_text("audio,text\none,hello\n")  # no extension
        assert [item.audio.name for item in read_csv(tmp_path / "metadata.csv")] == ["one.m4a"]

    def test_no_samples(self, tmp_path: Path) -> None:
        with pytest.raises(AudioError, match="a length of 0 s"):
            audio_duration(record(tmp_path / "a.wav", 0))

    @pytest.mark.parametrize("name", ["nope.wav", "zero\0byte.wav", "."])
    def test_no_file(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(AudioError, match="check the path"):
            audio_duration(tmp_path / name)


class TestLibrispeech:
    def test_layout_with_any_audio_extension(self, tmp_path: Path) -> None:
        one = chapter(tmp_path, "19", "198", "19-198-0001  TWO  WORDS ", "19-198-0000 ONE")
        two = chapter(tmp_path, "100", "7", "100-7-0000 ÉTÉ")
        record(one / "19-198-0000.flac", 0.5)
        record(one / "19-198-0001.WAV", 1.25)
        record(two / "100-7-0000.ogg", 0.25)
        (two / "100-7-0000.TextGrid").write_text("an alignment")
        (two / "._100-7-0000.wav").write_text("what another system leaves")
        utterances = read_librispeech(tmp_path)
        assert summary(utterances) == [
            ("100-7-0000", "100-7-0000.ogg", "ÉTÉ", "100"),
            ("19-198-0001", "19-198-0001.WAV", "TWO WORDS", "19"),
            ("19-198-0000", "19-198-0000.flac", "ONE", "19"),
        ]
        assert [item.duration for item in utterances] == [0.25, 1.25, 0.5]
        assert {item.start for item in utterances} == {0.0}

    def test_lossless_original_is_chosen_among_copies(self, tmp_path: Path) -> None:
        for suffix in ("mp3", "wav", "flac", "ogg"):
            (tmp_path / f"a.{suffix}").touch()
        assert recordings_by_name(tmp_path) == {"a": tmp_path / "a.flac"}

    def test_all_faults_are_found_and_the_first_are_named(self, tmp_path: Path) -> None:
        folder = chapter(tmp_path, "1", "2", "1-2-0000 A", "1-2-0000 A", "1-2-0001", "1-2-0002 C")
        for number in (0, 3, 4, 5, 6):
            record(folder / f"1-2-000{number}.wav")
        with pytest.raises(CorpusError) as caught:
            read_librispeech(tmp_path)
        message = str(caught.value)
        assert "line 2: 1-2-0000 has a transcript already" in message
        assert "line 3: '1-2-0001' is not 'ID TEXT'" in message
        assert "1-2-0002: a transcript without audio" in message
        assert "1-2-0003.wav: audio without a transcript" in message
        assert "1-2-0005" not in message
        assert message.endswith("and 2 more like these")

    def test_unreadable_recordings_are_named(self, tmp_path: Path) -> None:
        folder = chapter(tmp_path, "1", "2", "1-2-0000 A", "1-2-0001 B")
        record(folder / "1-2-0000.wav")
        (folder / "1-2-0001.flac").write_bytes(b"cut")
        with pytest.raises(CorpusError, match=r"1-2-0001\.flac: .*leave it out"):
            read_librispeech(tmp_path)

    def test_folder_without_chapters(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match=r"no SPEAKER/CHAPTER/\*\.trans\.txt"):
            read_librispeech(tmp_path)

    def test_subsets_are_found_from_the_folder_or_its_parent(self, tmp_path: Path) -> None:
        home = tmp_path / "LibriSpeech"
        for name in ("my own", "dev-clean"):
            chapter(home / name, "1", "2", "1-2-0000 A")
        (home / "doc").mkdir()
        for root in (home, tmp_path):
            assert subset_names(root) == ["dev-clean", "my own"]
            assert find_subset(root, "my own") == home / "my own"
        with pytest.raises(CorpusError, match=r"no subset 'x' in it; found: dev-clean, my own$"):
            find_subset(home, "x")
        with pytest.raises(CorpusError, match="--download fetches it"):
            find_subset(home, "dev-other")
        with pytest.raises(CorpusError, match="no such folder"):
            find_subset(tmp_path / "nope", "dev-clean")


class TestFsdd:
    @pytest.fixture
    def corpus(self, tmp_path: Path) -> Path:
        for speaker in ("theo", "ann", "bob", "van_dyk"):
            for take in (0, 4, 5, 9, 10, 49):
                record(tmp_path / "recordings" / f"7_{speaker}_{take}.wav", 0.125)
        return tmp_path

    def test_names_become_words_and_speakers(self, corpus: Path) -> None:
        utterances = read_fsdd(corpus)
        assert utterances == read_fsdd(corpus / "recordings")
        assert len(utterances) == 24
        assert summary(utterances)[-1] == ("7_van_dyk_9", "7_van_dyk_9.wav", "seven", "van_dyk")
        assert utterances[0].duration == 0.125

    def test_every_digit_is_its_word(self, tmp_path: Path) -> None:
        for digit in range(10):
            record(tmp_path / f"{digit}_ann_0.wav")
        assert [item.text for item in read_fsdd(tmp_path)] == [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
        ]

    def test_splits(self, corpus: Path) -> None:
        parts = splits(read_fsdd(corpus))
        speakers = {name: {item.speaker for item in part} for name, part in parts.items()}
        assert (speakers["test"], speakers["valid"]) == ({"theo"}, {"ann"})
        assert speakers["train"] == {"bob", "van_dyk"}
        takes = {
            name: {int(item.id.split("_")[-1]) for item in part} for name, part in parts.items()
        }
        assert (takes["all-test"], takes["all-valid"]) == ({0, 4}, {5, 9})
        assert takes["all-train"] == {10, 49}
        assert speakers["all-test"] == {"ann", "bob", "theo", "van_dyk"}
        for prefix in ("", "all-"):
            ids = [item.id for kind in ("train", "valid", "test") for item in parts[prefix + kind]]
            assert len(ids) == len(set(ids)) == 24

    def test_other_speakers_can_be_chosen(self, corpus: Path) -> None:
        parts = splits(read_fsdd(corpus), test_speaker="ann", valid_speaker="theo")
        assert {item.speaker for item in parts["test"]} == {"ann"}
        assert {item.speaker for item in parts["valid"]} == {"theo"}

    @pytest.mark.parametrize(("test", "valid"), [("eve", None), ("theo", "eve"), ("ann", "ann")])
    def test_speakers_that_cannot_be(self, corpus: Path, test: str, valid: str | None) -> None:
        with pytest.raises(ConfigError, match=f"speaker '{valid or test}': .*bob"):
            splits(read_fsdd(corpus), test, valid)

    def test_too_few_speakers(self, corpus: Path) -> None:
        two = [item for item in read_fsdd(corpus) if item.speaker in ("theo", "ann")]
        with pytest.raises(ConfigError, match="three are needed"):
            splits(two)

    def test_other_names_missing_and_empty_folders(self, tmp_path: Path) -> None:
        with pytest.raises(CorpusError, match="holds no utterances"):
            read_fsdd(tmp_path)
        record(tmp_path / "hello.wav")
        with pytest.raises(CorpusError, match=r"hello\.wav: not DIGIT_SPEAKER_TAKE"):
            read_fsdd(tmp_path)
        with pytest.raises(CorpusError, match="no such folder"):
            read_fsdd(tmp_path / "nope")


def test_real_corpora_have_the_published_sizes() -> None:
    data = real_material("data")
    dev = read_librispeech(find_subset(data, "dev-wide"))
    assert (len(dev), len({item.speaker for item in dev})) == (697, 10)
    assert sum(item.duration for item in dev) / 3600 == pytest.approx(1.35, abs=0.005)
    reader = read_csv(data / "cathy" / "metadata.csv")
    assert (len(reader), {item.speaker for item in reader}) == (1132, {"cathy"})
    assert sum(item.duration for item in reader) / 3600 == pytest.approx(0.95, abs=0.005)
