"""An explanation as a page for people, or as a file of arrays for programs.

Shapes: T input frames, T' output frames, H cells, V tokens, P frames whose reach was computed.
"""

import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr._atomic import write_atomically
from asr.explain.explanation import Explanation
from asr.explain.gates import HIDDEN, Trace, half_lives_ms
from asr.explain.known import KnownText
from asr.explain.reach import Reach
from asr.reports import write_page

_TEMPLATE = Path(__file__).parent / "page" / "explain.html"
_GATES = ("input_gate", "reset_gate", "forget_gate", "update_gate", "output_gate")
_SHOWN = (*_GATES, "cell_state", HIDDEN)
_SIGNED = ("cell_state", HIDDEN)
_FEATURE_LIMIT = 4.0  # standard deviations; features beyond are drawn as this
_MOST_TOKENS = 64  # rows of the picture of posteriors
_RARE = 0.02  # tokens that are never so probable are left out of it


def write_explanation(path: Path, explanation: Explanation) -> None:
    """Write an explanation as one HTML page, which opens from the disk.

    Raises:
        OSError: the file cannot be written.
    """
    title = f"{explanation.audio}: what the network {explanation.model} does with it"
    write_page(path, _TEMPLATE, title, _page_data(explanation))


def _page_data(e: Explanation) -> dict[str, Any]:
    """Return the data of the page; pictures are in 8 bits, which a screen cannot tell apart."""
    return {
        "audio": e.audio,
        "model": e.model,
        "start": e.start,
        "rate_hz": e.config.features.sample_rate_hz,
        "samples": (np.clip(e.waveform, -1, 1) * 32767).astype(np.int16),
        "input_shift_ms": e.input_shift_ms,
        "output_shift_ms": e.output_shift_ms,
        "cell": e.config.model.cell,
        "network": _network(e.reaches[0]),
        "text": e.text,
        "unit": e.unit,
        "words": [asdict(word) for word in e.words],
        "spelling": [
            {"token": e.tokens[token], "first": int(first), "stop": int(stop)}
            for (first, stop), token in zip(e.token_spans, e.text_tokens, strict=True)
        ],
        "log_mel": _picture(e.log_mel.T, float(e.log_mel.min()), float(e.log_mel.max())),
        "features": _picture(e.features.T, -_FEATURE_LIMIT, _FEATURE_LIMIT),
        "num_ceps": e.config.features.num_ceps,
        "posteriors": _posteriors(e),
        "bundle": asdict(e.bundle) if e.bundle else None,
        "known": _known(e.known) if e.known else None,
        "layers": [_layer(trace, e.output_shift_ms) for trace in e.traces],
        "reaches": [_reach(reach) for reach in e.reaches],
    }


def _picture(values: NDArray[np.floating[Any]], low: float, high: float) -> dict[str, Any]:
    """Return values in 8 bits, and what the lowest and the highest byte stand for."""
    scaled = (values - low) / max(high - low, 1e-9) * 255
    return {"bytes": scaled.round().clip(0, 255).astype(np.uint8), "low": low, "high": high}


def _posteriors(e: Explanation) -> dict[str, Any]:
    """Return the posteriors of the tokens that matter here, and two paths through them."""
    posteriors = np.exp(e.log_probs)  # (T', V)
    written = set(e.text_tokens) | {0} | set(e.known.path.tolist() if e.known else ())
    ranked = np.argsort(-posteriors.max(axis=0), kind="stable").tolist()
    likely = [token for token in ranked if posteriors[:, token].max() >= _RARE]
    rows = sorted([*written, *[t for t in likely if t not in written]][:_MOST_TOKENS])
    row_of = np.full(len(e.tokens), -1)  # no row: the token was left out
    row_of[rows] = np.arange(len(rows))
    return {
        "tokens": [e.tokens[token] for token in rows],
        "best": row_of[e.best_path],
        "forced": row_of[e.forced_path],
        "known": row_of[e.known.path] if e.known else None,
        **_picture(posteriors[:, rows].T, 0.0, 1.0),
    }


