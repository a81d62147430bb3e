"""Examine the sets check by check; utterances that one check leaves out skip the later ones."""

from dataclasses import dataclass
from pathlib import Path

from asr.config import Config
from asr.data import Example, trainable
from asr.doctor import recordings, sound, splits, texts, writing
from asr.doctor.dataset import Dataset, read_dataset
from asr.doctor.finding import Finding
from asr.doctor.report import Summary, summarize
from asr.errors import TrainingError, VocabularyError
from asr.text import Normalizer, Vocabulary


@dataclass(frozen=True)
class Examination:
    """The findings in all sets, and the utterances that can be trained on."""

    train: Dataset
    summaries: tuple[Summary, ...]
    findings: tuple[Finding, ...]
    vocabulary: Vocabulary | None  # of the training texts; None if they are all empty
    examples: tuple[Example, ...]  # of the training set, without the ones that findings leave out
    sets: tuple[tuple[Dataset, sound.Heard], ...]  # all of them, with what was listened to


def examine(paths: dict[str, Path], config: Config, *, everything: bool) -> Examination:
    """Examine the manifests "train" and, where given, "valid" and "test".

    Args:
        paths: the manifests by name, "train" first.
        config: says how texts are normalised, and which utterances training leaves out.
        everything: decode all utterances instead of a sample.

    Raises:
        ManifestError: a manifest cannot be read, or no line of it is an utterance.
    """
    normalizer = Normalizer(**vars(config.text))
    read = [read_dataset(name, path, normalizer) for name, path in paths.items()]
    datasets = [dataset for dataset, _ in read]
    headers = recordings.read_headers(datasets, config.features.frame_shift_ms)
    vocabulary = _vocabulary(datasets[0], config)
    features = config.features
    width = recordings.usual_width(datasets[0], headers)
    if features.filterbank == "none":
        width = features.num_mels
    rate_hz = features.sample_rate_hz
    train_heard: sound.Heard = {}
    summaries, findings, sets = [], [], []
    for dataset, found in read:
        examined = _ExaminedSet(dataset, found)
        examined.check_recordings(headers, width, rate_hz)
        heard = examined.listen(headers, train_heard, rate_hz, everything)
        examined.check_texts(vocabulary, config)
        if dataset is datasets[0]:
            train_heard = heard
        else:
            examined.findings += splits.check_split(datasets[0], dataset, headers)
        summaries.append(summarize(dataset, headers, len(heard)))
        sets.append((dataset, heard))
        findings += examined.findings
    examples = _learnable(datasets[0], findings, vocabulary, config)
    if not examples:
        count = len(datasets[0].utterances)
        findings.append(Finding(kind="nothing-to-train", dataset="train", count=count, total=count))
    return Examination(
        datasets[0], tuple(summaries), tuple(findings), vocabulary, tuple(examples), tuple(sets)
    )


class _ExaminedSet:
    """A set under examination, with the findings so far."""

    def __init__(self, dataset: Dataset, findings: list[Finding]) -> None:
        self.dataset = dataset
        self.findings = findings

    @property
    def kept(self) -> list[int]:
        return self.dataset.kept(self.findings)

    def check_recordings(self, headers: recordings.Headers, width: int, rate_hz: int) -> None:
        self.findings += recordings.check_recordings(self.dataset, self.kept, headers)
        self.findings += recordings.check_widths(self.dataset, self.kept, headers, width)
        self.findings += recordings.check_repeats(self.dataset, self.kept, headers)
        self.findings += recordings.check_rates(self.dataset, self.kept, headers, rate_hz)

    def listen(
        self, headers: recordings.Headers, train: sound.Heard, rate_hz: int, everything: bool
    ) -> sound.Heard:
        heard, damaged = sound.listen(self.dataset, self.kept, headers, everything=everything)
        self.findings += damaged
        self.findings += sound.check_sound(self.dataset, heard, train or heard, rate_hz)
        return heard

    def check_texts(self, vocabulary: Vocabulary | None, config: Config) -> None:
        self.findings += writing.check_writing(self.dataset, self.kept, config.text)
        self.findings += texts.check_empty(self.dataset, self.kept)
        if vocabulary is None:
            return
        training = self.dataset.name == "train"
        check = texts.check_strays if training else texts.check_symbols
        self.findings += check(self.dataset, self.kept, vocabulary)
        disorder = texts.check_order(self.dataset, self.kept)
        self.findings += disorder
        if disorder:  # then no single text has to fit
            return
        if training:
            self.findings += texts.check_trainable(self.dataset, self.kept, vocabulary, config)
        self.findings += texts.check_fit(self.dataset, self.kept)


def _learnable(
    train: Dataset, findings: list[Finding], vocabulary: Vocabulary | None, config: Config
) -> list[Example]:
    if vocabulary is None:
        return []
    examples = texts.to_examples(train, train.kept(findings), vocabulary)
    try:
        return trainable(list(examples.values()), config)[0]
    except TrainingError:
        return []


def _vocabulary(train: Dataset, config: Config) -> Vocabulary | None:
    try:
        return Vocabulary.from_texts(train.texts, config.model.unit)
    except VocabularyError:
        return None
