"""Every error that a user can cause. All derive from AsrError, so one `except` catches them.

Each message names the file or key, the value found there, and the remedy. Commands print the
message on one line and leave with `exit_status`; a traceback always means a bug in asr.
"""

_LONGEST = 20_000  # characters of a message; a path that is too long is named, too


class AsrError(Exception):
    """Base of all errors caused by input or configuration."""

    exit_status = 1

    def __str__(self) -> str:
        """Return the message; one that quotes megabytes of a file loses its middle."""
        text = super().__str__()
        half = _LONGEST // 2
        return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"


class ConfigError(AsrError):
    """A configuration file, key or value, or a command line, that cannot be used."""

    exit_status = 2


class MissingDependencyError(ConfigError):
    """A package of an optional install is needed, but not installed."""


class AudioError(AsrError):
    """A recording that cannot be read as speech audio."""


class FramesError(AudioError):
    """A file of frames that cannot be used in place of a recording."""


class MissingReaderError(AudioError, MissingDependencyError):
    """A recording in a format that needs an optional package; other recordings may not."""

    exit_status = 1


class TextError(AsrError):
    """A transcript or text file that cannot be used."""


class VocabularyError(TextError):
    """A text with symbols that the vocabulary lacks, or a malformed vocabulary file."""


class ManifestError(AsrError):
    """A manifest with a missing, malformed or contradictory entry."""


class CorpusError(AsrError):
    """A corpus folder without the layout its name promises."""


class DownloadError(AsrError):
    """A download that failed or has the wrong checksum, or an archive that cannot be unpacked."""


class UnsafeArchiveError(DownloadError):
    """An archive with paths outside its folder, links, devices or absurd sizes."""


class ScoreError(AsrError):
    """References and hypotheses that cannot be scored against each other."""


class CheckpointError(AsrError):
    """A checkpoint or experiment folder that is missing, incomplete or damaged."""


class TrainingError(AsrError):
    """Training that cannot start or cannot go on."""


class LanguageModelError(AsrError):
    """A language model or its training text that cannot be used."""


class DecoderError(ConfigError):
    """A lexicon, a list of hotwords or a setting that a decoder cannot work with."""


class WorkerError(AsrError):
    """A process that died while it worked on a recording."""
