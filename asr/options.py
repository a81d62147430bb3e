"""Decoding options: the language model, words and weights that decode a model's output.

`DecodingOptions` hold the choices of a user. `resolve` fills in the rest once, from the model's
folder. The result, a `Decoding`, is plain data with absolute paths: commands, worker processes and
Ray actors get the same one, and each builds a decoder of its own.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import asr
from asr._atomic import content_sha256
from asr._folders import find_model
from asr.channels import MIXED, Channels
from asr.decode import (
    DecoderConfig,
    GreedyDecoder,
    has_phones,
    included_lm,
    included_lstm,
    load_settings,
    parse_hotword,
)
from asr.errors import CheckpointError, DecoderError
from asr.inference import Acoustics, open_acoustics
from asr.readable import TAGGER
from asr.text import Normalizer, Vocabulary

if TYPE_CHECKING:
    from asr.config import TextConfig
    from asr.decode import BeamDecoder, Calibration, Decoder, Scorer
    from asr.lexicon import Lexicon, Pronunciations
    from asr.lm import NgramModel
    from asr.readable import Writer

ENGLISH = Path(__file__).parent / "models" / "english"  # the model that comes with the package
_FILES = ("lm", "lexicon", "rescore")
_FOR_BEAM = (*_FILES, "hotwords", "settings")
_OPTION = {"settings": "set"}  # what the commands call a field, where the name differs
_MODEL_SUFFIXES = frozenset({".json", ".txt", ".bin", ".npz", ".onnx", ".safetensors"})


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """The choices of a user; None stands for the default, which the model's folder decides.

    The commands have an option for each field: --lm, --lexicon, --set for `settings` and so on.
    """

    decoder: Literal["greedy", "beam"] | None = None  # default: beam, if an option or LM needs it
    lm: Path | str | None = None  # n-gram model of asr-lm
    lexicon: Path | str | None = None  # words, or words and their tokens, a line each
    unit: Literal["tokens", "phones"] | None = None  # the output that is read
    hotwords: Sequence[str] = ()  # words and phrases to be preferred, or phrase:boost
    rescore: Path | str | None = None  # LSTM language model that scores the N-best list, too
    settings: Mapping[str, float] = field(default_factory=dict)  # by name in DecoderConfig
    words: bool = False  # whether transcripts say when each word was spoken
    plain: bool = False  # whether texts stay without capitals, punctuation and digits
    numbers: Literal["digits", "words"] | None = None  # default: digits, where texts are readable
    channels: Literal["mix", "split"] | int = "mix"  # split: who said what; or one, from 1
    channel_names: Sequence[str] = ()  # of the speakers; default: Left and Right, or Channel 1 ...

    def __post_init__(self) -> None:
        named = isinstance(self.settings, Mapping) and _are_strings([*self.settings])
        checks = {
            "decoder": (self.decoder in (None, "greedy", "beam"), "'greedy', 'beam'"),
            "unit": (self.unit in (None, "tokens", "phones"), "'tokens', 'phones'"),
            "hotwords": (_are_strings(self.hotwords), "a list of words and phrases"),
            "settings": (named, "a dict such as {'beam_size': 200}"),
            "words": (isinstance(self.words, bool), "True, False"),
            "plain": (isinstance(self.plain, bool), "True, False"),
            "channel_names": (_are_strings(self.channel_names), "a list of names"),
            "numbers": (self.numbers in (None, "digits", "words"), "'digits', 'words'"),
            **{name: (_is_path(getattr(self, name)), "the path of a file") for name in _FILES},
        }
        for name, (is_good, allowed) in checks.items():
            if not is_good:
                raise DecoderError(f"{name} is {getattr(self, name)!r}; allowed: {allowed}")
        for phrase in self.hotwords:
            parse_hotword(phrase)
        Channels(self.channels, tuple(self.channel_names))  # raises if they do not fit

    def resolve(self, model: Path | str | None = None) -> "Decoding":
        """Return these options for a model, with the defaults of its folder filled in.

        Where a language model lies in the folder, a beam search with it is the default: over
        phones, where the model has them, and rescored by the LSTM there, if there is one. Where a
        tagger lies in the folder, texts are readable: with capitals, punctuation and digits.

        Args:
            model: its folder or name; default: the English model of the package.

        Raises:
            DecoderError: an option that the decoder or the tagger has no use for, an unknown
                setting, a value that is not allowed, or settings in the folder that are damaged.
            CheckpointError: the model is no path of a folder.
        """
        if model == "" or not _is_path(model):
            raise CheckpointError(f"the model is {model!r}; give the folder of a model")
        folder = find_model(model) if model else ENGLISH
        if not folder.is_dir():
            raise CheckpointError(f"{folder}: is no folder that exists; give the folder of a model")
        given = [_OPTION.get(name, name) for name in _FOR_BEAM if getattr(self, name)]
        given += ["unit phones"] if self.unit == "phones" else []
        if self.decoder == "greedy" and given:
            raise DecoderError(f"--{given[0]} is for a beam search; leave --decoder greedy out")
        lm, rescore = self.lm, self.rescore
        if self.decoder != "greedy":
            rescore = rescore or (None if lm else included_lstm(folder))
            lm = lm or included_lm(folder)
        decoder = self.decoder or ("beam" if given or lm else "greedy")
        in_words = lm and decoder == "beam"
        return Decoding(
            model=folder.absolute(),
            decoder=decoder,
            unit=self.unit or (usual_unit(folder) if in_words else "tokens"),
            lm=_absolute(lm),
            lexicon=_absolute(self.lexicon),
            hotwords=tuple(self.hotwords),
            rescore=_absolute(rescore),
            config=load_settings(folder).changed(self.settings),
            words=self.words,
            tagger=_absolute(self._tagger(folder)),
            numbers=self.numbers or "digits",
            channels=Channels(self.channels, tuple(self.channel_names)),
        )

    def _tagger(self, folder: Path) -> Path | None:
        """Return the tagger that makes texts readable, if any.

        Raises:
            DecoderError: numbers have a form in readable texts alone, and this text is plain; or
                digits are asked for, and the tagger is not for English.
            CheckpointError: digits are asked for, and the tagger is damaged.
        """
        tagger = None if self.plain or not (folder / TAGGER).exists() else folder / TAGGER
        if self.numbers and not tagger:
            why = "--plain writes words" if self.plain else f"{folder} has no {TAGGER}"
            raise DecoderError(
                f"--numbers {self.numbers} is for readable text, and {why}; leave one out"
            )
        if self.numbers == "digits" and tagger:
            from asr.readable import Tagger

            if not Tagger.load(tagger).info.english:
                raise DecoderError(
                    f"--numbers digits is for English, and {tagger} for another language; leave "
                    "--numbers out: numbers stay words"
                )
        return tagger


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """A model and how to decode its output; with absolute paths, so that it can be sent away."""

    model: Path
    decoder: Literal["greedy", "beam"]
    unit: Literal["tokens", "phones"]
    lm: Path | None
    lexicon: Path | None
    hotwords: tuple[str, ...]
    rescore: Path | None
    config: DecoderConfig
    words: bool
    tagger: Path | None = None  # makes texts readable
    numbers: Literal["digits", "words"] = "digits"
    channels: Channels = MIXED

    @property
    def is_usual_unit(self) -> bool:
        """Whether the weights kept with the model are for the output that is read."""
        return self.unit == usual_unit(self.model)

    @property
    def reads_words(self) -> bool:
        """Whether a lexicon spells the words, so that texts may hold letters the model lacks."""
        return self.lexicon is not None or self.unit == "phones"

    def open_output(self) -> Acoustics:
        """Open the model with the output that is read, over tokens or phones.

        For a beam search, the compiled search is made ready meanwhile, on another core.

        Raises:
            CheckpointError: there is no model, a damaged one, or one without such an output.
            MissingDependencyError: it is an experiment folder, and torch is not installed.
        """
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(open_acoustics, self.model, phones=self.unit == "phones")
            if self.decoder == "beam":
                from asr.decode import compile_search  # imports numba

                compile_search()
            return opening.result()

    def load_writer(self) -> "Writer | None":
        """Load the writer of readable text, if texts are to be readable.

        Raises:
            CheckpointError: the tagger is damaged.
        """
        if not self.tagger:
            return None
        from asr.readable import Tagger, Writer

        return Writer(Tagger.load(self.tagger), self.numbers)

    def make_decoder(
        self, vocabulary: Vocabulary, text: "TextConfig", spoken: "Pronunciations | None" = None
    ) -> "Decoder":
        """Build the decoder.

        Args:
            vocabulary: of the output that is read.
            text: how the model writes text; hotwords are normalised so.
            spoken: the pronunciations of the model, if they are loaded already. They learn to guess
                those of other words once, which takes seconds.

        Raises:
            DecoderError: a hotword, lexicon or setting that cannot be used.
            LanguageModelError, CheckpointError: a language model that cannot be read.
        """
        if self.decoder == "greedy":
            return GreedyDecoder(vocabulary)
        from asr.decode import rescored  # late, like all below: numba

        return rescored(self.make_beam(vocabulary, text, spoken), self.rescore, self.config)

    def make_beam(
        self, vocabulary: Vocabulary, text: "TextConfig", spoken: "Pronunciations | None" = None
    ) -> "BeamDecoder":
        """Build the beam search without rescoring; arguments and errors as of make_decoder."""
        from asr.decode import BeamDecoder, compile_search
        from asr.lm import load_lm

        compile_search()
        lm = load_lm(self.lm) if self.lm else None
        hotwords = _normalised(self.hotwords, text)
        words = [word for line in hotwords for word in parse_hotword(line)[0].split()]
        lexicon = self._lexicon(vocabulary, lm, words, spoken)
        return BeamDecoder(vocabulary, self.config, lm=lm, lexicon=lexicon, hotwords=hotwords)

    def _lexicon(
        self,
        vocabulary: Vocabulary,
        lm: "NgramModel | None",
        hotwords: Iterable[str],
        spoken: "Pronunciations | None",
    ) -> "Lexicon | None":
        """Return the lexicon of the search; over phones, with guesses for hotwords it lacks."""
        from asr.lexicon import Lexicon, Pronunciations

        given = Lexicon.load(self.lexicon, vocabulary) if self.lexicon else None
        if self.unit == "tokens":
            return given
        spoken = spoken or Pronunciations.load(self.model)
        lexicon = given or (spoken.among(lm) if lm else spoken.lexicon)
        lacking = dict.fromkeys(word for word in hotwords if word not in lexicon)
        return lexicon.joined(spoken.guessed(lacking)) if lacking else lexicon

    def load_scorer(self, words: Iterable[str]) -> "Scorer | None":
        """Load the LSTM that rescores, if any, for texts of these words."""
        if not self.rescore:
            return None
        from asr.lm import LstmScorer

        return LstmScorer.load(self.rescore, words)

    def calibration(self) -> "Calibration | None":
        """Load the calibration of confidences that was fitted to the model's usual decoder.

        Raises:
            CheckpointError: it is damaged.
        """
        if not (self.lm and self.is_usual_unit):
            return None
        from asr.decode import load_calibration

        return load_calibration(self.model)

    def describe(self) -> dict[str, object]:
        """Return the model and the decoder with its settings, in types that JSON has."""
        decoder: dict[str, object] = {"name": self.decoder}
        if self.decoder == "beam":
            given = ((name, getattr(self, name)) for name in _FILES)
            decoder |= {name: path.name for name, path in given if path}
            decoder |= {"hotwords": len(self.hotwords)} if self.hotwords else {}
            decoder |= {"unit": self.unit, **asdict(self.config)}
        named: dict[str, object] = {"model": self.model.resolve().name, "decoder": decoder}
        return named | ({"numbers": self.numbers} if self.tagger else {})

    def digest(self) -> str:
        """Return a sha256 of everything that a transcript depends on, except the recording."""
        paths = filter(None, (self.model, *(getattr(self, name) for name in _FILES)))
        files = dict.fromkeys(file for path in paths for file in _read_files(path))
        contents = sorted(filter(None, map(content_sha256, files)))  # wherever the files lie
        record: list[object] = [asr.__version__, self.describe(), self.hotwords, contents]
        if self.channels != MIXED:
            record += [self.channels.choice, self.channels.names]
        return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def usual_unit(model: Path) -> Literal["tokens", "phones"]:
    """Return the output that is read where a language model over words is used."""
    return "phones" if has_phones(model) else "tokens"


def read_hotwords(path: Path | str) -> tuple[str, ...]:
    """Read words and phrases from a file, one a line: 'phrase', or 'phrase:boost'.

    Empty lines, and everything after a # at the start of a line or behind a space, are left out.

    Raises:
        DecoderError: the file cannot be read, holds no words, or a line is in another syntax.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DecoderError(
            f"--hotwords {path}: cannot be read ({error.strerror}); give a file, a phrase a line"
        ) from error
    except UnicodeDecodeError as error:
        raise DecoderError(f"--hotwords {path}: is not UTF-8 text; save it as such") from error
    phrases = []
    for number, line in enumerate(lines, 1):
        phrase = re.sub(r"(^|\s)#.*", "", line).strip()
        try:
            parse_hotword(phrase)
        except DecoderError as error:
            raise DecoderError(f"--hotwords {path}: line {number}: {error}") from None
        phrases += [phrase] if phrase else []
    if not phrases:
        raise DecoderError(f"--hotwords {path}: no words; write a word or phrase a line")
    return tuple(phrases)


