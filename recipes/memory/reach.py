"""Measure the reach of trained acoustic models: how far away a frame may be and still matter.

For each model in a folder CORPUS/NETWORK/SEED, recordings of the development set are joined to
pieces of some seconds. `asr.explain.gradient_norms` says how much each input frame matters for the
middle one, and the norms are divided by the largest. The reach is the distance from which on the
median over the pieces is below 1/100. A line of reach.jsonl is a model.

Shapes: T input frames, F features.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch

from asr.audio import read_utterance
from asr.checkpoint import load_acoustic_model
from asr.explain import gradient_norms
from asr.manifest import Utterance, read_manifest
from asr.model import AcousticModel

FALLEN = 0.01
PIECE_S = 4.0
PIECES = 12


def pieces(utterances: list[Utterance], rate_hz: int) -> list[np.ndarray]:
    """Return PIECES waveforms, float32 (L,), each of utterances joined to PIECE_S seconds."""
    found: list[np.ndarray] = []
    samples: list[np.ndarray] = []
    for utterance in utterances:
        samples.append(read_utterance(utterance, rate_hz).waveform)
        if sum(map(len, samples)) >= PIECE_S * rate_hz:
            found.append(np.concatenate(samples)[: int(PIECE_S * rate_hz)])
            samples = []
        if len(found) == PIECES:
            break
    return found


def shares(model: AcousticModel, waveform: np.ndarray) -> np.ndarray:
    """Return the gradient norms of all input frames for the middle output frame, float (T,).

    The gradient is that of the features: beneath them, the normalisation by the mean of the
    utterance connects every frame to every other, whatever the network does.
    """
    samples = torch.from_numpy(waveform)[None]
    features, _ = model.frontend(samples, torch.tensor([len(waveform)]))
    middle = math.ceil(len(features[0]) / model.config.model.stack) // 2
    _, norms = gradient_norms(model, features[0], [middle])  # (1, T)
    return norms[0] / norms[0].max()


def profile(model: AcousticModel, waveforms: list[np.ndarray]) -> np.ndarray:
    """Return the median (T,) over pieces of the shares; frame T // 2 is the one asked about."""
    median: np.ndarray = np.median([shares(model, waveform) for waveform in waveforms], axis=0)
    return median / median.max()


def reach(falling: np.ndarray, shift_ms: float) -> float | None:
    """Return the distance in ms from which on all shares are below FALLEN; None: none is."""
    heard = np.flatnonzero(falling >= FALLEN)
    last = int(heard[-1]) + 1 if len(heard) else 0
    return None if last >= len(falling) else last * shift_ms


def measured(folder: Path, data: Path) -> dict[str, object]:
    """Return the figures of a model: reach before and after a frame, WER, time, weights."""
    model, _ = load_acoustic_model(folder)
    features = model.config.features
    waveforms = pieces(read_manifest(data / "valid.jsonl"), features.sample_rate_hz)
    falling = profile(model.eval(), waveforms)
    middle = len(falling) // 2
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {
        "corpus": folder.parts[-3],
        "network": folder.parts[-2],
        "seed": int(folder.name),
        "wer": min(line["valid_error"] for line in log),  # of best/
        "minutes": sum(line["seconds"] for line in log) / 60,
        "weights": sum(parameter.numel() for parameter in model.parameters()),
        "before_ms": reach(falling[: middle + 1][::-1], features.frame_shift_ms),
        "after_ms": reach(falling[middle:], features.frame_shift_ms),
        "shift_ms": features.frame_shift_ms,
        "shares": [float(share) for share in falling],
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exp", type=Path, help="folder with CORPUS/NETWORK/SEED")
    parser.add_argument("--data", type=Path, required=True, help="folder with CORPUS/valid.jsonl")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders = [path.parents[1] for path in sorted(options.exp.glob("*/*/*/best/*.json"))]
    lines = [measured(folder, options.data / folder.parts[-3]) for folder in folders]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (options.exp / "reach.jsonl").write_text(text)


if __name__ == "__main__":
    main()
