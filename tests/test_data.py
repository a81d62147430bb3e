"""Batches: what is in them, in which order, and that they can be made again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from speech import RATE_HZ, small_config, tone

from asr.audio import read_audio
from asr.config import Config
from asr.ctc import frames_needed
from asr.data import (
    Batch,
    Epoch,
    Example,
    Frames,
    LeftOut,
    Loader,
    change_speed,
    make_examples,
    plan_batches,
    trainable,
)
from asr.distributed import ProcessGroup
from asr.errors import AudioError, TrainingError, VocabularyError
from asr.features import Mfcc
from asr.lexicon import Pronunciations
from asr.manifest import Utterance, read_manifest
from asr.text import Normalizer, Vocabulary

VOCABULARY = Vocabulary.from_texts(["A B C"])
DURATIONS = st.lists(st.floats(0.1, 20.0), min_size=1, max_size=60).map(np.array)


def examples_of(manifest: Path) -> list[Example]:
    return make_examples(read_manifest(manifest), Normalizer(), VOCABULARY)


def loader_of(manifest: Path, config: Config, group: ProcessGroup = ProcessGroup()) -> Loader:  # noqa: B008
    return Loader(examples_of(manifest), Frames(config), config, group)


def example(duration: float, tokens: tuple[int, ...], phones: tuple[int, ...] = ()) -> Example:
    utterance = Utterance(id=f"u{duration:g}", audio=Path("u"), duration=duration, text="?")
    return Example(utterance, "?", tokens, phones)


@pytest.fixture
def spoken(tmp_path: Path) -> Pronunciations:
    """A is EY, B is B IY; C is not known."""
    (tmp_path / "lexicon.txt").write_text("A EY\nA(2) AH\nB B IY\n")
    return Pronunciations.read(tmp_path / "lexicon.txt", Normalizer())


def flat(lists: list[list]) -> list:
    return [item for items in lists for item in items]


def ids(batches: list[Batch | None]) -> list[list[str]]:
    return [[e.utterance.id for e in batch.examples] for batch in batches if batch]


@given(DURATIONS, st.one_of(st.none(), st.integers(0, 1000)))
def test_plan_holds_each_index_once_in_batches_that_fit(durations: np.ndarray, seed: int | None):
    order = None if seed is None else np.random.default_rng(seed)
    plan = plan_batches(durations, 20.0, order)
    assert sorted(flat(plan)) == list(range(len(durations)))
    for batch in plan:
        assert len(batch) * durations[batch].max() <= 20.0


@given(DURATIONS)
def test_plan_without_an_order_goes_from_short_to_long(durations: np.ndarray):
    indices = flat(plan_batches(durations, 30.0, None))
    assert (np.diff(durations[indices]) >= 0).all()


def test_an_utterance_longer_than_a_batch_is_a_batch():
    assert plan_batches(np.array([50.0, 1.0, 2.0]), 10.0, None) == [[1, 2], [0]]


def test_padding_is_little():
    rng = np.random.default_rng(0)
    # read speech: many utterances of 10 to 16 seconds, a tail of short ones
    durations = np.clip(np.where(rng.random(1000) < 0.7, rng.normal(13, 2, 1000), 6), 1.5, 17)
    durations = durations - rng.uniform(0, 1, 1000)
    plan = plan_batches(durations, 120.0, rng)
    padded = sum(len(batch) * durations[batch].max() for batch in plan)
    padding = Epoch(plan, durations, lambda indices: indices).padding
    assert padding == pytest.approx(1 - durations.sum() / padded)
    assert padding < 0.05


def test_a_slice_of_an_epoch_makes_its_batches_only():
    made = []
    epoch = Epoch([[2, 3], [4], [0, 1]], np.array([1, 1, 1, 4, 2]), lambda b: made.append(b) or b)
    assert epoch.padding == 3 / 12
    rest = epoch[1:]
    assert (len(epoch), len(rest), rest.padding) == (3, 2, 0)
    assert list(rest) == made == [[4], [0, 1]]


def test_examples_are_normalised_and_encoded(tones: Path):
    first, utterance = examples_of(tones)[0], read_manifest(tones)[0]
    assert first.text == utterance.text
    assert VOCABULARY.decode(first.tokens) == first.text


def test_phones_are_those_of_all_words_or_none(spoken: Pronunciations):
    texts = {"A B A": "EY B IY EY", "a, b!": "EY B IY", "A B C": "", "": ""}
    utterances = [Utterance(id=t, audio=Path("u.wav"), duration=1.0, text=t) for t in texts]
    examples = make_examples(utterances, Normalizer(), VOCABULARY, spoken)
    assert {e.utterance.text: spoken.phones.decode(e.phones) for e in examples} == texts
    assert [VOCABULARY.decode(e.tokens) for e in examples] == ["A B A", "A B", "A B C", ""]
    without = make_examples(utterances, Normalizer(), VOCABULARY)
    assert not any(e.phones for e in without)
    assert [e.tokens for e in without] == [e.tokens for e in examples]


def test_symbols_that_the_vocabulary_lacks():
    utterance = Utterance(id="u7", audio=Path("u.wav"), duration=1.0, text="A X")
    with pytest.raises(VocabularyError, match="u7"):
        make_examples([utterance], Normalizer(), VOCABULARY)


def test_what_cannot_be_trained_on_is_counted_and_left_out():
    config = small_config(augment={"speeds": [1.0, 2.0]})  # 3 s at most, a frame each 30 ms
    good = example(0.30, (1, 2, 3, 1, 2))  # 5 frames at twice the speed
    long, empty = example(3.1, (1,)), example(1.0, ())
    short, repeat = example(0.29, (1, 2, 3, 1, 2)), example(0.30, (1, 2, 3, 1, 1))
    kept, left_out = trainable([long, good, empty, short, repeat], config)
    assert kept == [good]
    assert left_out == LeftOut(too_long=("u3.1",), too_short=("u0.29", "u0.3"), empty=("u1",))
    assert "1 (u3.1) longer than data.max_utterance_s, 2 (u0.29, u0.3) with" in str(left_out)
    assert "0 with more labels" in str(LeftOut(("a",), (), ("c",)))
    assert "4 (a, b, c ...) without text" in str(LeftOut((), (), ("a", "b", "c", "d")))
    with pytest.raises(TrainingError, match=r"no utterance can be trained on: 1 \(u3.1\) longer"):
        trainable([long], config)


def test_too_short_for_its_phones_is_left_out():
    config = small_config()  # a frame each 30 ms
    few, enough = example(0.11, (1,), (1, 2, 3, 4)), example(0.13, (1,), (1, 2, 3, 4))
    repeat, silent = example(0.14, (1,), (1, 2, 2, 3)), example(0.04, (1,))
    kept, left_out = trainable([few, enough, repeat, silent], config)
    assert kept == [enough, silent]
    assert left_out.too_short == ("u0.11", "u0.14")


@given(
    st.floats(0.02, 1.0),
    st.lists(st.integers(1, 2), min_size=1, max_size=12).map(tuple),
    st.lists(st.integers(1, 2), max_size=12).map(tuple),
)
def test_what_is_kept_has_frames_for_both(duration: float, tokens: tuple, phones: tuple):
    always = example(3.0, (1,))
    kept, _ = trainable([always, example(duration, tokens, phones)], small_config())
    frames = duration / 0.03
    assert (len(kept) == 2) == all(frames_needed(ids) <= frames for ids in (tokens, phones))


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_speed_changes_length_and_pitch(speed: float):
    waveform = tone(1000.0, 1.0)
    faster = change_speed(waveform, speed)
    assert len(faster) == pytest.approx(RATE_HZ / speed, abs=2)
    peak = np.abs(np.fft.rfft(faster, RATE_HZ)).argmax()  # bins of 1 Hz
    assert peak == pytest.approx(1000 * speed, abs=2)
    assert np.abs(faster).max() == pytest.approx(0.3, abs=0.01)


def test_frames_are_those_of_the_front_end(tones: Path):
    config, utterance = small_config(), read_manifest(tones)[0]
    waveform = read_audio(utterance.audio, sample_rate_hz=RATE_HZ).waveform
    expected, _ = Mfcc(config.features).log_mel(
        torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])
    )
    exact = Frames(small_config(data={"cache": "none"}))(utterance, 1.0)
    assert torch.equal(exact, expected[0])

    frames = Frames(config)
    first = frames(utterance, 1.0)
    torch.testing.assert_close(first, exact, atol=1e-2, rtol=1e-3)  # kept as float16
    utterance.audio.unlink()
    assert torch.equal(frames(utterance, 1.0), first)
    with pytest.raises(AudioError):
        frames(utterance, 1.1)


def test_an_id_of_another_manifest_is_another_utterance(tones: Path):
    """Recordings of training and validation can have the same names, in two folders."""
    first, second = read_manifest(tones)[:2]
    alike = replace(second, id=first.id)
    frames = Frames(small_config())
    assert not torch.equal(frames(first, 1.0), frames(alike, 1.0))
    assert torch.equal(frames(alike, 1.0), frames(second, 1.0))


def test_a_piece_of_a_recording(tones: Path):
    whole = read_manifest(tones)[0]
    half = Utterance(id="h", audio=whole.audio, start=0.1, duration=0.2, text="A")
    frames = Frames(small_config())
    assert len(frames(half, 1.0)) == 1 + 1600 // 80


def test_batch_is_padded(tones: Path):
    config = small_config()
    for batch in loader_of(tones, config).in_order():
        assert batch is not None
        for i, item in enumerate(batch.examples):
            count = batch.num_frames[i]
            assert count == 1 + round(item.utterance.duration * RATE_HZ) // 80
            assert not batch.log_mel[i, count:].any()
            assert tuple(batch.tokens[i, : batch.num_tokens[i]].tolist()) == item.tokens
        assert batch.log_mel.shape == (len(batch.examples), batch.num_frames.max(), 16)


def test_phones_of_a_batch_are_padded(tones: Path, spoken: Pronunciations):
    config = small_config()
    examples = make_examples(read_manifest(tones), Normalizer(), VOCABULARY, spoken)
    assert {bool(item.phones) for item in examples} == {True, False}  # some say C
    for batch in Loader(examples, Frames(config), config, ProcessGroup()).in_order():
        assert batch is not None
        assert batch.num_phones.tolist() == [len(item.phones) for item in batch.examples]
        assert batch.phones.shape == (len(batch.examples), max(batch.num_phones))
        assert batch.phones.dtype == torch.int64
        for item, row, count in zip(batch.examples, batch.phones, batch.num_phones, strict=True):
            assert tuple(row[:count].tolist()) == item.phones
            assert not row[count:].any()
        moved = batch.to(torch.device("meta"))
        assert moved.examples == batch.examples
        assert (moved.phones.shape, moved.phones.device.type) == (batch.phones.shape, "meta")
        assert moved.num_phones.shape == batch.num_phones.shape


def test_a_batch_without_phones_has_empty_rows(tones: Path):
    for batch in loader_of(tones, small_config()).in_order():
        assert batch is not None
        assert batch.phones.shape == (len(batch.examples), 0)
        assert not batch.num_phones.any()


def test_in_order_is_every_utterance_unchanged(tones: Path):
    config = small_config(augment={"speeds": [0.8]})
    batches = list(loader_of(tones, config).in_order())
    assert sorted(flat(ids(batches))) == sorted(f"u{i}" for i in range(24))
    lengths = [int(count) for batch in batches if batch for count in batch.num_frames]
    assert lengths == sorted(lengths)


def tensors(batches: list[Batch | None]) -> list[torch.Tensor]:
    return [t for b in batches if b for t in (b.log_mel, b.num_frames, b.tokens, b.num_tokens)]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_epoch_can_be_made_again(tones: Path, workers: int):
    config = small_config(augment={"speeds": [0.9, 1.0, 1.1]}, data={"workers": workers})
    first, again, other = (
        list(loader_of(tones, config).training_epoch(epoch)) for epoch in (1, 1, 2)
    )
    assert ids(first) == ids(again)
    assert all(map(torch.equal, tensors(first), tensors(again)))
    assert ids(first) != ids(other)
    assert sorted(flat(ids(first))) == sorted(flat(ids(other)))


def test_the_seed_changes_an_epoch(tones: Path):
    plans = [
        ids(list(loader_of(tones, small_config(train={"seed": seed})).training_epoch(1)))
        for seed in (1, 2)
    ]
    assert plans[0] != plans[1]


def test_the_first_epoch_goes_from_short_to_long(tones: Path):
    epoch = loader_of(tones, small_config()).training_epoch(0)
    longest = [int(batch.num_frames.max()) for batch in epoch if batch]
    assert len(longest) == len(epoch) > 2
    assert longest == sorted(longest)


def test_speeds_are_drawn(tones: Path):
    config = small_config(augment={"speeds": [0.5, 2.0]})
    ratios = [
        float(count) / (item.utterance.duration * 100)
        for batch in loader_of(tones, config).training_epoch(1)
        if batch
        for item, count in zip(batch.examples, batch.num_frames, strict=True)
    ]
    slow = sum(ratio > 1.5 for ratio in ratios)
    assert 0 < slow < len(ratios)
    assert all(ratio == pytest.approx(2.0 if ratio > 1.5 else 0.5, rel=0.1) for ratio in ratios)


@pytest.mark.parametrize("size", [2, 3])
def test_shares_of_a_group_make_up_the_batches_of_one_process(tones: Path, size: int):
    config = small_config(augment={"speeds": [0.9, 1.1]})
    whole = ids(list(loader_of(tones, config).training_epoch(1)))
    shares = [
        list(loader_of(tones, config, ProcessGroup(rank, size)).training_epoch(1))
        for rank in range(size)
    ]
    for position, batch in enumerate(whole):
        parts = [share[position] for share in shares]
        assert sorted(flat(ids(parts))) == sorted(batch)


def test_an_empty_share_is_none(tones: Path):
    config = small_config(data={"batch_s": 3.0})
    shares = list(loader_of(tones, config, ProcessGroup(7, 8)).training_epoch(1))
    assert None in shares


def test_an_unreadable_recording_ends_the_epoch(tones: Path):
    bad = read_manifest(tones)[5].audio
    bad.write_bytes(b"this is no recording")
    with pytest.raises(AudioError, match=bad.name):
        list(loader_of(tones, small_config()).training_epoch(0))


def test_an_epoch_that_is_left_early_stops_its_threads(tones: Path):
    import threading

    batches = iter(loader_of(tones, small_config()).training_epoch(0))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name.startswith("batches"):
            thread.join(5)
            assert not thread.is_alive()
