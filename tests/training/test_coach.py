"""The coach: what it counts, and what it says of training runs with one fault each."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
import torch
from speech import small_config
from torch import Generator, Tensor, nn

import asr.training.coach
from asr.config import Config, TrainConfig
from asr.data import Batch, Example, Frames, Loader, make_examples
from asr.distributed import ProcessGroup
from asr.manifest import Utterance, read_manifest
from asr.objective import AcousticTask
from asr.text import Normalizer, Vocabulary
from asr.train import seeded
from asr.training.coach import PLATEAU_EMITS, WATCH_STEPS, Coach, is_constant
from asr.training.diagnosis import LONG_S, Cause, Facts, Signs, likely_cause

VOCABULARY = Vocabulary.from_texts(["A B C"])
ENTROPY = 2.0


def log_probs_of(*paths: list[int]) -> Tensor:
    """(N, T, 4) log-probabilities with the best paths given: probability 0.7, the others 0.1."""
    return (0.1 + 0.6 * nn.functional.one_hot(torch.tensor(paths), 4)).log()


def batch_of(num_tokens: list[int], log_mel: Tensor | None = None) -> Batch:
    if log_mel is None:
        log_mel = torch.randn(len(num_tokens), 5, 2)
    num_frames = torch.full((len(num_tokens),), log_mel.shape[1])
    none, tokens = torch.zeros(len(num_tokens), 0), torch.tensor(num_tokens)
    return Batch((), log_mel, num_frames, none, tokens, none, 0 * tokens)


def coach(*, is_main: bool = True, warmup_steps: int = 0, accumulate: int = 1) -> Coach:
    made = Coach(
        nn.Linear(2, 2),
        Facts(entropy=ENTROPY, fill=0.3, duration_s=10.0),
        TrainConfig(warmup_steps=warmup_steps, accumulate=accumulate),
        is_main=is_main,
    )
    made.planned = 10_000
    return made


def feed(
    watching: Coach, path: list[int], steps: int = WATCH_STEPS, loss: float = ENTROPY / 2
) -> None:
    """Count batches of one utterance of four tokens; loss is for a token."""
    for _ in range(steps):
        watching.count(
            batch_of([4]), log_probs_of(path), torch.tensor([len(path)]), torch.tensor(4 * loss)
        )


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_counts_by_hand():
    watching = coach()
    paths = log_probs_of([0, 1, 1, 0, 1, 2], [3, 0, 0, 3, 3, 3])
    watching.count(batch_of([4, 2]), paths, torch.tensor([6, 3]), torch.tensor(1.0))
    # 9 valid frames, 2 + 2 of them blank; emitted 1 1 2 and 3; 6 tokens in the references
    assert watching.report() == pytest.approx(
        {"blank_rate": 4 / 9, "nonblank_prob": (5 * 0.9 + 4 * 0.3) / 9, "emitted": 4 / 6}
    )


def test_report_starts_anew():
    watching = coach()
    feed(watching, [0, 1], WATCH_STEPS + 3)  # so that a window has been closed
    assert watching.report() == pytest.approx(
        {"blank_rate": 0.5, "nonblank_prob": 0.6, "emitted": 0.25}
    )
    assert set(watching.report().values()) == {0.0}
    feed(watching, [1, 2], 1)
    assert watching.report()["emitted"] == 0.5


def test_plateau_is_announced_once_and_so_is_its_end(capsys: pytest.CaptureFixture[str]):
    watching = coach()
    feed(watching, [0, 0, 0, 0], WATCH_STEPS - 1)
    assert said(capsys) == []
    feed(watching, [0, 0, 0, 0], 1)
    assert said(capsys) == [
        f"step {WATCH_STEPS}: blank plateau: almost only blanks, as usual at the start"
    ]
    feed(watching, [0, 0, 0, 0])
    assert said(capsys) == []
    feed(watching, [0, 1, 0, 2])
    assert said(capsys) == [f"step {3 * WATCH_STEPS}: the blank plateau is over, 50% emitted"]
    feed(watching, [0, 1, 0, 2])
    assert said(capsys) == []


def test_one_token_in_ten_is_no_plateau(capsys: pytest.CaptureFixture[str]):
    watching = coach()
    enough = round(PLATEAU_EMITS * 4 * WATCH_STEPS)  # of the 4 * 25 tokens of the references
    feed(watching, [0, 1], enough)
    feed(watching, [0, 0], WATCH_STEPS - enough)
    assert said(capsys) == []


def test_other_processes_say_nothing(capsys: pytest.CaptureFixture[str]):
    watching = coach(is_main=False)
    watching.planned = 10
    feed(watching, [0, 0], loss=ENTROPY)
    assert watching.told
    assert said(capsys) == []


def test_a_resumed_coach_goes_on_with_its_counts(capsys: pytest.CaptureFixture[str]):
    one, other = coach(), coach()
    one.cer = 0.95
    feed(one, [0, 0], 310, loss=ENTROPY)
    other.restore(json.loads(json.dumps(one.state())))
    said(capsys)
    for watching in (one, other):
        feed(watching, [0, 1], WATCH_STEPS)
    lines = said(capsys)
    assert lines == 2 * ["step 325: the blank plateau is over, 15% emitted"]
    assert other.state() == one.state()
    assert other.report() == one.report()
    assert len(one.told) == 1


@pytest.mark.parametrize(
    ("changed", "due"),
    [
        ({}, 300),
        ({"warmup_steps": 100}, 400),
        ({"accumulate": 2}, 300),
        ({"planned": 200}, 100),  # half of a short run
        ({"loss": 0.94 * ENTROPY}, None),
        ({"cer": 0.89}, None),
        ({"cer": 0.91}, 300),
    ],
)
def test_when_it_speaks(
    capsys: pytest.CaptureFixture[str], changed: dict[str, Any], due: int | None
):
    accumulate = changed.get("accumulate", 1)
    watching = coach(warmup_steps=changed.get("warmup_steps", 0), accumulate=accumulate)
    watching.planned = changed.get("planned", 10_000)
    watching.cer = changed.get("cer", math.inf)
    feed(watching, [0, 1], 450 * accumulate, loss=changed.get("loss", ENTROPY))
    lines = [line for line in said(capsys) if "does not listen" in line]
    assert [int(line.split()[1].rstrip(":")) for line in lines] == ([due] if due else [])


def test_facts_by_hand():
    def example(tokens: list[int], duration: float) -> Example:
        utterance = Utterance(id="u", audio=Path("u"), duration=duration, text="")
        return Example(utterance, "", tuple(tokens))

    examples = [example([1, 2], 1.2), example([1, 1, 3], 0.6), example([1, 2, 3, 1], 0.3)]
    config = small_config(model={"stack": 8})  # 80 ms
    facts = Facts.of(examples, config)
    # 9 tokens: 5 of 1, 2 of 2, 2 of 3; [1, 1, 3] needs a blank between
    assert facts.entropy == pytest.approx(-5 / 9 * math.log(5 / 9) - 4 / 9 * math.log(2 / 9))
    assert facts.fill == pytest.approx(4 * 0.08 / 0.6)
    assert facts.duration_s == 0.6


def test_constant_utterances():
    log_mel = torch.randn(4, 6, 3)
    log_mel[0] = log_mel[0, :1]
    log_mel[1, :4] = 0.0  # and valid for four frames
    log_mel[3, 1:] = log_mel[3, :1]
    log_mel[3, 5, 2] += 1e-3
    assert is_constant(log_mel, torch.tensor([6, 4, 6, 6])).tolist() == [True, True, False, False]


USUAL = Signs(
    look=WATCH_STEPS,
    loss=2.9,
    lowest_loss=2.8,
    movement=0.2,
    constant=0.0,
    fill=0.4,
    duration_s=12.0,
    planned=7000,
    enough=600,
)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({}, Cause.TEXT),
        ({"constant": 0.3}, Cause.SILENCE),
        ({"fill": 0.8}, Cause.FULL),
        ({"loss": 5.0}, Cause.HIGH_RATE),
        ({"movement": 0.6}, Cause.HIGH_RATE),
        ({"planned": 599}, Cause.FEW_STEPS),
        ({"movement": 0.009}, Cause.LOW_RATE),
        ({"duration_s": LONG_S + 1}, Cause.LONG),
        ({"constant": 0.3, "fill": 0.8, "loss": 5.0, "planned": 10}, Cause.SILENCE),
        ({"loss": math.nan}, Cause.TEXT),
    ],
)
def test_causes_by_their_signs(changed: dict[str, float], cause: Cause):
    assert likely_cause(replace(USUAL, **changed)) == cause


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_can_be_told(cause: Cause):
    assert "{" not in cause.value.format(**vars(USUAL))


class Run:
    """A tiny training run on tones, with whatever is wrong with it."""

    def __init__(self, tones: Path, *, learning_rate: float = 0.01, epochs: int = 500) -> None:
        config = small_config(
            model={"layers": 1, "layer_norm": True},
            train={"epochs": epochs, "learning_rate": learning_rate, "warmup_steps": 0},
        )
        self.config: Config = config
        torch.manual_seed(0)
        examples = make_examples(read_manifest(tones), Normalizer(), VOCABULARY)
        frames = Frames(config)
        loader = Loader(examples, frames, config, ProcessGroup())
        self.task = AcousticTask(config, VOCABULARY, loader, loader, "cpu")

    def batches(self) -> Iterator[Batch]:
        for epoch in count():
            yield from filter(None, self.task.batches(epoch))

    def train(self, steps: int) -> set[Cause]:
        parameters = list(self.task.model.parameters())
        optimizer = torch.optim.AdamW(parameters, lr=self.config.train.learning_rate)
        for step, batch in enumerate(islice(self.batches(), steps)):
            loss, tokens = self.task.loss(self.spoilt(batch), seeded(step))
            optimizer.zero_grad()
            (loss / tokens).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        return self.task.coach.told

    spoilt: Callable[[Batch], Batch] = staticmethod(lambda batch: batch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch):
    """A coach that advises after so few steps as a run on tones needs."""
    monkeypatch.setattr(asr.training.coach, "NORMAL_STEPS", 3 * WATCH_STEPS)


@pytest.mark.usefixtures("impatient")
class TestRuns:
    steps = 3 * WATCH_STEPS

    def test_a_healthy_run_is_left_in_peace(self, tones: Path):
        assert Run(tones).train(self.steps) == set()

    def test_text_that_does_not_fit(self, tones: Path, capsys):
        run = Run(tones)

        def noise(log_mel: Tensor, num_frames: Tensor, generator: Generator) -> Tensor:
            return torch.randn(log_mel.shape, generator=generator)

        run.task.augment = noise  # type: ignore[assignment]
        assert run.train(self.steps) == {Cause.TEXT}
        (line,) = [line for line in said(capsys) if "Probably" in line]
        assert line.startswith("step 75: the model does not listen yet, later than usual: loss 1.")
        assert "the text does not fit the audio" in line

    def test_silence(self, tones: Path):
        run = Run(tones)
        run.spoilt = lambda batch: replace(batch, log_mel=torch.full_like(batch.log_mel, -9.0))
        assert run.train(self.steps) == {Cause.SILENCE}

    def test_learning_rate_too_high(self, tones: Path):
        assert Run(tones, learning_rate=3.0).train(self.steps) == {Cause.HIGH_RATE}

    def test_learning_rate_too_low(self, tones: Path):
        assert Run(tones, learning_rate=3e-6).train(self.steps) == {Cause.LOW_RATE}

    def test_too_few_steps(self, tones: Path):
        run = Run(tones, learning_rate=1e-3, epochs=8)
        assert run.train(run.config.train.epochs * len(run.task.batches(0))) == {Cause.FEW_STEPS}
