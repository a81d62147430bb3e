"""What is minimised, against torch's own CTC and divergence, written out for each utterance."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from speech import small_config
from torch import Tensor
from torch.nn.functional import ctc_loss, kl_div

from asr.config import TrainConfig
from asr.ctc import frames_needed
from asr.data import Batch, Frames, Loader, make_examples
from asr.distributed import ProcessGroup
from asr.errors import ConfigError
from asr.lexicon import Pronunciations
from asr.manifest import read_manifest
from asr.mmi import log_denominator, log_prior, mmi_loss, token_trigram
from asr.objective import AcousticTask, Losses, Objective, consistency_loss
from asr.text import Normalizer, Vocabulary
from asr.train import seeded

FRAMES, NUM_TOKENS, NUM_PHONES = 14, 5, 7
COUNTS = [14, 11, 9]  # valid frames of each utterance
TOKENS: list[list[int]] = [[1, 2, 2, 3], [4], [3, 1, 3]]
PHONES: list[list[int]] = [[6, 5, 4, 4], [], [1, 2]]  # the second teaches none
NO_PHONES: list[list[int]] = [[], [], []]


def padded(rows: list[list[int]], value: int = 0) -> tuple[Tensor, Tensor]:
    """Rows as a table, and their lengths."""
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    table = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
    return table, torch.tensor([len(row) for row in rows])


def batch_of(phones: list[list[int]] = PHONES) -> Batch:
    log_mel = torch.zeros(3, FRAMES, 2)
    return Batch((), log_mel, torch.tensor(COUNTS), *padded(TOKENS), *padded(phones))


def make_outputs(views: int, seed: int = 0) -> list[Tensor]:
    """Log-probabilities of tokens and phones that have a gradient, doubles."""
    generator = torch.Generator().manual_seed(seed)
    scores = [
        torch.randn(3 * views, FRAMES, size, generator=generator, dtype=torch.float64) * 2
        for size in (NUM_TOKENS, NUM_PHONES)
    ]
    return [score.log_softmax(2).requires_grad_() for score in scores]


def frames_of(views: int) -> Tensor:
    return torch.tensor(COUNTS * views)


def judge(outputs: list[Tensor], batch: Batch, **train: float) -> Losses:
    objective = Objective(TrainConfig(**train))
    return objective(outputs, frames_of(objective.views), batch)


def ctc_by_torch(log_probs: Tensor, rows: list[list[int]]) -> Tensor:
    """The loss of all that have something to be read, one after the other, without padding."""
    loss = torch.zeros((), dtype=torch.float64)
    for one, count, row in zip(log_probs, COUNTS, rows, strict=True):
        if row:
            loss = loss + ctc_loss(one[:count], torch.tensor(row), (count,), (len(row),), 0, "sum")
    return loss


def views_of(log_probs: Tensor) -> tuple[Tensor, Tensor]:
    return log_probs[:3], log_probs[3:]


def divergence_by_torch(log_probs: Tensor) -> Tensor:
    """Mean of both directions, the target detached, over the valid frames alone."""
    total = torch.zeros((), dtype=torch.float64)
    for one, other, count in zip(*views_of(log_probs), COUNTS, strict=True):
        for view, target in ((one, other), (other, one)):
            pair = view[:count], target[:count].detach()
            total = total + kl_div(*pair, reduction="sum", log_target=True) / 2
    return total


def gradients(loss: Tensor, outputs: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(loss, outputs, allow_unused=True)
    return [
        torch.zeros_like(output) if gradient is None else gradient
        for output, gradient in zip(outputs, found, strict=True)
    ]


def assert_same(loss: Tensor, expected: Tensor, outputs: list[Tensor]) -> None:
    """Two losses are equal, and so are their gradients."""
    torch.testing.assert_close(loss, expected)
    for ours, theirs in zip(gradients(loss, outputs), gradients(expected, outputs), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_tokens_and_phones_share_the_loss(weight: float):
    outputs = make_outputs(1)
    losses = judge(outputs, batch_of(), phone_weight=weight)
    tokens, phones = map(ctc_by_torch, outputs, (TOKENS, PHONES))
    assert_same(losses.total, (1 - weight) * tokens + weight * phones, outputs)
    torch.testing.assert_close(losses.tokens, tokens)


def test_without_an_output_over_phones_the_loss_is_that_of_the_tokens():
    outputs = make_outputs(1)[:1]
    losses = judge(outputs, batch_of(NO_PHONES), phone_weight=0.9)
    assert torch.equal(losses.total, losses.tokens)
    assert_same(losses.total, ctc_by_torch(outputs[0], TOKENS), outputs)


def test_an_utterance_without_phones_adds_nothing_to_their_part():
    outputs = make_outputs(1)
    losses = judge(outputs, batch_of(), phone_weight=1.0)
    (_, of_phones) = gradients(losses.total, outputs)
    assert of_phones[[0, 2]].any()
    assert not of_phones[1].any()


@pytest.mark.parametrize("consistency", [0.0, 0.2])
def test_a_batch_without_any_phones_teaches_the_tokens_alone(consistency: float):
    outputs = make_outputs(2 if consistency else 1)
    losses = judge(outputs, batch_of(NO_PHONES), phone_weight=0.3, consistency=consistency)
    views = views_of(outputs[0]) if consistency else outputs[:1]
    expected = 0.7 * sum(ctc_by_torch(view, TOKENS) for view in views) / len(views)
    if consistency:  # which needs no transcript
        disagreements = map(divergence_by_torch, outputs)
        expected += sum(s * consistency * d for s, d in zip((0.7, 0.3), disagreements, strict=True))
    assert_same(losses.total, expected, outputs)


def test_padded_tokens_may_be_anything():
    outputs = make_outputs(1)
    zeros = batch_of()
    tokens, phones = padded(TOKENS, 3)[0], padded(PHONES, 5)[0]
    others = Batch(
        (), zeros.log_mel, zeros.num_frames, tokens, zeros.num_tokens, phones, zeros.num_phones
    )
    assert torch.equal(judge(outputs, others).total, judge(outputs, zeros).total)


@pytest.mark.parametrize("with_phones", [True, False])
def test_two_views_are_the_mean_of_each_and_their_divergence(with_phones: bool):
    outputs = make_outputs(2)[: 1 + with_phones]
    losses = judge(outputs, batch_of(), phone_weight=0.3, consistency=0.2)
    parts = []
    for log_probs, rows in zip(outputs, (TOKENS, PHONES), strict=False):
        ctc = sum(ctc_by_torch(view, rows) for view in views_of(log_probs)) / 2
        parts.append(ctc + 0.2 * divergence_by_torch(log_probs))
    expected = 0.7 * parts[0] + 0.3 * parts[1] if with_phones else parts[0]
    assert_same(losses.total, expected, outputs)
    both = sum(ctc_by_torch(view, TOKENS) for view in views_of(outputs[0])) / 2
    torch.testing.assert_close(losses.tokens, both)


def test_divergence_of_two_frames_by_hand():
    # D(p|q) = 0.5 ln(0.5 / 0.9) + 0.5 ln(0.5 / 0.1) = 0.5108; D(q|p) = 0.3681 nats
    p, q = [0.5, 0.5], [0.9, 0.1]
    log_probs = torch.tensor([[p, p], [q, p]], dtype=torch.float64).log()
    found = consistency_loss(log_probs, torch.tensor([2, 2]))
    assert found.item() == pytest.approx((0.5108256 + 0.3680642) / 2)


def test_frames_behind_the_end_do_not_count():
    (log_probs, _), frames = make_outputs(2), frames_of(2)
    changed = log_probs.detach().clone()
    for row, count in zip(changed, frames.tolist(), strict=True):
        row[count:] = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).log_softmax(0)
    changed.requires_grad_()
    loss = consistency_loss(changed, frames)
    torch.testing.assert_close(loss, consistency_loss(log_probs, frames))
    for gradient, count in zip(gradients(loss, [changed])[0], frames.tolist(), strict=True):
        assert gradient[:count].all()
        assert not gradient[count:].any()


def test_a_view_is_not_moved_by_being_a_target():
    """So the gradient is minus the other view's probabilities, and half of that for the mean."""
    log_probs, frames = make_outputs(2)[0], frames_of(2)
    (gradient,) = gradients(consistency_loss(log_probs, frames), [log_probs])
    other = torch.cat(views_of(log_probs.detach())[::-1])
    valid = torch.arange(FRAMES) < frames[:, None]
    torch.testing.assert_close(gradient, -other.exp() / 2 * valid[:, :, None])
    # with a gradient through the target as well it would be another one
    one, two = views_of(log_probs)
    both = sum(
        kl_div(view[:count], target[:count], reduction="sum", log_target=True) / 2
        for first, second, count in zip(one, two, COUNTS, strict=True)
        for view, target in ((first, second), (second, first))
    )
    assert isinstance(both, Tensor)
    torch.testing.assert_close(both, consistency_loss(log_probs, frames))
    assert not torch.allclose(gradients(both, [log_probs])[0], gradient)


