"""asr-train: train an acoustic model into an experiment folder."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from asr._atomic import check_folder
from asr._lock import locked_folder
from asr._progress import say
from asr.cli.run import CommandParser, check_given, run
from asr.config import Config, load_config
from asr.errors import CheckpointError, ConfigError
from asr.manifest import read_manifest
from asr.text import PHONES, Normalizer, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from asr.checkpoint import Tokens
    from asr.data import Example, LeftOut
    from asr.distributed import ProcessGroup
    from asr.lexicon import Pronunciations
    from asr.train import Trainer
    from asr.training import Source

M = TypeVar("M")  # the data that `prepare` returns and `train` takes

LAUNCHING = """Several processes can share each batch: train.processes=N starts them on this
machine; torchrun --nproc-per-node N -m asr.cli.train CONF ... starts them also on several."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = CommandParser("asr-train", description=__doc__, epilog=LAUNCHING)
    parser.add_argument("--train", type=Path, required=True, help="manifest to learn from")
    parser.add_argument("--valid", type=Path, required=True, help="manifest that chooses the epoch")
    add_run(parser, "conf/blstm_ctc.toml")
    parser.add_argument(
        "--init", type=Path, metavar="MODEL", help="fine-tune: begin with this model's weights"
    )
    parser.add_argument(
        "--lexicon",
        type=Path,
        help="dictionary, such as asr-lexicon writes; makes the model learn phones beside the "
        "tokens (default: the lexicon of --init, if it has one)",
    )
    return parser


