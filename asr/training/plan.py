"""Plan a training run: the settings that fit the amount of speech, and what a model hands on.

The presets are configurations of the package, named by the speech they are for. A network that no
language model will help is best trained by CTC alone, for longer: MMI makes greedy decoding worse.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path

from asr.checkpoint import load_experiment
from asr.config import PRESETS, Config, load_config
from asr.errors import ConfigError
from asr.text import Vocabulary

ADAPTATION = "adapt"
GREEDY_EPOCHS = 3  # times as many epochs without MMI: 40 against 13, recipes/librispeech/LOG.md
ADAPTED_HOURS = 3.6  # of speech in all epochs of an adaptation: 5 epochs of 45 minutes
TWO_VIEWS_HOURS = 0.25  # up to here the consistency loss was worth its time


@dataclass(frozen=True)
class Plan:
    """The settings of a run, and what they follow from."""

    config: Config
    reason: str  # "" where the user chose a configuration


def preset_for(hours: float) -> str:
    """Return the name of the preset for so many hours of speech."""
    return next(name for name, most in PRESETS.items() if hours < most or most == inf)


def plan_training(
    *,
    conf: Path | str | None,
    overrides: Sequence[str],
    hours: float,
    decoded: bool,
    language: str | None = None,
    init: Path | None = None,
) -> Plan:
    """Choose the settings of a run.

    Args:
        conf: the user's configuration or preset; None: the one that fits.
        overrides: of the user.
        hours: of speech to learn from.
        decoded: whether a beam search with a language model will read the network.
        language: preset of [text]; None: of the model to begin with, or English.
        init: the model to begin with.

    Raises:
        ConfigError: the configuration cannot be used.
        CheckpointError: the model to begin with is damaged.
    """
    if conf is not None and str(conf) not in PRESETS:
        return Plan(load_config(conf, overrides, language=language), "")
    beneath, chosen = {}, str(conf or preset_for(hours))
    own: list[str] = []
    if init:
        theirs = load_experiment(init)[0]
        beneath = {name: asdict(getattr(theirs, name)) for name in ("features", "model", "text")}
        text = load_config(chosen, overrides, language=language).text if language else theirs.text
        if language:
            del beneath["text"]
        if conf is None and text == theirs.text:
            chosen, own = ADAPTATION, adaptation_settings(hours)
    if not decoded:
        epochs = load_config(chosen, own).train.epochs
        longer = [] if chosen == ADAPTATION else [f"train.epochs={GREEDY_EPOCHS * epochs}"]
        own += ["train.mmi=0.0", "train.ctc_fraction=0.0", *longer]
    config = load_config(chosen, [*own, *overrides], language=language, beneath=beneath)
    aim = "a language model" if decoded else "greedy decoding"
    losses = "CTC and MMI" if config.train.mmi else "CTC"
    return Plan(
        config,
        f"settings {chosen}: for {hours:.1f} hours of speech and {aim}; {losses}, "
        f"{config.train.epochs} epochs",
    )


def adaptation_settings(hours: float) -> list[str]:
    """Return the overrides for an adaptation by so many hours of speech: 4 to 12 epochs."""
    epochs = round(min(12, max(4, ADAPTED_HOURS / max(hours, 1e-3))))
    views = 0.2 if hours < TWO_VIEWS_HOURS else 0.0
    return [f"train.epochs={epochs}", f"train.consistency={views}"]


def hands_on(init: Path, config: Config, texts: Iterable[str]) -> str:
    """Return why a model cannot hand on its words to training on normalised texts; "" if it can.

    Its words are its pronunciations and its language models. They are of another language where
    texts are normalised in another way, or where most words lack a pronunciation or need letters
    that the model lacks.

    Raises:
        CheckpointError, DecoderError: the model is damaged.
    """
    from asr.decode import has_phones
    from asr.lexicon import Pronunciations

    theirs, tokens = load_experiment(init)
    if theirs.text != config.text:
        return "its texts are written in another way ([text])"
    words = [word for text in texts for word in text.split()]
    if has_phones(init):
        spoken = Pronunciations.load(init)
        lacking = sum(bool(spoken.lacks(word)) for word in words)
        what = "its lexicon lacks"
    else:
        lacking = sum(not _writes(tokens, word) for word in words)
        what = "it lacks letters of"
    if lacking <= len(words) / 2:
        return ""
    return f"{what} {lacking} of {len(words)} words of the transcripts"


def _writes(tokens: Vocabulary, word: str) -> bool:
    return tokens.unit == "word" or set(word) <= set(tokens.tokens)


def check_preset(name: str) -> str:
    """Return the name of a preset, or raise a ConfigError that names all."""
    if name not in PRESETS:
        raise ConfigError(f"--preset {name}: allowed: {', '.join(PRESETS)}")
    return name