@given(seed=st.integers(0, 2**16), same=st.booleans())
def test_views_that_agree_cost_nothing_and_others_do(seed: int, same: bool):
    first, other = (make_outputs(1, seed + extra)[0].detach() for extra in (0, 1))
    log_probs = torch.cat([first, first if same else other])
    cost = consistency_loss(log_probs, frames_of(2)).item()
    assert cost == 0 if same else cost > 1
    swapped = torch.cat(views_of(log_probs)[::-1])
    assert consistency_loss(swapped, frames_of(2)).item() == pytest.approx(cost)


@given(
    seed=st.integers(0, 2**16),
    phone_weight=st.floats(0, 1),
    consistency=st.floats(0.01, 10),
)
def test_two_equal_views_are_one(seed: int, phone_weight: float, consistency: float):
    outputs = [output.detach() for output in make_outputs(1, seed)]
    one = judge(outputs, batch_of(), phone_weight=phone_weight)
    twice = [torch.cat([output, output]) for output in outputs]
    two = judge(twice, batch_of(), phone_weight=phone_weight, consistency=consistency)
    torch.testing.assert_close(two.total, one.total)
    torch.testing.assert_close(two.tokens, one.tokens)


def test_there_are_two_views_only_where_they_are_compared():
    assert Objective(TrainConfig()).views == 1
    assert Objective(TrainConfig(consistency=0.1)).views == 2


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("phone_weight", 1.1, "0..1"),
        ("phone_weight", -0.1, "0..1"),
        ("consistency", -0.1, "0..1000"),
        ("ctc_fraction", 1.1, "0..1"),
    ],
)
def test_weights_that_are_not_allowed(key: str, value: float, allowed: str):
    with pytest.raises(ConfigError, match=rf"train\.{key} is {value}; allowed: {allowed}"):
        TrainConfig(**{key: value})