def add_run(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the arguments of any training run: configuration, experiment folder, --resume."""
    parser.add_argument("conf", type=Path, help=f"TOML file, such as {example}")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--out", type=Path, required=True, help="experiment folder")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    words = sys.argv[1:] if argv is None else argv
    return run("asr-train", lambda: launch(parser().parse_intermixed_args(words), words))


def launch(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Read and check the configuration, then train."""
    config = load_config(arguments.conf, arguments.overrides)
    check_given("--init", arguments.init)
    return launch_training(
        config, arguments, words, module="asr.cli.train", prepare=prepare, train=train
    )


def launch_training(
    config: Config,
    arguments: argparse.Namespace,
    words: Sequence[str],
    *,
    module: str,
    prepare: "Callable[[Config, argparse.Namespace], M]",
    train: "Callable[[Config, Path, bool, M, ProcessGroup], int]",
    split: bool = False,
) -> int:
    """Train in one process or several (`python -m module words`); return the exit status.

    `split` is an argument of `share_cores`.

    Raises:
        ConfigError: --out holds an experiment that is not to be resumed, or another process trains
            there.
    """
    first = os.environ.get("RANK", "0") == "0"  # in the group of torchrun, or in one started here
    with _writing(arguments.out) if first else nullcontext():
        _choose_beginning(arguments, first)
        # Waiting threads must sleep: if they spin, they take the core from the one that loads data.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
        import torch

        from asr.distributed import choose_device, share_cores, start_processes

        cores = share_cores(config, choose_device(config), split=split)
        os.environ.setdefault("OMP_NUM_THREADS", str(cores.threads))
        material = prepare(config, arguments)
        if first:
            say(f"{cores}; waiting threads: OMP_WAIT_POLICY={os.environ['OMP_WAIT_POLICY']}")
        with start_processes(cores.processes, module, words) as group:
            torch.manual_seed(config.train.seed)
            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
            return train(config, arguments.out, arguments.resume, material, group)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Keep other runs from an experiment folder.

    Raises:
        ConfigError: another process writes to it.
        CheckpointError: it cannot be written.
    """
    try:
        check_folder(folder)
    except OSError as error:
        raise CheckpointError(
            f"{folder}/config.json: cannot be written ({error.strerror}); make room, or give "
            "another --out"
        ) from error
    with locked_folder(folder, "--out"):
        yield


def _choose_beginning(arguments: argparse.Namespace, first: bool) -> None:
    """Change arguments.resume to whether there is a checkpoint to go on from.

    Raises:
        ConfigError: there is one, and --resume is not given.
    """
    # Every process looks for a checkpoint before the group forms; none writes before that.
    started = is_started(arguments.out)
    if started and not arguments.resume:
        raise ConfigError(
            f"--out {arguments.out}: holds an experiment; add --resume, or give another --out"
        )
    if arguments.resume and not started and first:
        say(f"--resume: nothing was saved in {arguments.out} yet; starting from the beginning")
    arguments.resume = started


@dataclass(frozen=True)
class TrainingData:
    """The data to train and validate on, and the vocabulary."""

    train: "list[Example]"
    left_out: "LeftOut"
    valid: "list[Example]"
    vocabulary: Vocabulary
    pronunciations: "Pronunciations | None"  # None: no phones are learned
    init: Path | None  # the model to begin with
    sources: "Mapping[str, Source]"  # by option, for `check_sources`

    @property
    def words_tokens(self) -> Vocabulary:
        """The tokens from which a beam search reads words: phones, if they are learned."""
        return self.pronunciations.phones if self.pronunciations else self.vocabulary


def prepare(config: Config, arguments: argparse.Namespace) -> TrainingData:
    """Read the manifests, choose the vocabulary and encode the transcripts."""
    from asr.data import make_examples, trainable
    from asr.training import Source, check_sources, extended_vocabulary

    train_set, valid_set = read_manifest(arguments.train), read_manifest(arguments.valid)
    sources = {
        "train": Source.of_manifest(arguments.train, train_set),
        "valid": Source.of_manifest(arguments.valid, valid_set),
        **({"lexicon": Source.of_files([arguments.lexicon])} if arguments.lexicon else {}),
    }
    normalizer = Normalizer(**vars(config.text))
    init = None if arguments.resume else arguments.init
    texts = (normalizer(utterance.text) for utterance in train_set)
    if arguments.resume:
        vocabulary = resumed_vocabulary(arguments.out, config)
        check_sources(arguments.out, sources)
    elif init:
        vocabulary = extended_vocabulary(init, texts, config)
    elif config.train.freeze:
        raise ConfigError(
            f"train.freeze is {config.train.freeze} without --init; give the model whose layers "
            "are to stay as they are"
        )
    else:
        vocabulary = Vocabulary.from_texts(texts, config.model.unit)
    spoken = _pronunciations(arguments, init, normalizer)
    examples = make_examples(train_set, normalizer, vocabulary, spoken)
    examples, left_out = trainable(examples, config)
    valid_examples = make_examples(valid_set, normalizer, vocabulary, spoken)
    return TrainingData(examples, left_out, valid_examples, vocabulary, spoken, init, sources)


def _pronunciations(
    arguments: argparse.Namespace, init: Path | None, normalizer: Normalizer
) -> "Pronunciations | None":
    """Read the pronunciations of --lexicon, or else of the model to resume or begin with."""
    from asr.decode import has_phones
    from asr.lexicon import Pronunciations

    model = arguments.out if arguments.resume else init
    if arguments.lexicon and not arguments.resume:
        return Pronunciations.read(arguments.lexicon, normalizer)
    return Pronunciations.load(model) if model and has_phones(model) else None


def train(
    config: Config, folder: Path, resume: bool, material: TrainingData, group: "ProcessGroup"
) -> int:
    """Train on this process's share of the data; return the exit status."""
    from asr.data import Frames, Loader
    from asr.distributed import choose_device
    from asr.objective import AcousticTask
    from asr.train import Trainer
    from asr.training import start_from

    frames, spoken = Frames(config), material.pronunciations
    task = AcousticTask(
        config,
        material.vocabulary,
        Loader(material.train, frames, config, group),
        Loader(material.valid, frames, config, group),
        choose_device(config),
        num_phones=len(spoken.phones) if spoken else 0,
        trigram=_known_trigram(config, folder if resume else material.init, material),
    )
    messages = []
    if material.init:
        phones = spoken.phones if spoken else None
        messages.append(start_from(material.init, task.model, material.vocabulary, phones))
    if spoken:
        messages.append(_utterances_without_phones(material.train, spoken))
    if group.rank == 0:
        for line in filter(None, messages):
            say(line)
        if not resume:
            _write_phones_and_trigram(spoken, task.objective.trigram, folder)
    hours = sum(example.utterance.duration for example in material.train) / 3600
    return run_trainer(
        Trainer(task, config.train, folder, group),
        config,
        material.vocabulary,
        material.sources,
        resume=resume,
        data=f"{len(material.train)} utterances, {hours:.2f} hours (left out: {material.left_out})",
    )


def _known_trigram(config: Config, model: Path | None, material: TrainingData) -> "Tensor | None":
    """Return the trigram of the model to resume or begin with, if MMI is used and it has one."""
    from asr.training import known_trigram

    return known_trigram(model, material.words_tokens) if config.train.mmi else None


def _utterances_without_phones(examples: "Sequence[Example]", spoken: "Pronunciations") -> str:
    """Return a message about utterances without phones; empty if all have phones."""
    without = [example for example in examples if not example.phones]
    words = dict.fromkeys(word for example in without for word in spoken.lacks(example.text))
    if not without:
        return ""
    return (
        f"{len(without)} of {len(examples)} utterances teach no phones: the lexicon lacks "
        f"{len(words)} of their words ({', '.join([*words][:3])}); asr-lexicon can guess them"
    )


def _write_phones_and_trigram(
    spoken: "Pronunciations | None", trigram: "Tensor | None", folder: Path
) -> None:
    """Write the pronunciations and the trigram of a new experiment.

    Such files of an earlier run, which ended before its first checkpoint, are removed.
    """
    from asr.checkpoint import TRIGRAM, save_trigram
    from asr.lexicon import LEXICON

    for path in filter(Path.exists, (folder / name for name in (PHONES, LEXICON, TRIGRAM))):
        path.unlink()
    if spoken:
        spoken.save(folder)
    if trigram is not None:
        save_trigram(folder, trigram)


def run_trainer(
    trainer: "Trainer",
    config: Config,
    vocabulary: "Tokens",
    sources: "Mapping[str, Source]",
    *,
    resume: bool,
    data: str,
) -> int:
    """Create or resume the experiment, report what is trained, train; return the exit status."""
    from asr.checkpoint import create_experiment, read_sources

    if resume:
        trainer.resume()
    if trainer.is_main:
        known = read_sources(trainer.folder) if resume else {}
        noted = known or {option: asdict(source) for option, source in sources.items()}
        create_experiment(trainer.folder, config, vocabulary, noted)
        parameters = list(trainer.task.model.parameters())
        weights = sum(parameter.numel() for parameter in parameters) / 1e6
        where = f", from step {trainer.learner.step} in epoch {trainer.epoch + 1}" if resume else ""
        say(
            f"training on {data}; {len(vocabulary)} tokens, {weights:.2f} million weights, "
            f"{parameters[0].device}{where}"
        )
    stopped_by = trainer.run()
    return 128 + stopped_by if stopped_by else 0


def is_started(folder: Path) -> bool:
    """Return whether the folder holds a checkpoint, whole or not."""
    return any(path for which in ("last", "best") for path in (folder / which).glob("*.json"))


def resumed_vocabulary(folder: Path, config: Config) -> Vocabulary:
    """Return the vocabulary of an experiment; check that this configuration can resume it."""
    from asr.checkpoint import check_resumed, load_experiment

    check_resumed(folder, config)
    return load_experiment(folder)[1]


if __name__ == "__main__":
    sys.exit(main())
