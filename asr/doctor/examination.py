"""The whole examination of sets, in order: what an earlier check leaves out, later ones spare."""

from dataclasses import dataclass
from pathlib import Path

from asr.config import Config
from asr.data import Example, trainable
from asr.doctor import recordings, sound, splits, texts
from asr.doctor.dataset import Dataset, read_dataset
from asr.doctor.finding import Finding
from asr.doctor.report import Summary, summarize
from asr.errors import TrainingError, VocabularyError
from asr.text import Normalizer, Vocabulary


@dataclass(frozen=True)
class Examination:
    """What was found in the sets, and what can be trained on."""

    train: Dataset
    summaries: tuple[Summary, ...]
    findings: tuple[Finding, ...]
    vocabulary: Vocabulary | None  # of the training texts; None: they are all empty
    examples: tuple[Example, ...]  # of the training set: faultless, as far as known


def examine(paths: dict[str, Path], config: Config, *, everything: bool) -> Examination:
    """Examine manifests by name: "train" first, then "valid" and "test" where there are such.

    Args:
        paths: the manifests.
        config: how texts are normalised, and what training leaves out.
        everything: listen to all utterances instead of a sample.

    Raises:
        ManifestError: a manifest cannot be read, or no line of it is an utterance.
    """
    normalizer = Normalizer(**vars(config.text))
    read = [read_dataset(name, path, normalizer) for name, path in paths.items()]
    datasets = [dataset for dataset, _ in read]
    headers = recordings.read_headers(datasets)
    vocabulary = _vocabulary(datasets[0], config)
    rate_hz = config.features.sample_rate_hz
    train_heard: sound.Heard = {}
    summaries, findings = [], []
    for dataset, found in read:
        patient = _Patient(dataset, found)
        patient.check_recordings(headers, rate_hz)
        heard = patient.listen(headers, train_heard, rate_hz, everything)
        patient.check_texts(vocabulary, config)
        if dataset is datasets[0]:
            train_heard = heard
        else:
            patient.findings += splits.check_split(datasets[0], dataset, headers)
        summaries.append(summarize(dataset, headers, len(heard)))
        findings += patient.findings
    examples = _learnable(datasets[0], findings, vocabulary, config)
    if not examples:
        count = len(datasets[0].utterances)
        findings.append(Finding(kind="nothing-to-train", dataset="train", count=count, total=count))
    return Examination(datasets[0], tuple(summaries), tuple(findings), vocabulary, tuple(examples))


class _Patient:
    """One set under examination, and what was found in it so far."""

    def __init__(self, dataset: Dataset, findings: list[Finding]) -> None:
        self.dataset = dataset
        self.findings = findings

    @property
    def standing(self) -> list[int]:
        return self.dataset.standing(self.findings)

    def check_recordings(self, headers: recordings.Headers, rate_hz: int) -> None:
        self.findings += recordings.check_recordings(self.dataset, self.standing, headers)
        self.findings += recordings.check_repeats(self.dataset, self.standing, headers)
        self.findings += recordings.check_rates(self.dataset, self.standing, headers, rate_hz)

    def listen(
        self, headers: recordings.Headers, train: sound.Heard, rate_hz: int, everything: bool
    ) -> sound.Heard:
        heard, damaged = sound.listen(self.dataset, self.standing, headers, everything=everything)
        self.findings += damaged
        self.findings += sound.check_sound(self.dataset, heard, train or heard, rate_hz)
        return heard

    def check_texts(self, vocabulary: Vocabulary | None, config: Config) -> None:
        self.findings += texts.check_empty(self.dataset, self.standing)
        if vocabulary is None:
            return
        training = self.dataset.name == "train"
        check = texts.check_strays if training else texts.check_symbols
        self.findings += check(self.dataset, self.standing, vocabulary)
        disorder = texts.check_order(self.dataset, self.standing)
        self.findings += disorder
        if disorder:  # then no single text has to fit
            return
        if training:
            self.findings += texts.check_trainable(self.dataset, self.standing, vocabulary, config)
        self.findings += texts.check_fit(self.dataset, self.standing)


def _learnable(
    train: Dataset, findings: list[Finding], vocabulary: Vocabulary | None, config: Config
) -> list[Example]:
    if vocabulary is None:
        return []
    examples = texts.to_examples(train, train.standing(findings), vocabulary)
    try:
        return trainable(list(examples.values()), config)[0]
    except TrainingError:
        return []


def _vocabulary(train: Dataset, config: Config) -> Vocabulary | None:
    try:
        return Vocabulary.from_texts(train.texts, config.model.unit)
    except VocabularyError:
        return None