# The task that trains with it, on recordings.

VOCABULARY = Vocabulary.from_texts(["A B C"])
NOISY = {"noise_prob": 1.0, "time_masks": 2, "freq_masks": 2}


def task_of(manifest: Path, spoken: Pronunciations | None, **train: float) -> AcousticTask:
    config = small_config(train=train, augment=NOISY)
    torch.manual_seed(0)
    examples = make_examples(read_manifest(manifest), Normalizer(), VOCABULARY, spoken)
    loader = Loader(examples, Frames(config), config, ProcessGroup())
    num_phones = len(spoken.phones) if spoken else 0
    return AcousticTask(config, VOCABULARY, loader, loader, "cpu", num_phones=num_phones)


def loss_of(task: AcousticTask) -> tuple[Batch, float, int]:
    batch = next(iter(task.batches(0)))
    assert batch is not None
    loss, tokens = task.loss(batch, seeded(1))
    return batch, loss.item(), tokens


@pytest.fixture
def spoken(tmp_path: Path) -> Pronunciations:
    (tmp_path / "lexicon.txt").write_text("A EY\nB B IY\nC S IY\n")
    return Pronunciations.read(tmp_path / "lexicon.txt", Normalizer())


def test_one_view_without_phones_is_the_ctc_loss_to_the_bit(tones: Path):
    task = task_of(tones, None)
    batch, loss, _ = loss_of(task)
    log_mel = task.augment(batch.log_mel, batch.num_frames, seeded(1))
    (log_probs,), num_frames = task.model.from_log_mel(log_mel, batch.num_frames)
    expected = ctc_loss(
        log_probs.transpose(0, 1), batch.tokens, num_frames, batch.num_tokens, reduction="none"
    )
    assert loss == expected.sum().item()


def test_two_views_are_augmented_apart_and_counted_once(tones: Path, spoken: Pronunciations):
    task = task_of(tones, spoken, consistency=0.2, phone_weight=0.4)
    batch, loss, tokens = loss_of(task)
    assert tokens == sum(len(example.tokens) for example in batch.examples)
    generator = seeded(1)
    seen = [task.augment(batch.log_mel, batch.num_frames, generator) for _ in range(2)]
    assert not torch.equal(*seen)
    alone = []
    for log_mel in seen:
        features = task.model.frontend.from_log_mel(log_mel, batch.num_frames)
        alone.append(task.model.outputs(features, batch.num_frames))
    outputs = [torch.cat(views) for views in zip(*(found for found, _ in alone), strict=True)]
    num_frames = torch.cat([counts for _, counts in alone])
    expected = task.objective(outputs, num_frames, batch)
    assert loss == pytest.approx(expected.total.item(), rel=1e-4)
    assert task.coach._window[5].item() == pytest.approx(expected.tokens.item(), rel=1e-4)
    assert task.coach._window[6].item() == len(batch.examples)


