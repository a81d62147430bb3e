"""The data that a training run began with: a resumed run must go on with the same."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr._atomic import content_sha256
from asr._json import typed
from asr._progress import counted
from asr.checkpoint import CONFIG, SOURCES, read_sources
from asr.errors import CheckpointError, ConfigError
from asr.manifest import Utterance


@dataclass(frozen=True)
class Source:
    """The data of one option of a training command."""

    name: str  # of its files, without folders
    size: str  # for people, such as "24 utterances, 0.02 hours"; may be empty
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} ({self.size})" if self.size else self.name

    @classmethod
    def of_manifest(cls, path: Path, utterances: Sequence[Utterance]) -> "Source":
        """Return the source of a manifest: its utterances, wherever their recordings lie."""
        digest = hashlib.sha256()
        for one in utterances:
            fields = (one.id, one.audio.name, one.start, one.duration, one.text)
            digest.update(json.dumps(fields).encode() + b"\n")
        hours = sum(utterance.duration for utterance in utterances) / 3600
        size = f"{counted(len(utterances), 'utterance')}, {hours:.2f} hours"
        return cls(path.name, size, digest.hexdigest())

    @classmethod
    def of_files(cls, paths: Iterable[Path | str]) -> "Source":
        """Return the source of files that are compared byte by byte."""
        files = [Path(path) for path in paths]
        contents = [content_sha256(path) or "" for path in files]
        digest = hashlib.sha256("\n".join(contents).encode()).hexdigest()
        return cls(", ".join(path.name for path in files), "", digest)


def check_sources(folder: Path, given: Mapping[str, Source]) -> None:
    """Raise unless a run goes on with the data that it began with.

    An experiment of a version that did not note its data is taken to fit.

    Args:
        folder: the experiment.
        given: the data now, by option without dashes; an option that is not given is not compared.

    Raises:
        ConfigError: an option has other data; each one is named.
        CheckpointError: config.json is damaged.
    """
    try:
        before: dict[str, Source] = typed(read_sources(folder), dict[str, Source])
    except ValueError as error:
        raise CheckpointError(
            f"{folder}/{CONFIG}: {SOURCES} is damaged ({error}); take it out of the file to resume "
            "without a comparison of the data"
        ) from error
    if not before:
        return
    differing = []
    for option, now in given.items():
        then = before.get(option)
        if then is None:
            differing.append(f"--{option} is {now}, and was not given then")
        elif then.sha256 != now.sha256:
            same = ", with other content" if str(then) == str(now) else ""
            differing.append(f"--{option} is {now}, and was {then}{same}")
    if differing:
        raise ConfigError(
            f"--resume: {folder} began with other data: {'; '.join(differing)}; give the data that "
            "it began with, or another --out (asr-train --init goes on from the weights of a model)"
        )
