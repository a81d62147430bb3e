"""The catalogue of faults that the doctor looks for, and a finding of one of them."""

from dataclasses import asdict, dataclass

SEVERITIES = ("error", "warning", "note")  # worst first
EXAMPLES = 3  # shown of each finding


@dataclass(frozen=True)
class Kind:
    """A kind of fault."""

    severity: str  # one of SEVERITIES
    what: str  # the fault, as the rest of a sentence that begins with a count
    remedy: str
    leave_out: bool = False  # whether training is better without such utterances


KINDS = {
    # the manifest
    "malformed-line": Kind("error", "lines are not utterances", "correct or delete them"),
    "duplicate-id": Kind(
        "error", "ids are those of earlier lines", "give each an id of its own", True
    ),
    # the recordings
    "missing-audio": Kind("error", "recordings are not there", "correct the path or copy", True),
    "empty-audio": Kind("error", "recordings hold no sound", "record or copy them again", True),
    "unreadable-audio": Kind(
        "error", "recordings cannot be read", "convert them to WAV or FLAC, or copy again", True
    ),
    "unreadable-frames": Kind(
        "error", "files of frames cannot be used", "compute them again, or leave them out", True
    ),
    "other-frames": Kind(
        "error",
        "files have frames of another width, or are recordings where others are frames",
        "give all the same columns, as many as features.num_mels",
        True,
    ),
    "beyond-end": Kind(
        "error", "utterances end after their recording", "correct start and duration", True
    ),
    "contradicting-texts": Kind(
        "error", "utterances share audio but not the text", "keep the text that is right", True
    ),
    "duplicate-audio": Kind(
        "warning", "utterances repeat audio and text of another", "keep one of them", True
    ),
    "mixed-rates": Kind(
        "warning",
        "recordings have another sample rate than most",
        "bring all to one rate, the lowest if it must be; or recognise both kinds apart",
    ),
    "low-rate": Kind(
        "warning",
        "recordings have a lower sample rate than the model",
        "set features.sample_rate_hz to theirs: the upper half of the model's band is empty",
    ),
    # how they sound
    "damaged-audio": Kind(
        "error", "utterances break off while they are decoded", "copy them again", True
    ),
    "silent-audio": Kind("warning", "utterances are silent", "record or copy them again", True),
    "clipping": Kind(
        "warning", "utterances are clipped", "record at a lower level; a few do no harm"
    ),
    "dc-offset": Kind("note", "utterances have a DC offset", "harmless here; check the recorder"),
    "band-limited": Kind(
        "warning",
        "utterances have a narrower band than the others",
        "keep them apart, or train with augment.band_limit_prob=0.25",
    ),
    "narrow-band": Kind(
        "note", "utterances, the whole set, are band-limited", "recognise such audio only"
    ),
    "band-differs": Kind(
        "warning",
        "utterances have a narrower band than the training audio",
        "train with augment.band_limit_prob=0.25, or validate on audio like the training's",
    ),
    # the texts
    "empty-text": Kind(
        "warning", "utterances have no text after normalisation", "add the text", True
    ),
    "lost-letters": Kind(
        "warning",
        "transcripts lose letters by the text settings",
        "name their language: --language any keeps all letters, de, fr ... also write numbers",
    ),
    "english-numbers": Kind(
        "warning",
        "transcripts have digits that become English words, and do not look English",
        "name their language: --language de, fr ...; or --language any and write numbers as words",
    ),
    "digits": Kind(
        "warning",
        "transcripts keep digits, which become tokens of their own",
        "write numbers as words, or name a language that has them: --language de, fr ...",
    ),
    "text-order": Kind(
        "error",
        "texts do not go with the audio: long texts stand beside short recordings",
        "join texts and recordings again, by name and not by position",
    ),
    "text-fit": Kind(
        "warning", "texts are too long or too short for their audio", "correct text or cut", True
    ),
    "case-mismatch": Kind(
        "error",
        "transcripts are in the other case",
        'set text.case="upper" or "lower", so that all are alike',
        True,
    ),
    "unknown-symbols": Kind(
        "error",
        "transcripts hold symbols that the vocabulary lacks",
        "correct them, or normalise them as the training text ([text] of the configuration)",
        True,
    ),
    "stray-symbols": Kind(
        "warning",
        "transcripts hold symbols that hardly any other has",
        "correct or spell them out; a model learns no symbol from a few examples",
        True,
    ),
    "too-few-frames": Kind(
        "warning",
        "utterances have fewer frames than CTC needs for their text; training leaves them out",
        "lower model.stack or the fastest augment.speeds, or check the texts",
        True,
    ),
    "too-long": Kind(
        "warning",
        "utterances are longer than data.max_utterance_s; training leaves them out",
        "cut them (asr-align gives word times), or raise data.max_utterance_s and data.batch_s",
    ),
    # the sets
    "shared-audio": Kind(
        "error", "utterances are in the training audio too", "take them out of one of the sets"
    ),
    "shared-speakers": Kind(
        "warning",
        "utterances are of speakers heard in training",
        "split by speaker, or say that the figures are of known speakers",
    ),
    "one-speaker": Kind(
        "note",
        "utterances are of the one speaker heard in training",
        "fine for this speaker's model; other voices will have more errors than the figures say",
    ),
    "shared-transcripts": Kind(
        "warning",
        "utterances have texts that training has seen",
        "give each set sentences of its own (asr-prepare --split-by text), as the figures will be "
        "too good",
    ),
    "same-prompts": Kind(
        "note",
        "utterances have texts of the training set, whose texts repeat by nature",
        "fine for a fixed set of words; else give each set sentences of its own: --split-by text",
    ),
    # the machine and the model
    "nothing-to-train": Kind(
        "error", "utterances, the whole set, cannot be trained on", "see the findings above"
    ),
    "damaged-model": Kind(
        "error", "a file cannot be used", "copy the model again, or make it again with asr-export"
    ),
    "memory": Kind("error", "more memory is needed than there is", "lower data.batch_s"),
    "self-test": Kind(
        "error", "a handful of utterances could not be learnt by heart", "see the reason"
    ),
    "slow-self-test": Kind(
        "note",
        "a handful of utterances was not yet learnt by heart when time was up",
        "no sign of a fault; a smaller model or a faster machine would tell",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault, found in one set or in the model."""

    kind: str
    dataset: str  # "train", "valid", "test" or "model"
    count: int
    total: int  # utterances or lines that were examined; 0 where counts mean nothing
    why: str = ""  # the figures and limits behind the finding
    examples: tuple[str, ...] = ()
    places: tuple[int, ...] = ()  # indices of the utterances in their manifest, from 0

    @property
    def severity(self) -> str:
        """The severity of the fault, one of SEVERITIES."""
        return KINDS[self.kind].severity

    def as_dict(self) -> dict[str, object]:
        """Return everything but the places, fit for JSON."""
        kind = KINDS[self.kind]
        record = {"severity": kind.severity, **asdict(self), "what": kind.what}
        del record["places"]
        return record | {"remedy": kind.remedy}

    def lines(self) -> list[str]:
        """Return the finding as lines of text: the fault, examples, the remedy."""
        kind = KINDS[self.kind]
        why = f" ({self.why})" if self.why else ""
        share = f"{self.count} of {self.total} " if self.total else ""
        head = f"{kind.severity:<8}{self.dataset}: {share}{kind.what}{why}"
        tail = f"remedy: {kind.remedy} [{self.kind}]"
        return [head, *(f"{'':<10}{line}" for line in (*self.examples, tail))]
