"""Everything that a page shows of one recording, as arrays.

Shapes: L samples, T input frames, M mel bands, F features, T' output frames, V tokens, U tokens of
the text, P frames whose reach was computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.audio import Waveform
from asr.checkpoint import load_acoustic_model, load_phones
from asr.cleaning import cleaned
from asr.config import Config
from asr.decode import NBEST, forced_alignment, spoken_words
from asr.distributed import threads
from asr.errors import CheckpointError
from asr.explain.gates import Trace, trace_network
from asr.explain.known import KnownText, Spelling, known_text
from asr.explain.piece import read_piece
from asr.explain.reach import Reach, gradient_norms
from asr.explain.words import SpokenWord, spoken
from asr.export import is_bundle
from asr.model import AcousticModel
from asr.options import Decoding, DecodingOptions
from asr.text import Vocabulary

if TYPE_CHECKING:
    from asr.decode import Decoder

_MOST_REACHES = 32  # of one model; each takes as long as three passes through the network
_LEAST_REACHES = 12  # fewer tell little of the median


@dataclass(frozen=True)
class BundleDifference:
    """How far the bundle in a model's folder, which asr-transcribe runs, differs from its network.

    A bundle rounds the weights to 7 bits (asr-export --int8), and may average over several networks
    or several warps of the recording.
    """

    text: str  # that is recognised in the bundle's output
    same_frames: int  # whose most probable token is the same
    mean: float  # absolute difference of a posterior probability
    largest: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """A recording and what the network of one model does with it; times from the piece's start."""

    audio: str
    model: str
    start: float  # seconds of the recording that were skipped
    waveform: Waveform  # (L,)
    config: Config
    input_shift_ms: float
    output_shift_ms: float
    log_mel: NDArray[np.float32]  # (T, M)
    features: NDArray[np.float32]  # (T, F)
    unit: str  # of the output that is read: 'phones' or 'tokens'
    tokens: tuple[str, ...]  # (V,), the blank first
    log_probs: NDArray[np.float32]  # (T', V)
    text: str
    words: tuple[SpokenWord, ...]
    forced_path: NDArray[np.int64]  # (T',), the most probable path that writes the text
    token_spans: NDArray[np.int32]  # (U, 2)
    text_tokens: tuple[int, ...]  # (U,)
    traces: tuple[Trace, ...]
    reaches: tuple[Reach, ...]  # of this model, then of the others
    bundle: BundleDifference | None
    known: KnownText | None  # the text that was given, if any

    @property
    def best_path(self) -> NDArray[np.int64]:
        """The most probable token (T',) of each frame."""
        best: NDArray[np.int64] = self.log_probs.argmax(axis=1)
        return best


@dataclass(frozen=True, eq=False)
class _Run:
    """A network and its arrays for a piece of a recording."""

    folder: Path
    model: AcousticModel
    vocabulary: Vocabulary  # of the output that is read
    decoding: Decoding
    waveform: Waveform
    log_mel: Tensor  # (T, M)
    features: Tensor  # (T, F)
    output: int  # that is read: 0 over tokens, 1 over phones

    @property
    def input_shift_ms(self) -> float:
        return self.model.frame_shift_ms / self.model.config.model.stack

    @property
    def spelling(self) -> Spelling:
        return Spelling(self.folder, self.vocabulary, self.model.config.text, bool(self.output))


def explain(
    audio: Path,
    model: Path,
    against: Sequence[Path] = (),
    *,
    start: float = 0.0,
    end: float | None = None,
    text: str | None = None,
) -> Explanation:
    """Run a model over a piece of a recording; keep all that its network does.

    Args:
        audio: the recording.
        model: folder of an experiment, or of a bundle that has the experiment's best/.
        against: folders of more models, whose reach is compared.
        start: of the piece, in seconds.
        end: of the piece; default: the end of the recording.
        text: that is known to be spoken in the piece; its path is found, too.

    Raises:
        AudioError: the recording cannot be read, or the piece is too long.
        TextError: the model cannot write the text, or it does not fit into the piece.
        CheckpointError: a folder holds no weights that torch can read, or damaged ones.
        ConfigError, DecoderError, LanguageModelError: as for asr-transcribe.
    """
    with threads(1):  # a recurrent step is too small to be split
        run = _open(model, audio, start, end)
        traces, hidden = _traces(run)
        log_probs = _log_probs(run.model, hidden, run.output)
        decoder = run.decoding.make_decoder(run.vocabulary, run.model.config.text)
        nbest = decoder.decode(log_probs, NBEST)
        alignment = forced_alignment(log_probs, nbest[0].tokens)
        frame_s = run.model.frame_shift_ms / 1000
        timed = spoken_words(log_probs, nbest, frame_s, run.decoding.calibration())
        words = spoken(log_probs, nbest, alignment.spans, timed)
        times = _asked([word.frame for word in words], len(log_probs)) * frame_s
        others = [_open(folder, audio, start, end) for folder in against]
        return Explanation(
            audio=audio.name,
            model=run.folder.name,
            start=start,
            waveform=run.waveform,
            config=run.model.config,
            input_shift_ms=run.input_shift_ms,
            output_shift_ms=run.model.frame_shift_ms,
            log_mel=run.log_mel.numpy(),
            features=run.features.numpy(),
            unit=run.decoding.unit,
            tokens=tuple(run.vocabulary.tokens),
            log_probs=log_probs,
            text=nbest[0].text,
            words=words,
            forced_path=alignment.path(nbest[0].tokens, len(log_probs)),
            token_spans=alignment.spans,
            text_tokens=nbest[0].tokens,
            traces=tuple(traces),
            reaches=tuple(_reach(each, times) for each in (run, *others)),
            bundle=_bundle_difference(run, decoder, log_probs),
            known=None if text is None else _known(run, text, log_probs, nbest[0].tokens),
        )


