"""Configuration: frozen dataclasses, read from TOML, overridden by section.key=value.

The module that reads a section is named in the section's docstring. Suffixes carry units. An
unknown section or key is an error that names the nearest known one.
"""

import difflib
import math
import sys
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from asr._folders import conf_names, find_conf
from asr.errors import ConfigError
from asr.text import NUMBERS, language_settings


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """The normalisation of transcripts before training (asr/text.py, Normalizer)."""

    case: Literal["upper", "lower", "turkish", "keep"] = "upper"
    numbers: str = "en"  # a language of asr.text, or "keep"
    strip_accents: bool = True
    keep: str = "'"

    def __post_init__(self) -> None:
        if self.numbers not in NUMBERS:
            raise ConfigError(f"text.numbers is {self.numbers!r}; allowed: {', '.join(NUMBERS)}")


CLEANING = ("denoise", "dereverberate")  # keys of [features] that change the recording alone


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """The definition of a frame (asr/features.py)."""

    sample_rate_hz: int = 16_000
    frame_length_ms: float = 25.0
    frame_shift_ms: float = 10.0
    num_mels: int = 40
    num_ceps: int = 13  # cepstra kept, c0 included
    filterbank: Literal["htk", "slaney", "kaldi", "none"] = "htk"  # "none": frames from files
    low_hz: float = 20.0
    high_hz: float = 0.0  # 0: half the sample rate
    deltas: int = 2  # 0: none, 1: first order, 2: second order too
    normalize: Literal["none", "mean", "mean_variance"] = "mean_variance"  # over the utterance
    denoise: bool = False  # turn down loud, steady noise (asr/denoising.py)
    dereverberate: bool = False  # take echoes out of recordings from rooms (asr/dereverberation.py)

    @property
    def num_features(self) -> int:
        """Values in one frame."""
        return self.num_ceps * (1 + self.deltas)

    def __post_init__(self) -> None:
        nyquist = self.sample_rate_hz / 2
        _limit(self, 1000, 1_000_000, "sample_rate_hz")
        _limit(self, 1, 1000, "num_mels", "frame_length_ms")
        _limit(self, 1, self.num_mels, "num_ceps")
        _limit(self, 0, 2, "deltas")
        _limit(self, 1, self.frame_length_ms, "frame_shift_ms")
        _limit(self, 0, nyquist, "low_hz")
        if self.high_hz:
            _limit(self, self.low_hz + 1, nyquist, "high_hz")
        if self.filterbank == "none" and self.num_ceps != self.num_mels:
            raise ConfigError(
                f"features.num_ceps is {self.num_ceps}; with features.filterbank 'none' it must be "
                f"features.num_mels ({self.num_mels}), the width of the frames"
            )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The acoustic model (asr/model.py, asr/lstm.py)."""

    unit: Literal["character", "word"] = "character"  # of tokens; "word": a small fixed vocabulary
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    layers: int = 3
    hidden: int = 256  # cells in each direction
    bidirectional: bool = True
    layer_norm: bool = False
    dropout: float = 0.2  # on the input of every layer but the first, and of the output layer
    forget_bias: float = 1.0
    stack: int = 3  # neighbouring frames joined at the input
    conv_channels: int = 0  # of two convolutions that join frames (asr/subsampling.py); 0: none

    def __post_init__(self) -> None:
        _limit(self, 1, 64, "layers")
        _limit(self, 1, 1000, "stack")
        _limit(self, 1, 16_384, "hidden")
        _limit(self, 0, 100, "forget_bias")
        _limit(self, 0, 4096, "conv_channels")
        _limit(self, 0, 0.9, "dropout")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """The random changes that make many examples of one utterance (asr/augment.py)."""

    speeds: tuple[float, ...] = (1.0,)  # one drawn for each utterance and epoch
    freq_warp: float = 0.0  # largest share by which the mel axis is stretched or shrunk
    freq_masks: int = 0
    freq_mask_mels: int = 8  # widest frequency mask
    time_masks: int = 0
    time_mask_ms: float = 300.0  # longest time mask
    time_mask_fraction: float = 0.2  # longest time mask as a share of the utterance
    reverb_prob: float = 0.0  # probability of reverberation
    reverb_s: tuple[float, ...] = (0.2, 0.8)  # shortest, longest time in which it falls by 60 dB
    reverb_fluctuation: float = 0.0  # deviation of an echo's log energy in a frame, in nats
    noise_prob: float = 0.0  # probability of steady noise
    babble_prob: float = 0.0  # probability of other voices, which are those of the batch
    recorded_prob: float = 0.0  # probability of noise from a recording of `noises`
    noises: str = ""  # folder of recordings of noise, without speech that can be understood
    noise_snr_db: tuple[float, ...] = (10.0, 30.0)  # lowest, highest; of all three
    telephone_prob: float = 0.0  # probability of a telephone's band and coding
    band_limit_prob: float = 0.0
    band_limit_hz: tuple[float, ...] = (3400.0, 7000.0)  # lowest, highest cut-off
    codec_noise: float = 0.0  # with a band limit: largest deviation added below the cut-off, nats

    def __post_init__(self) -> None:
        _limit(self, 0.5, 2.0, "speeds")
        _limit(self, 0, 1000, "freq_masks", "freq_mask_mels", "time_masks")
        _limit(self, 0, 60_000, "time_mask_ms")
        _limit(self, 0, 0.5, "freq_warp")
        _limit(self, 0.05, 10, "reverb_s")
        _limit(self, 0, 10, "codec_noise", "reverb_fluctuation")
        _limit(self, 0, 1, "reverb_prob", "noise_prob", "babble_prob", "recorded_prob")
        _limit(self, 0, 1, "telephone_prob", "band_limit_prob", "time_mask_fraction")
        if self.recorded_prob and not self.noises:
            raise ConfigError(
                f"augment.recorded_prob is {self.recorded_prob}, and there are no recordings; give "
                "a folder of noise, augment.noises=FOLDER, or 0"
            )
        for name in ("reverb_s", "noise_snr_db", "band_limit_hz"):
            bounds = getattr(self, name)
            if len(bounds) != 2 or bounds[0] > bounds[1]:
                raise ConfigError(f"augment.{name} is {list(bounds)}; allowed: [lowest, highest]")
        if not self.speeds:
            raise ConfigError("augment.speeds is empty; allowed: one factor or more, such as [1.0]")


MOST_BATCH_S = 1e6  # more than any memory holds


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The batches (asr/data.py)."""

    batch_s: float = 120.0  # longest batch, padding included
    max_utterance_s: float = 20.0  # longer utterances are left out of training, and reported
    workers: int = 1  # threads that read audio and compute features ahead of the training step
    cache: Literal["memory", "none"] = "memory"  # takes 29 MB for each hour and each speed

    def __post_init__(self) -> None:
        _limit(self, 1, 64, "workers")
        _limit(self, 0.1, 3600, "max_utterance_s")
        _limit(self, self.max_utterance_s, MOST_BATCH_S, "batch_s")