def _known(known: KnownText) -> dict[str, Any]:
    """Return the given text, its words, and how much less probable its path is, in nats."""
    return {
        "text": known.text,
        "words": [asdict(word) for word in known.words],
        "behind": known.best_log_prob - known.log_prob,
    }


def _layer(trace: Trace, shift_ms: float) -> dict[str, Any]:
    """Return the pictures (H, T') of a direction; the cells that keep most come first."""
    values, kept = trace.values, trace.kept
    cells = np.arange(values[HIDDEN].shape[1])
    order = cells if kept is None else np.argsort(-kept.mean(axis=0), kind="stable")
    found = {
        "layer": trace.layer,
        "direction": trace.direction,
        "cells": order,
        "kinds": {
            name: _picture(values[name][:, order].T, *_limits(name, values[name]))
            for name in _SHOWN
            if name in values
        },
    }
    if kept is not None:
        found["mean_kept"] = kept.mean(axis=0)[order]
        found["half_life_ms"] = half_lives_ms(kept, shift_ms)[order]
    return found


def _limits(name: str, values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the range of a picture: 0 to 1 of gates, symmetric about 0 of states."""
    largest = float(np.abs(values).max()) if name in _SIGNED else 1.0
    return (-largest if name in _SIGNED else 0.0), largest


def _network(reach: Reach) -> str:
    """Return a network in words, such as '3 layers of 256 LSTM cells, both directions'."""
    config = reach.config
    layers = f"{config.layers} layer{'s' if config.layers > 1 else ''}"
    ways = "both directions" if config.bidirectional else "forward only"
    return f"{layers} of {config.hidden} {config.cell.upper()} cells, {ways}"


def _reach(reach: Reach) -> dict[str, Any]:
    distances, shares = reach.profile()
    before, after = reach.ends_ms()
    return {
        "name": reach.name,
        "network": _network(reach),
        "frames": reach.frames,
        "tokens": reach.tokens,
        "norms": reach.norms,
        "input_shift_ms": reach.input_shift_ms,
        "output_shift_ms": reach.output_shift_ms,
        "distances_ms": distances,
        "shares": shares,
        "before_ms": before,
        "after_ms": after,
    }


def save_arrays(path: Path, explanation: Explanation) -> None:
    """Save the arrays of an explanation as an .npz file of numpy; no value is rounded.

    Names of gates are layer, direction and gate, as layer1.forward.forget_gate (T', H).

    Raises:
        OSError: the file cannot be written.
    """
    file = io.BytesIO()
    np.savez_compressed(file, **_arrays(explanation))
    write_atomically(path, file.getvalue())


def _arrays(e: Explanation) -> Mapping[str, Any]:
    gates = {
        f"layer{trace.layer}.{trace.direction}.{name}": values
        for trace in e.traces
        for name, values in trace.values.items()
    }
    reaches = {
        f"reach{number}.{name}": value
        for number, reach in enumerate(e.reaches)
        for name, value in (
            ("model", reach.name),
            ("frames", reach.frames),
            ("tokens", reach.tokens),
            ("norms", reach.norms),
            ("profile", np.stack(reach.profile())),
        )
    }
    return {
        "waveform": e.waveform,
        "sample_rate_hz": e.config.features.sample_rate_hz,
        "start": e.start,
        "input_shift_ms": e.input_shift_ms,
        "output_shift_ms": e.output_shift_ms,
        "log_mel": e.log_mel,
        "features": e.features,
        "tokens": e.tokens,
        "log_probs": e.log_probs,
        "best_path": e.best_path,
        "forced_path": e.forced_path,
        "text": e.text,
        "words": [word.word for word in e.words],
        "word_times": np.array([(w.start, w.end) for w in e.words]).reshape(-1, 2),
        "word_confidences": [word.confidence for word in e.words],
        **(_known_arrays(e.known) if e.known else {}),
        **gates,
        **reaches,
    }


def _known_arrays(known: KnownText) -> Mapping[str, Any]:
    return {
        "known_text": known.text,
        "known_path": known.path,
        "known_words": [word.word for word in known.words],
        "known_word_times": np.array([(w.start, w.end) for w in known.words]),
        "known_log_prob": known.log_prob,
        "best_log_prob": known.best_log_prob,
    }