def _normalised(hotwords: Sequence[str], text: "TextConfig") -> list[str]:
    """Return hotwords as the model writes text, each with its boost if it has one.

    Raises:
        DecoderError: hotwords are given, but none holds a word.
    """
    normalizer = Normalizer(**vars(text))
    parsed = ((normalizer(phrase), boost) for phrase, boost in map(parse_hotword, hotwords))
    lines = [phrase if boost is None else f"{phrase}:{boost}" for phrase, boost in parsed if phrase]
    if hotwords and not lines:
        raise DecoderError("hotwords: no words are in them; write words and phrases")
    return lines


def _are_strings(values: object) -> bool:
    """Return whether a value is a sequence of strings; a single string is none."""
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        return False
    return all(isinstance(value, str) for value in values)


def _is_path(value: object) -> bool:
    """Return whether a value can be the path of a file, or is None."""
    named = isinstance(value, str) and value != "" and "\0" not in value
    return value is None or named or isinstance(value, Path)


def _absolute(path: Path | str | None) -> Path | None:
    return Path(path).absolute() if path else None


def _read_files(path: Path) -> Iterator[Path]:
    """Yield a file, or the files of a model's folder that recognition may read."""
    if not path.is_dir():
        yield path
    for folder in (path, path / "best"):
        yield from (file for file in folder.glob("*") if file.suffix in _MODEL_SUFFIXES)
