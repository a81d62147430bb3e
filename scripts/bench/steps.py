"""Training steps of one network in a process of its own, started by training.py.

    python steps.py NAME      NAME is one of SYSTEMS; reads a setup, answers {"seconds", "versions"}

It imports torch and the one system, for one of them lives in another environment than ours.
Every system gets the same random batches, and between batch and weights everything is the same as
well: CTC loss, clipped gradient, AdamW. The first batch is run once more before the clock starts.

Shapes: N utterances, T frames, F features, V tokens (0 is the blank).
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from versions import version_of

GEMM_SIZE, GEMM_TIMES = 1024, 40
Batch = tuple[Tensor, Tensor, Tensor, Tensor]  # features (N, T, F), frames, tokens, their numbers


class _Asr(nn.Module):
    """The acoustic model of this toolkit."""

    packages = ("asr",)

    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__()
        from asr.config import config_from_dict
        from asr.model import AcousticModel

        self.model = AcousticModel(config_from_dict(setup["config"]), setup["vocabulary"])

    def forward(self, features: Tensor, num_frames: Tensor) -> Tensor:
        log_probs: Tensor = self.model(features, num_frames.to(features.device))[0]
        return log_probs


class _Peer(nn.Module):
    """Stacked frames, the layers of a peer without our layer normalisation, a linear layer."""

    packages: tuple[str, ...] = ()

    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__()
        model = setup["config"]["model"]
        self.stack = model["stack"]
        self.layers = self.recurrent(self.stack * setup["num_features"], model)
        self.output = nn.Linear(2 * model["hidden"], setup["vocabulary"])

    def recurrent(self, inputs: int, model: dict[str, Any]) -> nn.Module:
        return nn.LSTM(
            inputs,
            model["hidden"],
            model["layers"],
            bidirectional=True,
            dropout=model["dropout"],
            batch_first=True,
        )

    def run(self, stacked: Tensor, num_frames: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(stacked, num_frames, batch_first=True)
        hidden: Tensor = nn.utils.rnn.pad_packed_sequence(self.layers(packed)[0], True)[0]
        return hidden

    def forward(self, features: Tensor, num_frames: Tensor) -> Tensor:
        batch, length, width = features.shape
        stacked = features.reshape(batch, length // self.stack, width * self.stack)
        hidden = self.run(stacked, num_frames // self.stack)
        log_probs: Tensor = self.output(hidden).log_softmax(2)
        return log_probs


class _SpeechBrain(_Peer):
    """SpeechBrain's LSTM, which packs as well."""

    packages = ("speechbrain",)

    def recurrent(self, inputs: int, model: dict[str, Any]) -> nn.Module:
        import_module("cpu_torchaudio")  # or SpeechBrain cannot import torchaudio
        layers: nn.Module = import_module("speechbrain.nnet.RNN").LSTM(
            model["hidden"],
            input_size=inputs,
            num_layers=model["layers"],
            bidirectional=True,
            dropout=model["dropout"],
        )
        return layers

    def run(self, stacked: Tensor, num_frames: Tensor) -> Tensor:
        hidden: Tensor = self.layers(stacked, lengths=num_frames / stacked.shape[1])[0]
        return hidden


SYSTEMS: dict[str, type[_Asr] | type[_Peer]] = {
    "asr": _Asr,
    "packed": _Peer,
    "speechbrain": _SpeechBrain,
}


def batches_of(setup: dict[str, Any]) -> list[Batch]:
    """Random features and tokens of the lengths of a setup, which are multiples of the stack.

    Features and tokens are on the device; lengths are on the CPU, where packing needs them.
    """
    device = setup["device"]
    generator = torch.Generator().manual_seed(0)
    batches = []
    for frames, tokens in zip(setup["num_frames"], setup["num_tokens"], strict=True):
        features = torch.randn(len(frames), max(frames), setup["num_features"], generator=generator)
        ids = torch.randint(1, setup["vocabulary"], (len(tokens), max(tokens)), generator=generator)
        lengths = torch.tensor(frames), torch.tensor(tokens)
        batches.append((features.to(device), lengths[0], ids.to(device), lengths[1]))
    return batches


def training_step(network: nn.Module, stack: int) -> Callable[[Batch], None]:
    """What one batch is put through."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step(batch: Batch) -> None:
        features, num_frames, tokens, num_tokens = batch
        log_probs = network(features, num_frames).transpose(0, 1)
        loss = nn.functional.ctc_loss(
            log_probs, tokens, num_frames // stack, num_tokens, reduction="sum"
        )
        optimizer.zero_grad()
        (loss / num_tokens.sum()).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return step


def clock_of(threads: int, device: str) -> Callable[[], float]:
    """CPU seconds of one thread, which other work on the machine leaves alone; else the wall's."""
    if device == "cuda":
        return seconds_of_gpu
    return time.process_time if threads == 1 else time.perf_counter


def seconds_of_gpu() -> float:
    """Seconds of the wall, once the GPU has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds_of_steps(name: str, setup: dict[str, Any], clock: Callable[[], float]) -> float:
    """Seconds that all batches take."""
    torch.manual_seed(0)
    network = SYSTEMS[name](setup).train().to(setup["device"])
    step = training_step(network, setup["config"]["model"]["stack"])
    batches = batches_of(setup)
    for batch in batches[:1]:
        step(batch)
    started = clock()
    for batch in batches:
        step(batch)
    return clock() - started


def seconds_of_gemm(device: str, clock: Callable[[], float]) -> float:
    """Seconds of GEMM_TIMES products of square matrices."""
    left, right = torch.randn(2, GEMM_SIZE, GEMM_SIZE, device=device)
    torch.mm(left, right)
    started = clock()
    for _ in range(GEMM_TIMES):
        torch.mm(left, right)
    return clock() - started


def answer(name: str, setup: dict[str, Any]) -> dict[str, Any]:
    """What is printed: seconds and versions, or why there are none."""
    torch.set_num_threads(setup["threads"])
    device = setup["device"]
    clock = clock_of(setup["threads"], device)
    if name == "gemm":
        return {"seconds": seconds_of_gemm(device, clock), "versions": {"torch": version("torch")}}
    try:
        seconds = seconds_of_steps(name, setup, clock)
    except ImportError as error:
        return {"not_available": f"{type(error).__name__}: {error}"}
    packages = (*SYSTEMS[name].packages, "torch")
    return {"seconds": seconds, "versions": {package: version_of(package) for package in packages}}


if __name__ == "__main__":
    print(json.dumps(answer(sys.argv[1], json.load(sys.stdin))))
