"""The CTC loss against every alignment written out, on cases small enough for it."""

import itertools

import pytest
import torch
from hypothesis import given, strategies as st

from asr.ctc import ctc_loss, frames_needed

VOCABULARY = 3


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    """Merge repeats and drop blanks, one frame at a time."""
    tokens, last = [], 0
    for token in path:
        if token not in (0, last):
            tokens.append(token)
        last = token
    return tuple(tokens)


def probabilities_of_all_texts(log_probs: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Sum the probability of every path into the text that it collapses to."""
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(VOCABULARY), repeat=len(log_probs)):
        logp = sum(float(log_probs[t, token]) for t, token in enumerate(path))
        text = collapse(path)
        found[text] = found.get(text, 0.0) + float(torch.tensor(logp, dtype=torch.float64).exp())
    return found


def random_log_probs(batch: int, frames: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, frames, VOCABULARY, generator=generator, dtype=torch.float64)
    return logits.log_softmax(2)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_equals_the_sum_over_all_alignments(frames: int):
    log_probs = random_log_probs(1, frames, seed=frames)
    expected = probabilities_of_all_texts(log_probs[0])
    texts = list(expected)
    width = max(map(len, texts))
    tokens = torch.tensor([[*text, *[1] * (width - len(text))] for text in texts])
    losses = ctc_loss(
        log_probs.expand(len(texts), -1, -1),
        torch.full((len(texts),), frames),
        tokens,
        torch.tensor([len(text) for text in texts]),
    )
    wanted = torch.tensor([expected[text] for text in texts], dtype=torch.float64)
    torch.testing.assert_close(losses.neg().exp(), wanted)
    assert float(losses.neg().exp().sum()) == pytest.approx(1.0)


def test_padding_of_a_batch_changes_nothing():
    log_probs = random_log_probs(2, 6)
    tokens, num_tokens = torch.tensor([[1, 2, 1], [2, 99, 99]]), torch.tensor([3, 1])
    num_frames = torch.tensor([6, 4])
    together = ctc_loss(log_probs, num_frames, tokens, num_tokens)
    for i in range(2):
        alone = ctc_loss(
            log_probs[i : i + 1, : num_frames[i]],
            num_frames[i : i + 1],
            tokens[i : i + 1, : num_tokens[i]],
            num_tokens[i : i + 1],
        )
        torch.testing.assert_close(together[i], alone[0])


def test_padded_frames_get_no_gradient():
    log_probs = random_log_probs(1, 5).requires_grad_()
    loss = ctc_loss(log_probs, torch.tensor([3]), torch.tensor([[1, 2]]), torch.tensor([2]))
    loss.sum().backward()
    assert log_probs.grad is not None
    assert log_probs.grad[0, :3].any(dim=1).all()
    assert not log_probs.grad[0, 3:].any()


@pytest.mark.parametrize(("tokens", "frames"), [([1, 1], 3), ([1, 2], 2), ([2, 2, 2], 5)])
def test_infinite_exactly_when_frames_do_not_suffice(tokens: list[int], frames: int):
    def loss(count: int) -> float:
        log_probs, lengths = random_log_probs(1, count), torch.tensor([count])
        return ctc_loss(log_probs, lengths, torch.tensor([tokens]), torch.tensor([len(tokens)]))[0]

    assert frames_needed(tokens) == frames
    assert torch.isfinite(loss(frames))
    assert torch.isposinf(loss(frames - 1))


@given(st.lists(st.integers(1, 2), max_size=4))
def test_frames_needed_is_the_shortest_path(tokens: list[int]):
    shortest = next(
        length
        for length in itertools.count()
        if any(
            collapse(path) == tuple(tokens)
            for path in itertools.product(range(VOCABULARY), repeat=length)
        )
    )
    assert frames_needed(tokens) == shortest
