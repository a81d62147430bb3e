"""What training says: two short lines an epoch, and an end that names what would help."""

import json
from pathlib import Path

import pytest

from asr.config import TrainConfig
from asr.training.speakers import known_speakers, save_speakers
from asr.training.story import advice, amount_of_speech, closing_lines, epoch_lines

FIGURES = {
    "train_loss": 1.23456, "valid_loss": 1.5, "valid_error": 0.9, "valid_cer": 0.31,
    "valid_wer": 0.654, "valid_per": 0.262, "valid_decoded_wer": 0.2519, "seconds": 71.7,
    "audio_s_per_s": 36.8, "skipped_steps": 2, "grad_norm": 1.0, "blank_rate": 0.5,
}  # fmt: skip


RUN = TrainConfig(epochs=200)


def test_two_lines_of_at_most_a_hundred_columns() -> None:
    lines = epoch_lines(120, RUN, FIGURES, 599.0 * 60 * 120 / 80, 120)
    assert lines[0] == (
        "epoch 120/200  loss 1.235, held out 1.500  WER 25.2% with the language model, "
        "the best so far"
    )
    assert lines[1] == " " * 15 + (
        "1.2 min, 10.0 hours left; characters 31.0%, phones 26.2% wrong; 37 x real time"
    )
    assert all(len(line) <= 100 for line in lines)


def test_without_a_language_model_the_error_is_greedy() -> None:
    greedy = {key: value for key, value in FIGURES.items() if "decoded" not in key}
    first, _ = epoch_lines(1, TrainConfig(epochs=2), greedy, 60.0, 0)
    assert first.endswith("WER 65.4% greedy")
    words = {key: FIGURES[key] for key in ("train_loss", "valid_loss", "valid_error", "seconds")}
    assert "error 0.9" in epoch_lines(1, RUN, words, 60.0, 0)[0]  # of a language model's LSTM


def test_the_end_of_patience_is_told_in_one_line() -> None:
    run = TrainConfig(epochs=200, patience=2)
    lines = epoch_lines(119, run, FIGURES, 60.0, 118)
    assert len(lines) == 2
    assert "at most 1 min left" in lines[1]
    assert epoch_lines(120, run, FIGURES, 60.0, 118)[2] == (
        "training ends after epoch 120 of 200: none was better than epoch 118 for 2 epochs "
        "(train.patience)"
    )
    assert len(epoch_lines(200, run, FIGURES, 60.0, 198)) == 2  # all epochs are done anyhow


def curve(*errors: float, **more: float) -> list[dict[str, float]]:
    return [{**FIGURES, "valid_error": error, **more} for error in errors]


@pytest.mark.parametrize(
    ("epochs", "with_lm", "with_phones", "hours", "said"),
    [
        (curve(1, 0.99, valid_decoded_wer=0.97), True, True, 1, "hardly listens yet"),
        (curve(9, 5, 4, 3), False, False, 1, "a language model: asr-lm train"),
        (curve(9, 5, 4, 3), True, True, 1, "more epochs, the error still falls: --resume train.ep"),
        (curve(9, 5, 4, 4), True, False, 1, "a pronouncing dictionary"),
        (curve(9, 5, 4, 4), True, True, 1, "more speech than 1.0 hours"),
        (curve(9, 5, 4, 4), True, True, 100, "a larger network"),
        (curve(9, 5, 4, 4, valid_loss=5.0), True, True, 100, "more speech than 100.0 hours"),
    ],
)
def test_what_would_help_most(
    epochs: list[dict[str, float]], with_lm: bool, with_phones: bool, hours: float, said: str
) -> None:
    best = min(range(len(epochs)), key=lambda i: epochs[i]["valid_error"])
    assert said in advice(epochs, best, with_lm, with_phones, hours)


def test_the_end_names_the_best_epoch_and_the_next_commands(tmp_path: Path) -> None:
    lines = [json.dumps(figures) for figures in curve(3, 2, 4)]
    (tmp_path / "log.jsonl").write_text("".join(f"{line}\n" for line in lines))
    said = closing_lines(tmp_path, with_lm=True, with_phones=True, hours=1.0)
    assert said[0].startswith("done: best epoch 2 of 3, WER 25.2% with the language model: errors")
    assert said[1].endswith(f"asr-transcribe --model {tmp_path} talk.wav")
    assert said[2].endswith(f"asr-evaluate {tmp_path} test.jsonl --out {tmp_path / 'test'}")
    assert said[3].startswith("what would help most next: more speech")


def test_an_epoch_that_is_best_without_the_lowest_wer_is_explained(tmp_path: Path) -> None:
    epochs = [*curve(3, valid_decoded_wer=0.2), *curve(2, valid_decoded_wer=0.21)]
    for lines, explained in ((epochs, True), (epochs[1:], False)):
        (tmp_path / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        done = closing_lines(tmp_path, with_lm=True, with_phones=True, hours=1.0)[0]
        assert ("it was chosen by a loss or the phones" in done) == explained


def test_short_amounts_are_in_minutes() -> None:
    assert [amount_of_speech(hours) for hours in (0.001, 1 / 60, 0.05, 0.73, 0.96, 12.34)] == [
        "1 minute", "1 minute", "3 minutes", "44 minutes", "1.0 hours", "12.3 hours",
    ]  # fmt: skip


def test_speakers_are_known_again_by_hashes_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    save_speakers(first, ["anna", None, "ben"])
    save_speakers(second, ["carl"], init=first)
    assert known_speakers(second, ["anna", "dora", "carl", None]) == ["anna", "carl"]
    assert "anna" not in (first / "speakers.txt").read_text()
    save_speakers(tmp_path / "none", [None])
    assert not (tmp_path / "none").exists()
    assert known_speakers(tmp_path / "none", ["anna"]) == []


def test_the_english_model_knows_its_speakers() -> None:
    from folders import ENGLISH

    names = ["LJ", "cathy", "19", "8226", "5105", "anna"]
    assert known_speakers(ENGLISH, names) == ["19", "8226", "LJ", "cathy"]
    assert len((ENGLISH / "speakers.txt").read_text().split()) == 616  # as MODEL_CARD.md says
