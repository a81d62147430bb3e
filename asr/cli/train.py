"""asr-train: train an acoustic model into an experiment folder."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from asr._progress import say
from asr.cli.run import run
from asr.config import Config, load_config
from asr.errors import ConfigError
from asr.manifest import read_manifest
from asr.text import PHONES, Normalizer, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from asr.checkpoint import Tokens
    from asr.data import Example, LeftOut
    from asr.distributed import Group
    from asr.lexicon import Pronunciations
    from asr.train import Trainer

M = TypeVar("M")  # what is trained on, and with

LAUNCHING = """Several processes share each batch: train.processes=N starts them on this machine; or
torchrun --nproc-per-node N -m asr.cli.train CONF ..., also on several machines."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("asr-train", description=__doc__, epilog=LAUNCHING)
    parser.add_argument("conf", type=Path, help="TOML file, such as conf/blstm_ctc.toml")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--train", type=Path, required=True, help="manifest to learn from")
    parser.add_argument("--valid", type=Path, required=True, help="manifest to choose epochs by")
    parser.add_argument("--out", type=Path, required=True, help="experiment folder")
    parser.add_argument("--resume", action="store_true", help="go on where the last checkpoint is")
    parser.add_argument(
        "--init", type=Path, metavar="MODEL", help="begin with the weights of this model folder"
    )
    parser.add_argument(
        "--lexicon",
        type=Path,
        help="dictionary, such as asr-lexicon writes: learn phones beside the tokens; default: "
        "that of --init, if it has one",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    words = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_intermixed_args(words)
    return run("asr-train", lambda: launch(arguments, words))


def launch(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Check what can be checked at once, then train."""
    config = load_config(arguments.conf, arguments.overrides)
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
    train: "Callable[[Config, Path, bool, M, Group], int]",
    split: bool = False,
) -> int:
    """Train in one process or several, which run `python -m module words`; the exit status.

    `split` is that of `share_cores`.

    Raises:
        ConfigError: --out holds an experiment that is not to be resumed.
    """
    first = os.environ.get("RANK", "0") == "0"  # of the group that torchrun made, or of ours
    # All of them look whether there is a checkpoint before they meet, and none writes before.
    started = is_started(arguments.out)
    if started and not arguments.resume:
        raise ConfigError(f"--out {arguments.out}: holds an experiment; add --resume, or another")
    if arguments.resume and not started and first:
        say(f"--resume: nothing was saved in {arguments.out} yet; starting from the beginning")
    arguments.resume = started

    # Waiting threads must sleep: spinning ones take the core from the thread that loads data.
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


@dataclass(frozen=True)
class TrainingData:
    """What is trained on, judged on and written with."""

    train: "list[Example]"
    left_out: "LeftOut"
    valid: "list[Example]"
    vocabulary: Vocabulary
    pronunciations: "Pronunciations | None"  # where phones are learned as well
    init: Path | None  # the model whose weights to begin with

    @property
    def words_tokens(self) -> Vocabulary:
        """What words are read from."""
        return self.pronunciations.phones if self.pronunciations else self.vocabulary


def prepare(config: Config, arguments: argparse.Namespace) -> TrainingData:
    """Read the manifests, and match transcripts and vocabulary."""
    from asr.data import make_examples, trainable
    from asr.training import adapted_vocabulary

    train_set, valid_set = read_manifest(arguments.train), read_manifest(arguments.valid)
    normalizer = Normalizer(**vars(config.text))
    init = None if arguments.resume else arguments.init
    texts = (normalizer(utterance.text) for utterance in train_set)
    if arguments.resume:
        vocabulary = resumed_vocabulary(arguments.out, config)
    elif init:
        vocabulary = adapted_vocabulary(init, texts, config)
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
    return TrainingData(examples, left_out, valid_examples, vocabulary, spoken, init)


def _pronunciations(
    arguments: argparse.Namespace, init: Path | None, normalizer: Normalizer
) -> "Pronunciations | None":
    """Those of --lexicon, or else those of the model that goes on or is begun with, if any."""
    from asr.decode import has_phones
    from asr.lexicon import Pronunciations

    model = arguments.out if arguments.resume else init
    if arguments.lexicon and not arguments.resume:
        return Pronunciations.read(arguments.lexicon, normalizer)
    return Pronunciations.load(model) if model and has_phones(model) else None


def train(
    config: Config, folder: Path, resume: bool, material: TrainingData, group: "Group"
) -> int:
    """Train this process's share; the exit status."""
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
    told = []
    if material.init:
        phones = spoken.phones if spoken else None
        told.append(start_from(material.init, task.model, material.vocabulary, phones))
    if spoken:
        told.append(_tell_unspoken(material.train, spoken))
    if group.rank == 0:
        for line in filter(None, told):
            say(line)
        if not resume:
            _keep(spoken, task.objective.trigram, folder)
    hours = sum(example.utterance.duration for example in material.train) / 3600
    return run_trainer(
        Trainer(task, config.train, folder, group),
        config,
        material.vocabulary,
        resume=resume,
        data=f"{len(material.train)} utterances, {hours:.2f} hours (left out: {material.left_out})",
    )


def _known_trigram(config: Config, model: Path | None, material: TrainingData) -> "Tensor | None":
    """That of the model that goes on or is begun with, if MMI is to teach."""
    from asr.training import known_trigram

    return known_trigram(model, material.words_tokens) if config.train.mmi else None


def _tell_unspoken(examples: "Sequence[Example]", spoken: "Pronunciations") -> str:
    """Which utterances teach no phones; nothing where all do."""
    without = [example for example in examples if not example.phones]
    words = dict.fromkeys(word for example in without for word in spoken.lacks(example.text))
    if not without:
        return ""
    return (
        f"{len(without)} of {len(examples)} utterances teach no phones: the lexicon lacks "
        f"{len(words)} of their words ({', '.join([*words][:3])}); asr-lexicon guesses such"
    )


def _keep(spoken: "Pronunciations | None", trigram: "Tensor | None", folder: Path) -> None:
    """Write what a new experiment has; else what a run left goes, which ended before it saved."""
    from asr.checkpoint import TRIGRAM, save_trigram
    from asr.lexicon import LEXICON

    for path in filter(Path.exists, (folder / name for name in (PHONES, LEXICON, TRIGRAM))):
        path.unlink()
    if spoken:
        spoken.save(folder)
    if trigram is not None:
        save_trigram(folder, trigram)


def run_trainer(
    trainer: "Trainer", config: Config, vocabulary: "Tokens", *, resume: bool, data: str
) -> int:
    """Make or go on with the experiment, say what is trained on which data; the exit status."""
    from asr.checkpoint import create_experiment

    if resume:
        trainer.resume()
    if trainer.speaks:
        create_experiment(trainer.folder, config, vocabulary)
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
    """Whether the folder holds a checkpoint, whole or not."""
    return any(path for which in ("last", "best") for path in (folder / which).glob("*.json"))


def resumed_vocabulary(folder: Path, config: Config) -> Vocabulary:
    """The vocabulary of an experiment that is to go on as it began, for more epochs if wanted."""
    from asr.checkpoint import check_resumed, load_experiment

    check_resumed(folder, config)
    return load_experiment(folder)[1]


if __name__ == "__main__":
    sys.exit(main())
