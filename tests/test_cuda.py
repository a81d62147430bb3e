"""A training step on a GPU: loss and gradients are those of the CPU."""

import dataclasses
from pathlib import Path

import pytest
import torch
from speech import small_config
from torch import Tensor

from asr.data import Batch, Frames, Loader, make_examples
from asr.distributed import ProcessGroup
from asr.manifest import read_manifest
from asr.objective import AcousticTask
from asr.text import Normalizer, Vocabulary
from asr.train import seeded

DEVICES = (
    pytest.param("cpu", id="cpu"),  # so that the test itself is run everywhere
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    ),
)


def doubles(batch: Batch | None) -> Batch:
    """Return a batch whose frames are doubles: float32 would leave differences of 1e-4."""
    assert batch is not None
    return dataclasses.replace(batch, log_mel=batch.log_mel.double())


def loss_and_gradients(manifest: Path, device: str) -> list[Tensor]:
    """Return the loss of a batch in two views with MMI, and the gradient of each weight."""
    train = {"consistency": 0.2, "mmi": 0.5}
    augment = {"reverb_prob": 1.0, "babble_prob": 1.0, "band_limit_prob": 0.5}  # nothing that is
    # drawn on the device, as the noise of a telephone is
    config = small_config(train=train, augment=augment, model={"conv_channels": 4})
    utterances = read_manifest(manifest)
    vocabulary = Vocabulary.from_texts(["A B C"])
    examples = make_examples(utterances, Normalizer(), vocabulary)
    loader = Loader(examples, Frames(config), config, ProcessGroup())
    torch.manual_seed(1)
    task = AcousticTask(config, vocabulary, loader, loader, device)
    task.model.double()
    batch = doubles(next(iter(task.batches(0))))
    loss, _ = task.loss(batch, seeded(1))
    loss.backward()
    gradients = [p.grad for p in task.model.parameters() if p.grad is not None]
    return [tensor.detach().cpu() for tensor in (loss, *gradients)]


@pytest.mark.parametrize("device", DEVICES)
def test_loss_and_gradients_are_those_of_the_cpu(tones: Path, device: str):
    expected = loss_and_gradients(tones, "cpu")
    found = loss_and_gradients(tones, device)
    assert len(found) > 20
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)