def _open(folder: Path, audio: Path, start: float, end: float | None) -> _Run:
    """Load a model, and compute its features of a piece of a recording."""
    _check_weights(folder)
    model, vocabulary = load_acoustic_model(folder)
    decoding = DecodingOptions(words=True).resolve(folder)
    reads_phones = decoding.unit == "phones"
    rate_hz = model.config.features.sample_rate_hz
    waveform = read_piece(audio, rate_hz, start, end)
    heard = cleaned(waveform, model.config.features)
    with torch.no_grad():
        samples = torch.tensor(heard)[None]  # (1, L)
        log_mel, num_frames = model.frontend.log_mel(samples, torch.tensor([len(waveform)]))
        features = model.frontend.from_log_mel(log_mel, num_frames)
    read = (load_phones(folder) if reads_phones else None) or vocabulary
    return _Run(folder, model, read, decoding, waveform, log_mel[0], features[0], int(reads_phones))


def _check_weights(folder: Path) -> None:
    if not ((folder / "config.json").exists() or is_bundle(folder)):
        raise CheckpointError(
            f"{folder}: holds no model, neither config.json of asr-train nor bundle.json of "
            "asr-export"
        )
    if not (folder / "best").is_dir():
        raise CheckpointError(
            f"{folder}: has no best/, the weights that asr-explain reads; give the experiment "
            "folder that it was exported from"
        )


def _traces(run: _Run) -> tuple[list[Trace], Tensor]:
    """Return the traces of a network, and its hidden outputs (T', D * H)."""
    with torch.no_grad():
        frames, _ = run.model.front(run.features[None], torch.tensor([len(run.features)]))
    return trace_network(run.model.network, frames[0])


def _log_probs(model: AcousticModel, hidden: Tensor, output: int) -> NDArray[np.float32]:
    """Return the log-probabilities (T', V) of one of the outputs, of hidden outputs (T', D * H)."""
    layer = model.phone_output if output else model.output
    assert layer is not None
    with torch.no_grad():
        log_probs: NDArray[np.float32] = layer(hidden).log_softmax(dim=1).numpy()
    return log_probs


def _asked(of_words: Sequence[int], num_frames: int) -> NDArray[np.int64]:
    """Return the output frames whose reach is computed: one a word, and others if words are few."""
    frames = sorted(set(of_words))
    frames = [frames[place] for place in _evenly(len(frames), _MOST_REACHES)]
    if len(frames) < _LEAST_REACHES:
        frames += _evenly(num_frames, _LEAST_REACHES)
    return np.unique(np.array(frames, np.int64))


def _evenly(count: int, most: int) -> list[int]:
    """Return at most `most` of the numbers below `count`, evenly spaced."""
    spaced: list[int] = np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist()
    return spaced


def _known(
    run: _Run, text: str, log_probs: NDArray[np.float32], recognised: Sequence[int]
) -> KnownText:
    """Align a text that is known to be spoken."""
    frame_s = run.model.frame_shift_ms / 1000
    return known_text(text, log_probs, recognised, run.spelling, frame_s)


def _reach(run: _Run, times: NDArray[np.floating[Any]]) -> Reach:
    """Return the reach of a model around some times, in seconds."""
    stack = run.model.config.model.stack
    last = (len(run.features) + stack - 1) // stack - 1
    frames = np.rint(times * 1000 / run.model.frame_shift_ms).astype(np.int64).clip(0, last)
    tokens, norms = gradient_norms(run.model, run.features, frames.tolist(), run.output)
    return Reach(
        name=run.folder.name,
        config=run.model.config.model,
        frames=frames,
        tokens=tuple(run.vocabulary.tokens[token] for token in tokens),
        norms=norms,
        input_shift_ms=run.input_shift_ms,
        output_shift_ms=run.model.frame_shift_ms,
    )


def _bundle_difference(
    run: _Run, decoder: "Decoder", log_probs: NDArray[np.float32]
) -> BundleDifference | None:
    """Compare log-probabilities (T', V) with those of the bundle beside the network, if any."""
    if not is_bundle(run.folder):
        return None
    found = run.decoding.open_output().log_probs(run.waveform)
    difference = np.abs(np.exp(found) - np.exp(log_probs))
    return BundleDifference(
        text=decoder.decode(found)[0].text,
        same_frames=int(np.count_nonzero(found.argmax(axis=1) == log_probs.argmax(axis=1))),
        mean=float(difference.mean()),
        largest=float(difference.max()),
    )