def test_both_weights_change_the_loss(tones: Path, spoken: Pronunciations):
    settings: list[dict[str, float]] = [{}, {"phone_weight": 0.2}, {"consistency": 0.2}]
    assert len({loss_of(task_of(tones, spoken, **train))[1] for train in settings}) == 3


def test_a_step_lowers_the_loss_of_both_outputs(tones: Path, spoken: Pronunciations):
    task = task_of(tones, spoken, consistency=0.2)
    batch, before, _ = loss_of(task)
    assert all(frames_needed(example.phones) for example in batch.examples)
    optimizer = torch.optim.SGD(task.model.parameters(), lr=1e-3)
    task.loss(batch, seeded(1))[0].backward()
    assert task.model.phone_output is not None
    assert task.model.phone_output.weight.grad is not None
    optimizer.step()
    assert task.loss(batch, seeded(1))[0].item() < before


def test_mmi_sets_what_was_said_against_all_else():
    outputs, trigram = make_outputs(2), token_trigram(PHONES, NUM_PHONES).double()
    objective = Objective(TrainConfig(mmi=0.9, consistency=0.2, phone_weight=0.4), trigram)
    batch = batch_of()
    losses = objective(outputs, frames_of(2), batch)
    without = judge(outputs, batch, consistency=0.2, phone_weight=0.4)
    sums = log_denominator(outputs[1], frames_of(2), trigram)
    sums -= log_prior(batch.phones, batch.num_phones, trigram).repeat(2)
    read = sums[[0, 2, 3, 5]].sum() / 2  # the second utterance of each view has no phones
    assert_same(losses.total, without.total + 0.4 * 0.9 * read, outputs)
    torch.testing.assert_close(losses.tokens, without.tokens)


def test_the_first_epochs_have_ctc_of_one_view_alone():
    trigram = token_trigram(PHONES, NUM_PHONES).double()
    config = TrainConfig(mmi=0.9, consistency=0.2, ctc_fraction=0.6, epochs=5)
    objective = Objective(config, trigram)
    refined = []
    for epoch in range(config.epochs):
        objective.begin_epoch(epoch)
        refined.append(objective.views == 2)
        outputs, frames = make_outputs(objective.views), frames_of(objective.views)
        plain = Objective(TrainConfig()) if objective.views == 1 else None
        total = objective(outputs, frames, batch_of()).total
        assert plain is None or torch.equal(total, plain(outputs, frames, batch_of()).total)
    assert refined == [False, False, False, True, True]
    always = Objective(TrainConfig(mmi=0.9, consistency=0.2, epochs=5), trigram)
    assert torch.equal(total, always(outputs, frames, batch_of()).total)


def test_a_task_refines_in_the_epochs_that_it_is_to(tones: Path, spoken: Pronunciations):
    task = task_of(tones, spoken, mmi=0.9, consistency=0.2, ctc_fraction=0.5, epochs=2)
    for epoch, views in enumerate([1, 2]):
        task.batches(epoch)
        assert task.objective.views == views
        assert bool(task.objective.mmi) == (views == 2)


@pytest.mark.parametrize("phones", [False, True])
def test_mmi_is_for_what_words_are_read_from(tones: Path, spoken: Pronunciations, phones: bool):
    task = task_of(tones, spoken if phones else None, mmi=0.9, phone_weight=1.0)
    _, loss, _ = loss_of(task)
    _, ctc, _ = loss_of(task_of(tones, spoken if phones else None, phone_weight=1.0))
    assert loss > 0.1 * ctc  # the share of CTC, and of a posterior what is never negative
    assert loss != ctc
    size = len(spoken.phones) if phones else len(task.vocabulary)
    assert task.objective.trigram is not None
    assert task.objective.trigram.shape == (size, size, size)


@pytest.mark.parametrize("phones", [False, True])
def test_epochs_are_chosen_by_mmi_where_it_is_taught(
    tones: Path, spoken: Pronunciations, phones: bool
):
    task = task_of(tones, spoken if phones else None, mmi=0.9)
    model, trigram = task.model.eval(), task.objective.trigram
    assert trigram is not None
    nats, count = 0.0, 0
    for batch in filter(None, task.valid.in_order()):
        outputs, num_frames = model.from_log_mel(batch.log_mel, batch.num_frames)
        texts = (batch.phones, batch.num_phones) if phones else (batch.tokens, batch.num_tokens)
        nats += mmi_loss(outputs[-1], num_frames, *texts, trigram).sum().item()
        count += int(texts[1].sum())
    figures = task.validate(model)
    assert figures["error"] == pytest.approx(nats / count, rel=1e-5)
    assert figures["error"] > 0
    assert ("per" in figures) == phones
    without = task_of(tones, spoken if phones else None).validate(model)
    assert without["error"] == figures["per" if phones else "wer"]
