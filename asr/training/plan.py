"""Plan a training run: the settings that fit the amount of speech, and what a model hands on.

The presets are configurations of the package, named by the speech they are for. A network that no
language model will help is best trained by CTC alone, for longer: MMI makes greedy decoding worse.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from asr._progress import counted
from asr.checkpoint import load_experiment
from asr.config import PRESETS, Config, load_config
from asr.decode import has_phones, included_lm
from asr.errors import ConfigError
from asr.lexicon import Pronunciations
from asr.text import Vocabulary
from asr.training.story import amount_of_speech

ADAPTATION = "adapt"
GREEDY_EPOCHS = 3  # times as many epochs without MMI: 40 against 13, recipes/librispeech/LOG.md
MOST_EPOCHS = 100  # of greedy training; of the smallest sets
SMALL_HOURS = 0.3  # up to here, smaller batches give steps enough in less time
ADAPTED_HOURS = 3.6  # of speech in all epochs of an adaptation: 5 epochs of 45 minutes
TWO_VIEWS_HOURS = 0.25  # up to here the consistency loss was worth its time


@dataclass(frozen=True)
class Plan:
    """The settings of a run, and what they follow from."""

    config: Config
    reason: str  # "" where the user chose a configuration


def preset_for(hours: float) -> str:
    """Return the name of the preset for so many hours of speech."""
    return next(name for name, most in PRESETS.items() if hours < most)


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
        decoded: whether a beam search with a language model will read the network; it will, too,
            where the model to begin with has one and is of the same language.
        language: preset of [text]; None: of the model to begin with, or English.
        init: the model to begin with.

    Raises:
        ConfigError: the configuration cannot be used.
        CheckpointError: the model to begin with is damaged.
    """
    if conf is not None and str(conf) not in PRESETS:
        return Plan(load_config(conf, overrides, language=language), "")
    inherited, chosen = {}, str(conf or preset_for(hours))
    own: list[str] = []
    if init:
        theirs = load_experiment(init)[0]
        inherited = {name: asdict(getattr(theirs, name)) for name in ("features", "model")}
        if language is None:
            inherited["text"] = asdict(theirs.text)
        text = load_config(chosen, overrides, language=language, inherited=inherited).text
        decoded |= text == theirs.text and included_lm(init) is not None
        if conf is None and text == theirs.text:
            chosen, own = ADAPTATION, adaptation_settings(hours)
    if chosen == "half-hour":
        own = small_settings(hours)
    if not decoded:
        epochs = min(MOST_EPOCHS, GREEDY_EPOCHS * load_config(chosen, own).train.epochs)
        longer = [] if chosen == ADAPTATION else [f"train.epochs={epochs}"]
        own += ["train.mmi=0.0", "train.ctc_fraction=0.0", *longer]
    settings = [*own, *overrides]
    config = load_config(chosen, settings, language=language, inherited=inherited)
    aim = "a language model" if decoded else "greedy decoding"
    losses = "CTC and MMI" if config.train.mmi else "CTC"
    at_most = "at most " if config.train.patience else ""
    return Plan(
        config,
        f"settings {chosen}: for {amount_of_speech(hours)} of speech and {aim}; {losses}, "
        f"{at_most}{counted(config.train.epochs, 'epoch')}",
    )


def small_settings(hours: float) -> list[str]:
    """Return the overrides for up to two hours of speech: epochs that give about 1800 steps."""
    if hours < SMALL_HOURS:
        return ["data.batch_s=20.0", f"train.epochs={_between(30, 9 / max(hours, 1e-3), 80)}"]
    return [f"train.epochs={_between(20, 15 / hours, 50)}"]


def _between(low: int, value: float, high: int) -> int:
    return round(min(high, max(low, value)))


def adaptation_settings(hours: float) -> list[str]:
    """Return the overrides for an adaptation by so many hours of speech: 4 to 12 epochs."""
    epochs = _between(4, ADAPTED_HOURS / max(hours, 1e-3), 12)
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
