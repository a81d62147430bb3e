"""The denominator of lattice-free MMI, against all paths written out one by one."""

from collections.abc import Sequence
from itertools import groupby, product
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from asr.checkpoint import TRIGRAM, load_trigram, save_trigram
from asr.distributed import threads
from asr.errors import CheckpointError, ConfigError
from asr.mmi import EDGE, log_denominator, mmi_loss, token_trigram

SIZE = 4  # the blank and three more tokens
TEXTS = [[1, 2, 3], [2, 2, 1], [3], [1, 1]]
COUNTS = [5, 4, 1]  # valid frames of each utterance


def trigram_of(texts: Sequence[Sequence[int]] = TEXTS) -> Tensor:
    return token_trigram(texts, SIZE).double()


def random_scores(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(len(COUNTS), max(COUNTS), SIZE, generator=generator, dtype=torch.float64)
    return (2 * scores).log_softmax(2).requires_grad_()


def log_weight(tokens: Sequence[int], trigram: Tensor) -> Tensor:
    padded = [EDGE, EDGE, *tokens, EDGE]
    rows = zip(padded, padded[1:], padded[2:], strict=False)
    return torch.stack([trigram[row].log() for row in rows]).sum()


def by_all_paths(log_probs: Tensor, trigram: Tensor) -> Tensor:
    """Of one utterance: each way to fill the frames, read as CTC reads it."""
    paths = []
    for path in product(range(SIZE), repeat=len(log_probs)):
        tokens = [token for token, _ in groupby(path) if token != EDGE]
        acoustic = torch.stack([log_probs[t, token] for t, token in enumerate(path)]).sum()
        paths.append(acoustic + log_weight(tokens, trigram))
    return torch.stack(paths).logsumexp(0)


@pytest.mark.parametrize("seed", range(3))
def test_sum_and_gradient_are_those_of_all_paths(seed: int):
    log_probs, trigram = random_scores(seed), trigram_of()
    rows = zip(log_probs, COUNTS, strict=True)
    expected = torch.stack([by_all_paths(row[:count], trigram) for row, count in rows])
    found = log_denominator(log_probs, torch.tensor(COUNTS), trigram)
    torch.testing.assert_close(found, expected)
    weights = torch.tensor([1.0, 2.0, -3.0])
    (ours,) = torch.autograd.grad((found * weights).sum(), log_probs)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), log_probs)
    torch.testing.assert_close(ours, theirs)


def test_it_is_summed_in_one_thread(monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    product = torch.bmm

    def watched(left: Tensor, right: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return product(left, right)

    monkeypatch.setattr(torch, "bmm", watched)
    with threads(3):
        log_denominator(random_scores(0), torch.tensor(COUNTS), trigram_of())
        assert torch.get_num_threads() == 3
    assert set(seen) == {1}


def test_posteriors_of_all_texts_sum_to_one():
    log_probs, trigram = random_scores(1)[:1, :4], trigram_of()
    lengths = range(5)  # as many tokens as there are frames, at most
    texts = [text for length in lengths for text in product(range(1, SIZE), repeat=length)]
    tokens = torch.tensor([[*text, *[2] * (4 - len(text))] for text in texts])  # padded with twos
    num_tokens = torch.tensor([len(text) for text in texts])
    several, num_frames = log_probs.expand(len(texts), -1, -1), torch.full((len(texts),), 4)
    losses = mmi_loss(several, num_frames, tokens, num_tokens, trigram)
    torch.testing.assert_close((-losses).exp().sum().item(), 1.0)


def test_padding_changes_nothing():
    log_probs, trigram = random_scores(0), trigram_of()
    alone = [
        log_denominator(row[None, :count], torch.tensor([count]), trigram)[0]
        for row, count in zip(log_probs, COUNTS, strict=True)
    ]
    with torch.no_grad():
        log_probs[1, 4:], log_probs[2, 1:] = float("nan"), float("-inf")
    together = log_denominator(log_probs, torch.tensor(COUNTS), trigram)
    torch.testing.assert_close(together, torch.stack(alone))
    (gradient,) = torch.autograd.grad(together.sum(), log_probs)
    assert gradient[1, 4:].eq(0).all() and gradient[2, 1:].eq(0).all()


def test_a_long_and_certain_recording_stays_finite():
    log_probs = (60 * torch.randn(1, 2000, SIZE)).log_softmax(2).requires_grad_()
    found = log_denominator(log_probs, torch.tensor([2000]), token_trigram(TEXTS, SIZE))
    (gradient,) = torch.autograd.grad(found.sum(), log_probs)
    assert found.isfinite().all() and found.item() < 0
    torch.testing.assert_close(gradient.sum(2), torch.ones(1, 2000))


@given(st.lists(st.lists(st.integers(1, SIZE - 1), max_size=6), max_size=5))
def test_trigram_is_a_distribution_in_every_context(texts: list[list[int]]):
    trigram = trigram_of(texts)
    assert (trigram > 0).all()
    torch.testing.assert_close(trigram.sum(2), torch.ones(SIZE, SIZE, dtype=torch.float64))


def test_trigram_by_hand():
    unigram = (4 + 4 * 1 / 4) / (13 + 4)  # 1 is 4 of 13 tokens and ends, of 4 kinds
    bigram = (2 + 3 * unigram) / (4 + 3)  # it begins 2 of 4 texts, which begin in 3 ways
    assert trigram_of()[EDGE, EDGE, 1].item() == pytest.approx((2 + 3 * bigram) / (4 + 3))


def test_too_many_tokens_are_refused():
    with pytest.raises(ConfigError, match=r"at most 100 tokens.*here are 101: set train.mmi=0"):
        token_trigram([[1]], 101)


def test_a_trigram_is_kept_with_a_model(tmp_path: Path):
    assert load_trigram(tmp_path, SIZE) is None
    save_trigram(tmp_path, trigram_of())
    found = load_trigram(tmp_path, SIZE)
    assert found is not None
    assert torch.equal(found, trigram_of())
    with pytest.raises(CheckpointError, match=rf"{TRIGRAM}: .* \(4, 4, 4\), for 5 tokens"):
        load_trigram(tmp_path, SIZE + 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        safetensors.torch.save({"other": torch.zeros(1)}),
        safetensors.torch.save({"trigram": torch.tensor(0.0)}),
        safetensors.torch.save({"trigram": torch.full((SIZE,) * 3, torch.nan)}),
        safetensors.torch.save({"trigram": torch.full((SIZE,) * 3, 1.0)}),
        safetensors.torch.save({"trigram": torch.eye(SIZE).expand(SIZE, -1, -1).contiguous()}),
        safetensors.torch.save({"trigram": torch.ones((SIZE,) * 3, dtype=torch.int64)}),
        safetensors.torch.save({"trigram": torch.ones(SIZE), "more": torch.zeros(2**16)}),
    ],
)
def test_a_trigram_that_is_damaged(tmp_path: Path, content: bytes):
    (tmp_path / TRIGRAM).write_bytes(content)
    with pytest.raises(CheckpointError, match="not the trigram of this model"):
        load_trigram(tmp_path, SIZE)


def test_a_trigram_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_trigram(tmp_path / "file", trigram_of())
