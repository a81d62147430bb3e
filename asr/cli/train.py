"""asr-train: train an acoustic model into an experiment folder."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from asr._atomic import check_folder
from asr._folders import conf_names, find_model
from asr._lock import locked_folder
from asr._progress import counted, say
from asr.cli.judged import make_judge
from asr.cli.knowledge import (
    LanguageModels,
    is_first_process,
    language_models,
    pronunciations,
    say_once,
    with_guesses,
)
from asr.cli.run import CommandParser, given_model, run
from asr.config import PRESETS, Config, changed_config, load_config
from asr.decode import included_lm
from asr.errors import CheckpointError, ConfigError
from asr.manifest import language_of, read_manifest
from asr.readable import TAGGER
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
    add_run(parser, "conf/blstm_ctc.toml; default: the preset for the amount of speech", "?")
    parser.add_argument("--preset", help=f"by the amount of speech: {', '.join(PRESETS)}")
    parser.add_argument(
        "--language",
        help="how transcripts are normalised: en, any (all letters, in lower case), de, fr ... "
        "(default: as the manifest says, or else the model of --init, or English)",
    )
    parser.add_argument(
        "--no-advice", action="store_true", help="do not say at the end what to do next"
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="MODEL",
        help="fine-tune: begin with this model's weights; if it is of the same language, its "
        "pronunciations and language models are handed on",
    )
    parser.add_argument(
        "--lexicon",
        type=Path,
        action="append",
        help="dictionary, such as asr-lexicon writes, or a model that has one; makes the model "
        "learn phones beside the tokens (default: the lexicon of --init, if it has one). Given "
        "several times, the last is the lexicon, and the words of the others go before its own",
    )
    parser.add_argument(
        "--lm",
        type=Path,
        help="language model of asr-lm, or a model whose language models are taken: kept in the "
        "experiment, to judge and to recognise with",
    )
    parser.set_defaults(utterances=None)  # of --train, once they are read
    return parser


def add_run(parser: argparse.ArgumentParser, example: str, number: str | None = None) -> None:
    """Add the arguments of any training run: configuration, experiment folder, --resume."""
    help_ = f"TOML file, such as {example}; or a name: {', '.join(conf_names())}"
    parser.add_argument("conf", nargs=number, help=help_)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--out", type=Path, required=True, help="experiment folder")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")


def main(argv: list[str] | None = None, program: str = "asr-train") -> int:
    """Run the command, which errors name as the program that was called."""
    words = sys.argv[1:] if argv is None else argv
    return run(program, lambda: launch(parser().parse_intermixed_args(words), words))


def launch(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Read and check the configuration, then train."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before the plan, which imports torch
    arguments.init = given_model("--init", arguments.init) if arguments.init else None
    config = _planned(arguments)
    return launch_training(
        config, arguments, words, module="asr.cli.train", prepare=prepare, train=train
    )


def _planned(arguments: argparse.Namespace) -> Config:
    """Return the configuration that was given, or the one that fits speech and decoder.

    The utterances that are read for this are kept in arguments.utterances.
    """
    from asr.training import check_preset, plan_training

    if arguments.conf and "=" in arguments.conf:
        arguments.overrides.insert(0, arguments.conf)
        arguments.conf = None
    if arguments.preset:
        if arguments.conf:
            raise ConfigError(f"--preset {arguments.preset} and {arguments.conf}: give one of them")
        arguments.conf = check_preset(arguments.preset)
    if arguments.conf:
        load_config(arguments.conf, arguments.overrides)  # a mistake is found before all reading
    elif arguments.resume and is_started(arguments.out):
        from asr.checkpoint import load_experiment

        return changed_config(load_experiment(arguments.out)[0], arguments.overrides)
    utterances = arguments.utterances = read_manifest(arguments.train)
    arguments.language = arguments.language or language_of(utterances)
    decoded = any((arguments.lm, arguments.lexicon))
    plan = plan_training(
        conf=arguments.conf,
        overrides=arguments.overrides,
        hours=sum(utterance.duration for utterance in utterances) / 3600,
        decoded=decoded,
        language=arguments.language,
        init=arguments.init,
    )
    if plan.reason:
        say_once(plan.reason)
    elif plan.config.train.mmi and not (decoded or arguments.init or arguments.resume):
        say_once(
            "train.mmi is for a beam search with a language model, and there is none: add --lm and "
            "--lexicon, or leave CONF out, which trains for greedy decoding"
        )
    return plan.config


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
    first = is_first_process()
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
    knowledge: LanguageModels = field(default_factory=LanguageModels)  # files to decode with
    hands_on: bool = True  # whether the model to begin with is of the same language
    advises: bool = True  # whether to say at the end what to do next

    @property
    def words_tokens(self) -> Vocabulary:
        """The tokens from which a beam search reads words: phones, if they are learned."""
        return self.pronunciations.phones if self.pronunciations else self.vocabulary


def prepare(config: Config, arguments: argparse.Namespace) -> TrainingData:
    """Read the manifests, choose the vocabulary and encode the transcripts."""
    from asr.data import make_examples, trainable
    from asr.training import Source, check_sources, extended_vocabulary

    train_set = arguments.utterances or read_manifest(arguments.train)
    valid_set = read_manifest(arguments.valid)
    sources = {
        "train": Source.of_manifest(arguments.train, train_set),
        "valid": Source.of_manifest(arguments.valid, valid_set),
        **{name: Source.of_files(files) for name, files in _words_files(arguments).items()},
    }
    normalizer = Normalizer(**vars(config.text))
    init = None if arguments.resume else arguments.init
    texts = [normalizer(utterance.text) for utterance in train_set]
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
    kept = _hands_on(arguments, init, config, texts)
    valid_texts = [normalizer(utterance.text) for utterance in valid_set]
    spoken = _pronunciations(arguments, init if kept else None, normalizer, texts, valid_texts)
    handed_on = init if init and kept and included_lm(init) else None
    knowledge = language_models(None if arguments.resume else arguments.lm or handed_on)
    if init and kept and (init / TAGGER).exists():
        knowledge = LanguageModels({**knowledge.files, TAGGER: init / TAGGER})
    examples = make_examples(train_set, normalizer, vocabulary, spoken)
    examples, left_out = trainable(examples, config)
    valid_examples = make_examples(valid_set, normalizer, vocabulary, spoken)
    return TrainingData(
        train=examples,
        left_out=left_out,
        valid=valid_examples,
        vocabulary=vocabulary,
        pronunciations=spoken,
        init=init,
        sources=sources,
        knowledge=knowledge,
        hands_on=kept,
        advises=not arguments.no_advice,
    )


def _words_files(arguments: argparse.Namespace) -> dict[str, list[Path]]:
    """Return the files that --lexicon and --lm name, by option, if they are given."""
    from asr.lexicon import LEXICON

    files = {}
    if arguments.lexicon:
        *more, last = map(find_model, arguments.lexicon)
        files["lexicon"] = [*more, *([last / LEXICON, last / PHONES] if last.is_dir() else [last])]
    if arguments.lm:
        files["lm"] = [*language_models(arguments.lm).files.values()]
    return files


def _hands_on(
    arguments: argparse.Namespace, init: Path | None, config: Config, texts: Sequence[str]
) -> bool:
    """Return whether the model to begin with hands on its words; say so if it does not."""
    from asr.training import hands_on

    if not init:
        return True
    reason = hands_on(init, config, texts)
    if reason:
        say_once(
            f"--init {init} is taken to be of another language, as {reason}: its phones, the "
            "trigram of MMI and its language models stay behind"
        )
    return not reason


def _pronunciations(
    arguments: argparse.Namespace,
    init: Path | None,
    normalizer: Normalizer,
    texts: Sequence[str],
    valid_texts: Sequence[str],
) -> "Pronunciations | None":
    """Read the pronunciations of --lexicon, or else of the model to resume or begin with.

    Words of the normalised texts that they lack are guessed, unless the run is resumed: the
    experiment holds the guesses of its beginning.
    """
    from asr.decode import has_phones
    from asr.lexicon import Pronunciations

    if arguments.resume:
        return Pronunciations.load(arguments.out) if has_phones(arguments.out) else None
    if arguments.lexicon:
        *more, last = arguments.lexicon
        spoken = pronunciations(last, normalizer, texts, more)
    elif init and has_phones(init):
        spoken = Pronunciations.load(init)
    else:
        return None
    return with_guesses(spoken, [*texts, *valid_texts])


def train(
    config: Config, folder: Path, resume: bool, material: TrainingData, group: "ProcessGroup"
) -> int:
    """Train on this process's share of the data; return the exit status."""
    from asr.data import Frames, Loader
    from asr.distributed import choose_device
    from asr.objective import AcousticTask
    from asr.train import Trainer
    from asr.training import closing_lines, save_speakers, start_from

    frames, spoken = Frames(config), material.pronunciations
    source = folder if resume else material.init if material.hands_on else None
    task = AcousticTask(
        config,
        material.vocabulary,
        Loader(material.train, frames, config, group),
        Loader(material.valid, frames, config, group),
        choose_device(config),
        num_phones=len(spoken.phones) if spoken else 0,
        trigram=_known_trigram(config, source, material),
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
            material.knowledge.put_into(folder)
            speakers = (example.utterance.speaker for example in material.train)
            save_speakers(folder, speakers, material.init)
        task.judge = make_judge(task, folder)
    hours = sum(example.utterance.duration for example in material.train) / 3600
    status = run_trainer(
        Trainer(task, config.train, folder, group),
        config,
        material.vocabulary,
        material.sources,
        resume=resume,
        data=f"{counted(len(material.train), 'utterance')}, {hours:.2f} hours "
        f"(left out: {material.left_out})",
    )
    if status == 0 and group.rank == 0:
        with_lm = included_lm(folder) is not None
        lines = closing_lines(folder, with_lm=with_lm, with_phones=bool(spoken), hours=hours)
        for line in lines if material.advises else lines[:1]:
            say(line)
    return status


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
        f"{len(words)} of their words ({', '.join([*words][:5])}), which were not guessed; write "
        "them into a FILE, a word and its phones a line, and give --lexicon FILE before the lexicon"
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