@dataclass(frozen=True, kw_only=True)
class LmConfig:
    """The LSTM language model and its text (asr/lm/neural.py, asr/training/lm_task.py)."""

    unit: Literal["word", "character"] = "word"
    vocabulary_size: int = 20_000  # number of units, the most frequent ones; all others are <unk>
    embedding: int = 256
    layers: int = 1
    hidden: int = 512
    dropout: float = 0.1  # on the input of every layer, and of the softmax
    batch_tokens: int = 4000  # units in a batch, padding included; longer sentences are left out
    epoch_words: int = 1_000_000  # about so many words between two validations

    def __post_init__(self) -> None:
        _limit(self, 1, 64, "layers")
        _limit(self, 1, 16_384, "embedding")
        _limit(self, 1, 10**12, "epoch_words")
        _limit(self, 1, 2**31 - 3, "vocabulary_size")  # with two more tokens, ids fit into an int32
        _limit(self, 16, 16_384, "hidden")  # the class of rarest words has hidden / 16 inputs
        _limit(self, 2, 10**9, "batch_tokens")
        _limit(self, 0, 0.9, "dropout")


@dataclass(frozen=True, kw_only=True)
class TaggerConfig:
    """The tagger of readable text (asr/readable/network.py, asr/training/tagger_task.py)."""

    rows: int = 40_000  # of the embedding table; words share them by hashing
    embedding: int = 96
    layers: int = 2
    hidden: int = 192  # cells in each direction
    dropout: float = 0.1  # on the outputs of every layer
    window: int = 128  # words
    batch_words: int = 8192
    epoch_words: int = 2_000_000  # about so many words between two validations
    most_errors: float = 0.3  # share of words heard wrongly in the worst windows
    bfloat16: bool = False  # products in 16 bits: faster where the processor has them

    def __post_init__(self) -> None:
        _limit(self, 2, 10**7, "rows")
        _limit(self, 1, 4096, "embedding", "hidden")
        _limit(self, 1, 16, "layers")
        _limit(self, 0, 0.9, "dropout", "most_errors")
        _limit(self, 2, 10_000, "window")
        _limit(self, 1, 10**9, "batch_words")
        _limit(self, 1, 10**12, "epoch_words")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The training loop (asr/train.py)."""

    seed: int = 1
    epochs: int = 20
    patience: int = 0  # epochs in a row without a better one that end training; 0: never
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    final_lr_fraction: float = 0.02  # share of learning_rate left at the last step (cosine decay)
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    ema_decay: float = 0.998  # of the EMA of the weights; 0: no averaging
    accumulate: int = 1  # batches in one step
    checkpoint_minutes: float = 10.0  # between checkpoints inside an epoch; 0: one after each step
    freeze: int = 0  # number of lowest recurrent layers to freeze (asr/training/finetune.py)
    phone_weight: float = 0.5  # share of the phones in the loss, if phones are learned, too
    mmi: float = 0.0  # weight of the MMI loss (asr/mmi.py), over phones if they are learned
    consistency: float = 0.0  # weight of the consistency loss (asr/objective.py); 0: one view
    ctc_fraction: float = 0.0  # share of the epochs, the first, with CTC alone, which is faster
    processes: int = 0  # that share each batch; 0: one for each core (at most 4), or for each GPU
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        _limit(self, 0, 2**63 - 1, "seed")
        _limit(self, 1, 1_000_000, "epochs", "accumulate")
        _limit(self, 0, 1_000_000, "patience")
        _limit(self, 0, 64, "processes")
        _limit(self, 0, 0.99999, "ema_decay")
        _limit(self, 0, 1, "final_lr_fraction", "phone_weight", "mmi", "ctc_fraction")
        _limit(self, 0, 10**9, "warmup_steps", "checkpoint_minutes")
        _limit(self, 0, 1000, "weight_decay", "freeze", "consistency")
        _limit(self, 1e-12, 10**9, "learning_rate", "clip_norm")


_FOR_RECORDINGS = (  # and not for files of frames
    ("features", "denoise"),
    ("features", "dereverberate"),
    ("augment", "speeds"),
    ("augment", "freq_warp"),
    ("augment", "reverb_prob"),
    ("augment", "noise_prob"),
    ("augment", "babble_prob"),
    ("augment", "recorded_prob"),
    ("augment", "telephone_prob"),
    ("augment", "band_limit_prob"),
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that defines an experiment except its data."""

    text: TextConfig = field(default_factory=TextConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    data: DataConfig = field(default_factory=DataConfig)
    lm: LmConfig = field(default_factory=LmConfig)
    tagger: TaggerConfig = field(default_factory=TaggerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        if self.features.filterbank == "none":  # frames that are no mel energies of a recording
            both = self, Config()
            for section, key in _FOR_RECORDINGS:
                value, usual = (getattr(getattr(config, section), key) for config in both)
                if value != usual:
                    raise ConfigError(
                        f"{section}.{key} is {value!r}, which is for recordings; with "
                        f"features.filterbank 'none' leave it at {usual!r}"
                    )


PRESETS = {  # configurations of the package, up to so many hours of speech
    "half-hour": 2.0,
    "five-hours": 20.0,
    "fifty-hours": 200.0,
    "five-hundred-hours": math.inf,
}


def load_config(
    path: Path | str,
    overrides: Iterable[str] = (),
    *,
    language: str | None = None,
    inherited: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """Read a TOML file and apply `section.key=value` overrides (values in TOML syntax).

    Args:
        path: of the file, or the name of one that comes with the package.
        overrides: of single keys.
        language: preset of the keys of [text] that neither file nor overrides give.
        inherited: sections that hold instead of the file's, as of a model to go on from.

    Raises:
        ConfigError: unreadable file, bad TOML, unknown name, wrong type or value not allowed.
    """
    try:
        table = tomllib.loads(find_conf(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); give a TOML file, or a name: "
            f"{', '.join(conf_names())}"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    table |= {section: dict(values) for section, values in (inherited or {}).items()}
    for override in overrides:
        _apply_override(table, override)
    if language:
        table["text"] = language_settings(language) | table.get("text", {})
    return config_from_dict(table, str(path))


def config_from_dict(table: Mapping[str, Any], source: str = "configuration") -> Config:
    """Build a Config from nested tables; absent keys keep their defaults."""
    known = {f.name: f.default_factory for f in fields(Config)}
    _refuse_unknown(table, known, source)
    sections = {}
    for name, values in table.items():
        if not isinstance(values, Mapping):
            raise ConfigError(f"{source}: {name} is {values!r}; it must be a section, [{name}]")
        sections[name] = _section(known[name](), name, values, source)  # type: ignore[operator]
    return Config(**sections)


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return nested tables of JSON types, as config_from_dict reads them."""
    return asdict(config)


def changed_config(config: Config, overrides: Iterable[str]) -> Config:
    """Return a configuration with `section.key=value` overrides.

    Raises:
        ConfigError: as `load_config` does for overrides.
    """
    table = config_to_dict(config)
    for override in overrides:
        _apply_override(table, override)
    return config_from_dict(table)


# Keys of earlier versions, with the values that changed nothing. The configuration of an older
# model may still hold them. Their other values lost every comparison (recipes/*/LOG.md).
_RETIRED: dict[str, dict[str, Any]] = {
    "model": {
        "projection": 0,
        "residual": False,
        "variational_dropout": False,
        "weight_drop": 0.0,
        "reduce_after": [],
    }
}


def _without_retired(name: str, values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the values of a section without retired keys.

    Raises:
        ConfigError: a retired key has a value that changed something.
    """
    retired = _RETIRED.get(name, {})
    for key in retired.keys() & values.keys():
        if values[key] != retired[key]:
            raise ConfigError(
                f"{source}: {name}.{key} is {values[key]!r}; the key was removed, and this version "
                f"can do {retired[key]!r} alone; remove it, or use version 0.1 for this model"
            )
    return {key: value for key, value in values.items() if key not in retired}


def _section(defaults: Any, name: str, values: Mapping[str, Any], source: str) -> Any:
    """Return a section of the configuration, with the given values in place of defaults."""
    types = get_type_hints(type(defaults))
    values = _without_retired(name, values, source)
    _refuse_unknown(values, types, f"{source}: [{name}]")
    given = {key: _coerce(f"{name}.{key}", value, types[key]) for key, value in values.items()}
    return replace(defaults, **given)


def _coerce(key: str, value: Any, wanted: Any) -> Any:
    """Return a value as the wanted type, or raise: TOML has no tuples, and 1 is a fine float."""
    kind = typing.get_origin(wanted) or wanted
    if kind is Literal:
        allowed = typing.get_args(wanted)
        if value in allowed:
            return value
        raise ConfigError(f"{key} is {value!r}; allowed: {', '.join(map(repr, allowed))}")
    if kind is tuple:
        if isinstance(value, list | tuple):
            return tuple(_coerce(key, item, typing.get_args(wanted)[0]) for item in value)
    elif kind is float:
        if type(value) in (int, float) and abs(value) <= sys.float_info.max:
            return float(value)
    elif type(value) is kind:
        return value
    name = {tuple: "list", float: "finite float"}.get(kind, kind.__name__)
    raise ConfigError(f"{key} is {value!r}; it must be of type {name}")


def _apply_override(table: dict[str, Any], override: str) -> None:
    """Set the key of an override `section.key=value` in a table."""
    name, separator, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (separator and dot and key):
        raise ConfigError(f"override {override!r}: write section.key=value, such as train.epochs=5")
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word: cell=gru
    inner = table.setdefault(section, {})
    if not isinstance(inner, dict):
        raise ConfigError(f"override {override!r}: {section} is not a section")
    inner[key] = value


def _refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise for an unknown name, with the nearest known one."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise ConfigError(f"{where}: unknown name {name!r}; {hint}")


def _limit(section: Any, low: float, high: float, *keys: str) -> None:
    """Raise unless the values of keys, each in a list, are within limits."""
    for key in keys:
        given = getattr(section, key)
        for value in given if isinstance(given, tuple) else (given,):
            if not low <= value <= high:
                name = f"{type(section).__name__.removesuffix('Config').lower()}.{key}"
                shown = f"{value:g}" if abs(value) < sys.float_info.max else str(value)
                raise ConfigError(f"{name} is {shown}; allowed: {low:g}..{high:g}")
