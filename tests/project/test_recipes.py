"""The recipes: the smoke recipe learns; all are run as their users run them."""

import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_files import chapter
from folders import ENGLISH, ROOT
from speech import RATE_HZ, WORDS, utter

from asr.export import read_bundle
from asr.manifest import read_manifest

RECIPES = ROOT / "recipes"
QUICK = [  # settings with which tones are learned in seconds
    *("features.num_mels=20", "features.num_ceps=13", "features.deltas=0", "model.layers=1"),
    *("model.hidden=32", "augment.freq_masks=0", "augment.freq_warp=0", "augment.time_masks=0"),
    *("augment.speeds=[1.0]", "augment.reverb_prob=0", "augment.band_limit_prob=0"),
    *("data.max_utterance_s=3", "data.batch_s=6", "train.epochs=12"),
    *("train.learning_rate=1e-2", "train.warmup_steps=30"),
    *("train.ema_decay=0.9", "train.processes=1"),
]
QUICK_LSTM = "lm.hidden=64 train.epochs=5"  # of sentences of three words
TUNE = "asr-evaluate exp data/wide-tune.jsonl --out exp/tune --tune"
TOLD = {
    *("LIBRISPEECH", "MORE", "KEPT_OUT", "NOISES", "TEXT", "CMUDICT", "LSTM"),
    *("TRAIN", "DEV", "SEEDS", "DATA", "EXP", "CAFE", "TRAFFIC", "TUNE"),
    *("RECORDINGS", "MODEL", "NETWORKS", "CONF", "DECODING"),
}


def test_smoke_recipe_trains_to_no_error(smoke: Path):
    score = json.loads((smoke / "exp" / "test" / "score.json").read_text())
    assert score["words"] > 80
    assert (score["errors"], score["wer"]) == (0, 0.0)


def test_smoke_log_falls_and_is_whole(smoke: Path):
    lines = [json.loads(line) for line in (smoke / "exp" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 16))
    assert lines[-1]["train_loss"] < 0.1 * lines[0]["train_loss"]
    assert lines[-1]["valid_error"] <= 0.05 < lines[0]["valid_error"]


@pytest.mark.parametrize(
    "recipe", ["smoke", "fsdd", "librispeech", "english", "speaker", "readable", "memory"]
)
def test_stages_can_all_be_left_out(recipe: str, tmp_path: Path):
    needed = ("FSDD", "LIBRISPEECH", "TEXT", "CMUDICT", "TRAIN", "VALID", "TEST")
    environment = os.environ | dict.fromkeys(needed, str(tmp_path))
    command = [RECIPES / recipe / "run.sh", "--stage", "9", "train.epochs=1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_unknown_argument_of_a_recipe():
    command = [RECIPES / "smoke" / "run.sh", "--stages", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_fsdd_without_its_corpus_says_what_to_set():
    environment = {name: value for name, value in os.environ.items() if name != "FSDD"}
    command = [RECIPES / "fsdd" / "run.sh"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "set FSDD" in done.stderr


@pytest.fixture
def corpora(tmp_path: Path) -> dict[str, str]:
    """What recipes are told: small corpora of tones, sentences, and how their words are said."""
    rng = np.random.default_rng(0)

    def sentence() -> str:
        return " ".join(rng.choice(list(WORDS), rng.integers(1, 5)))

    def record(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, utter(text, rng), RATE_HZ)

    for subset, speaker, count in (("train", "1", 60), ("wide", "2", 15), ("narrow", "3", 1)):
        texts = {f"{speaker}-7-{number:04d}": sentence() for number in range(count)}
        lines = (f"{name} {text}" for name, text in texts.items())
        folder = chapter(tmp_path / "corpus" / subset, speaker, "7", *lines)
        for name, text in texts.items():
            record(folder / f"{name}.flac", text)
    record(tmp_path / "lj" / "wavs" / "LJ001.wav", "A B")
    (tmp_path / "lj" / "metadata.csv").write_text("LJ001|A, B!|A, B!\n")
    record(tmp_path / "cathy" / "a1.wav", "C A B")
    (tmp_path / "cathy" / "metadata.csv").write_text('audio,speaker,text\na1.wav,c,"C, a b."\n')
    (tmp_path / "text").write_text("".join(f"{sentence()}\n" for _ in range(500)))
    (tmp_path / "dict").write_text("a AH0\na(2) EY1\nb B IY1\nc S IY1\nd D IY1\n")
    folders = {"LIBRISPEECH": "corpus", "TEXT": "text", "CMUDICT": "dict"}
    paths = folders | {"DATA": "data", "EXP": "exp"}
    subsets = {"TRAIN": "train", "DEV": "wide narrow"}
    more = {"MORE": f"{tmp_path / 'lj'} {tmp_path / 'cathy'}"}
    return subsets | more | {name: str(tmp_path / path) for name, path in paths.items()}


def stub(path: Path, line: str) -> None:
    """Write a program that is a line of shell."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def run_recipe(
    script: str, told: dict[str, str], line: Callable[[str, str], str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a recipe's script; a command of the package is a line of shell, by name and module."""
    commands = Path(told["DATA"]).parent / "bin"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, main in project["scripts"].items():
        stub(commands / name, line(name, main.removesuffix(":main")))
    others = {name: value for name, value in os.environ.items() if name not in TOLD}
    found = {"PATH": f"{commands}{os.pathsep}{others['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [RECIPES / script, *arguments],
        env=others | found | told,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def real(name: str, module: str) -> str:
    """Return the line that runs a command; an LSTM language model is made a small one."""
    small = f'[ "$1" != train-lstm ] || set -- "$@" {QUICK_LSTM}\n' if name == "asr-lm" else ""
    return f'{small}exec {shlex.quote(sys.executable)} -m {module} "$@"'


def commands_of(
    script: str, told: dict[str, str], *arguments: str, failing: str = ""
) -> tuple[int, list[str]]:
    """Status of a recipe's script, and what it would run, without the folder that all is in."""
    home = Path(told["DATA"]).parent
    log = home / "commands"
    (home / "data").mkdir()
    (home / "data" / "wide.jsonl").touch()
    done = run_recipe(
        script,
        told,
        lambda name, module: f'echo {name} "$@" >>{log}\n[ {name} != "{failing}" ]',
        *arguments,
    )
    return done.returncode, log.read_text().replace(f"{home}/", "").splitlines()


def ids(manifest: Path) -> list[str]:
    return [utterance.id for utterance in read_manifest(manifest)]


def evaluations(out: str, *options: str) -> list[str]:
    return [
        " ".join((f"asr-evaluate exp data/{name}.jsonl --out exp/{out}/{name}", *options))
        for name in ("wide", "narrow")
    ]


def test_english_from_corpora_to_a_bundle(corpora: dict[str, str]):
    """Here the network learns three tones, and the bundle reads them by phones and words."""
    done = run_recipe("english/run.sh", corpora | {"DEV": "wide"}, real, *QUICK)
    assert done.returncode == 0, done.stderr
    data, exp = Path(corpora["DATA"]), Path(corpora["EXP"])
    assert (data / "lexicon.txt").read_text() == "A AH\nA EY\nB B IY\nC S IY\n"
    bundle = read_bundle(exp)
    assert bundle.info.precision == "int8"
    assert bundle.vocabulary.tokens[1:] == (" ", "A", "B", "C")
    assert bundle.phones is not None
    assert bundle.phones.tokens[1:] == ("AH", "B", "EY", "IY", "S")
    promised = json.loads((exp / "bundle.json").read_text())["files"]
    assert {"lm.bin", "lstm.npz", "decoder.json", "calibration.json"} <= promised.keys()
    assert ids(data / "wide-tune.jsonl") == ids(data / "wide.jsonl")[::4]
    dev = {utterance.text for utterance in read_manifest(data / "wide.jsonl")}
    assert set((data / "dev.txt").read_text().splitlines()) == dev
    for folder, most in (("greedy", 0.5), ("bundle", 0.15)):
        score = json.loads((exp / folder / "wide" / "score.json").read_text())
        assert score["words"] > 30
        assert score["wer"] <= most, folder


@pytest.mark.parametrize(
    ("given", "joined", "judged"),
    [
        ({"MORE": "lj cathy"}, ["LJ001", "a1"], []),
        ({"MORE": "lj/ cathy/", "KEPT_OUT": "c"}, ["LJ001"], ["a1"]),
        ({"MORE": "cathy"}, ["a1"], []),
        ({}, [], []),
    ],
)
def test_english_joins_the_speech_that_is_there_and_keeps_speakers_out(
    given: dict[str, str], joined: list[str], judged: list[str], corpora: dict[str, str]
):
    folder = Path(corpora["DATA"]).parent
    more = " ".join(f"{folder}/{name}" for name in given.get("MORE", "").split())
    told = corpora | given | {"MORE": more}
    done = run_recipe("english/run.sh", told, real, "--stop-stage", "1")
    assert done.returncode == 0, done.stderr
    data = Path(corpora["DATA"])
    assert ids(data / "all-train.jsonl") == ids(data / "train.jsonl") + joined
    assert ids(data / "valid.jsonl") == ids(data / "wide.jsonl")[::12] + judged
    lines = (data / "kept-out.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == judged
    assert all(utterance.audio.is_file() for utterance in read_manifest(data / "all-train.jsonl"))


@pytest.mark.parametrize("given", [{"KEPT_OUT": "c b"}, {"KEPT_OUT": "b", "MORE": ""}])
def test_a_speaker_to_keep_out_who_is_not_there(given: dict[str, str], corpora: dict[str, str]):
    """A mistyped name would be trained on."""
    done = run_recipe("english/run.sh", corpora | given, real, "--stop-stage", "1")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "KEPT_OUT: b is no speaker in the folders of MORE"


def test_speakers_kept_out_are_judged(corpora: dict[str, str]):
    status, commands = commands_of("english/run.sh", corpora | {"KEPT_OUT": "c"}, "--stage", "5")
    assert status == 0
    judged = [line for line in commands if "kept-out" in line]
    told = "asr-evaluate exp data/kept-out.jsonl --out exp/"
    assert judged == [f"{told}greedy/kept-out --decoder greedy", f"{told}bundle/kept-out"]


def for_noise(seed: int, exp: str) -> list[str]:
    """What makes the network for noise from another one."""
    sets = {name: f"data/{name}-noisy-{seed}" for name in ("all-train", "valid")}
    return [
        *(f"noisy.py data/{name}.jsonl noises {out} {seed}" for name, out in sets.items()),
        f"asr-train english --init {exp} --train {sets['all-train']}/noisy.jsonl "
        f"--valid {sets['valid']}/noisy.jsonl --out {exp}-noisy train.processes=1 "
        f"train.seed={seed} train.epochs=2 train.learning_rate=5e-4 train.warmup_steps=30 "
        "train.ctc_fraction=0.0 augment.reverb_prob=0.25 augment.telephone_prob=0.1",
    ]


def test_commands_of_english(corpora: dict[str, str]):
    home = Path(corpora["DATA"]).parent
    corpora |= {"NOISES": str(home / "noises"), "TEXT": "text more"}
    told = corpora | {"JOINED": f"{home}/exp2 {home}/exp3"}
    stub(home / "bin" / "python3", f'echo "$@" >>{home / "commands"}')
    for name in ("noises", "exp", "exp2", "exp3"):
        (home / name).mkdir()
    assert commands_of("english/run.sh", told, "--stage", "2", "train.epochs=1") == (
        0,
        [
            "asr-lm train --language en --order 4 --vocab-size 160000 --prune 7e-8 text more "
            "--out data/lm.bin",
            "asr-lm convert data/lm.bin --out exp/lm.bin --quantize",
            "asr-lm train-lstm ../../conf/lstm_lm.toml --language en --train text more "
            "--valid data/dev.txt --out data/lstm lm.vocabulary_size=26000 train.epochs=96",
            "asr-lm convert data/lstm --out exp/lstm.npz",
            "asr-lexicon dict data/all-train.jsonl exp/lm.bin --out data/lexicon.txt",
            "asr-train ../../conf/english.toml augment.noises=noises augment.recorded_prob=0.15 "
            "train.epochs=1 --lexicon data/lexicon.txt "
            "--train data/all-train.jsonl --valid data/valid.jsonl --out exp",
            *evaluations("greedy", "--decoder greedy"),
            *for_noise(1, "exp"),
            *for_noise(2, "exp2"),
            *for_noise(3, "exp3"),
            "asr-export exp exp --ensemble exp2 exp3 --noisy exp-noisy exp2-noisy exp3-noisy "
            "--int8 --warps 0.96 1.04",
            TUNE,
            *evaluations("bundle"),
        ],
    )


def test_conditions_of_english(corpora: dict[str, str], tmp_path: Path):
    """The model is judged in each condition; recordings that are there are not made again."""
    log = tmp_path / "commands"
    made = """{"audio": "a.wav"}"""
    stub(
        tmp_path / "bin" / "python3",
        f'echo "${{1##*/}}" "$@" >>{log}\nmkdir -p "$3"\n'
        f"for name in noisy rooms; do echo '{made}' >\"$3/$name.jsonl\"; done",
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "some-telephone.jsonl").touch()

    def line(name: str, _: str) -> str:
        return f'echo {name} "$@" >>{log}\necho "%WER 1.00"'

    told = corpora | {"CAFE": "noise"}
    done = run_recipe("english/conditions.sh", told, line, str(tmp_path / "some.jsonl"))
    names = ["some", "some-telephone", "some-cafe", "some-rooms"]
    assert done.stdout.splitlines() == [f"{name}: %WER 1.00" for name in names], done.stderr
    given = [line.split()[:4] for line in log.read_text().replace(f"{tmp_path}/", "").splitlines()]
    evaluate = ["asr-evaluate", "exp"]
    assert [[line[0], *line[2:]] for line in given if line[0] != "asr-evaluate"] == [
        ["noise.py", "some.jsonl", "data/some-cafe"],
        ["rooms.py", "some.jsonl", "data/some-rooms"],
    ]
    cafe = (tmp_path / "data" / "some-cafe.jsonl").read_text()
    assert cafe == '{"audio": "some-cafe/a.wav"}\n'
    assert [line[:3] for line in given if line[0] == "asr-evaluate"] == [
        [*evaluate, "some.jsonl"],
        [*evaluate, "data/some-telephone.jsonl"],
        [*evaluate, "data/some-cafe.jsonl"],
        [*evaluate, "data/some-rooms.jsonl"],
    ]


def test_conditions_end_with_the_first_that_fails(corpora: dict[str, str], tmp_path: Path):
    done = run_recipe("english/conditions.sh", corpora, lambda *_: "exit 1", str(tmp_path / "a"))
    assert (done.returncode, done.stdout) == (1, "")


def test_weights_are_chosen_on_several_sets(corpora: dict[str, str]):
    """As many utterances as a quarter of a set, and of each set others."""
    data = Path(corpora["DATA"])
    data.mkdir()
    for name in ("wide", "rooms"):
        (data / f"{name}.jsonl").write_text("".join(f"{name} {i}\n" for i in range(20)))
    told = corpora | {"TUNE": "wide rooms"}
    done = run_recipe("english/run.sh", told, lambda *_: "true", "--stage", "7")
    assert done.returncode == 0, done.stderr
    chosen = [("wide", 0), ("wide", 8), ("wide", 16), ("rooms", 4), ("rooms", 12)]
    lines = [f"{name} {number}" for name, number in chosen]
    assert (data / "wide-tune.jsonl").read_text().splitlines() == lines


@pytest.mark.parametrize("given", [(), ("TEXT",), ("TEXT", "CMUDICT")])
def test_commands_of_librispeech(given: tuple[str, ...], corpora: dict[str, str]):
    """Without TEXT greedily; the language model comes before training, for the lexicon."""
    optional = {"TEXT", "CMUDICT"}.difference(given)
    told = {name: value for name, value in corpora.items() if name not in optional}
    train, phones = "asr-train ../../conf/blstm_ctc.toml", " --lexicon data/lexicon.txt"
    sets = " --train data/train.jsonl --valid data/wide.jsonl --out exp"
    language_model = "asr-lm train --order 4 --prune 2e-8 text --out data/lm.bin"
    included = "asr-lm convert data/lm.bin --out exp/lm.bin --quantize"
    lexicon = "asr-lexicon dict data/train.jsonl data/lm.bin --out data/lexicon.txt"
    greedy, beam = evaluations("greedy", "--decoder greedy"), [TUNE, *evaluations("lm")]
    expected = {
        0: [f"{train} train.mmi=0 train.epochs=40{sets}", *greedy],
        1: [language_model, included, train + sets, *greedy, *beam],
        2: [language_model, lexicon, included, train + phones + sets, *greedy, *beam],
    }
    prepare = "asr-prepare librispeech corpus --subsets train wide narrow --out data"
    assert commands_of("librispeech/run.sh", told) == (0, [prepare, *expected[len(given)]])


def test_librispeech_from_a_corpus_to_several_networks_as_one(corpora: dict[str, str]):
    lstm = ENGLISH / "lstm.npz"
    told = corpora | {"DEV": "wide", "SEEDS": "1 2", "LSTM": str(lstm)}
    done = run_recipe("librispeech/seeds.sh", told, real, *QUICK)
    assert done.returncode == 0, done.stderr
    exp = Path(corpora["EXP"])
    promised = json.loads((exp / "all" / "bundle.json").read_text())["files"]
    chosen = {"lm.bin", "lstm.npz", "lexicon.npz", "decoder.json", "calibration.json"}
    assert chosen <= promised.keys()
    assert json.loads((exp / "all" / "wide" / "score.json").read_text())["wer"] <= 0.15
    assert "exp/2/lm/wide/hyp.trn" in done.stdout  # and its score
    learn_from_what_is_heard(exp, told)


def learn_from_what_is_heard(exp: Path, told: dict[str, str]) -> None:
    """All networks of a corpus's experiments, by the recordings of each speaker apart."""
    networks = {"MODEL": f"{exp}/all", "NETWORKS": f"{exp}/1 {exp}/2", "EXP": f"{exp}/speakers"}
    told = told | networks | {"CONF": "../../conf/blstm_ctc.toml", "DECODING": "--json"}
    gently = ("train.epochs=2", "train.learning_rate=1e-3")  # as one goes on, not from nothing
    done = run_recipe("librispeech/speakers.sh", told, real, *QUICK, *gently)
    assert done.returncode == 0, done.stderr
    adapted = exp / "speakers" / "wide" / "2"
    assert ids(adapted / "data" / "heard.jsonl")[0] == "2-7-0000-0000"
    theirs, ours = (
        json.loads((folder / "bundle.json").read_text()) for folder in (exp / "all", adapted)
    )
    assert theirs["files"].keys() == ours["files"].keys()
    assert theirs["files"]["model.onnx"] != ours["files"]["model.onnx"]
    assert theirs["files"]["lm.bin"] == ours["files"]["lm.bin"]
    assert json.loads((adapted / "after" / "score.json").read_text())["wer"] <= 0.15
    assert '"wer": ' in done.stdout  # by --json
    assert f"{exp}/speakers/wide/before.trn" in done.stdout  # and its score


def test_one_network_learns_from_what_it_hears(corpora: dict[str, str]):
    told = {name: corpora[name] for name in ("DATA", "EXP")} | {"RECORDINGS": "talk.mp3"}
    Path(told["EXP"]).mkdir()
    status, commands = commands_of("speaker/run.sh", told, "train.seed=2")
    hear, learn, bundle = commands
    english = "../../asr/models/english"
    assert status == 0
    assert hear == f"asr-transcribe --model {english} --format manifest talk.mp3"
    heard = "--train data/heard.jsonl --valid data/heard.jsonl"
    start = f"asr-train ../../conf/english.toml --init {english} {heard} --out exp data.batch_s=30 "
    assert learn.startswith(start)
    assert learn.endswith(" train.seed=2")
    included = {path.name for path in Path(told["EXP"]).iterdir()}
    assert included == {"lm.bin", "lstm.npz", "decoder.json", "calibration.json"}
    assert bundle == "asr-export exp exp --int8 --warps 0.96 1.04"


def test_a_speaker_without_recordings_says_what_to_set(corpora: dict[str, str]):
    done = run_recipe("speaker/run.sh", {"DATA": corpora["DATA"]}, real)
    assert done.returncode != 0
    assert "set it to a folder or file" in done.stderr


@pytest.mark.parametrize(("left_out", "found"), [((), "lm"), (("TEXT", "CMUDICT"), "greedy")])
def test_commands_of_several_seeds(left_out: tuple[str, ...], found: str, corpora: dict[str, str]):
    """What all share once, each seed by run.sh, then all of them as one, and the mean."""
    told = {name: value for name, value in corpora.items() if name not in left_out}
    status, commands = commands_of("librispeech/seeds.sh", told | {"SEEDS": "4 5"})
    trained = [line.split() for line in commands if line.startswith("asr-train")]
    assert status == 0
    assert ["train.seed=4" in line for line in trained] == [True, False]
    assert ["train.seed=5" in line for line in trained] == [False, True]
    assert [line[-1] for line in trained] == ["exp/4", "exp/5"]
    once = ("asr-prepare", "asr-lm train", "asr-lexicon")
    expected = [1, 1, 1] if found == "lm" else [1, 0, 0]
    assert [sum(line.startswith(name) for line in commands) for name in once] == expected
    first = commands.index("asr-export exp/4 exp/all --ensemble exp/5 --int8 --warps 0.96 1.04")
    tuned = [TUNE.replace("exp", "exp/all")] if found == "lm" else []
    assert commands[first + 1 :] == [
        *tuned,
        "asr-evaluate exp/all data/wide.jsonl --out exp/all/wide",
        f"asr-score exp/all/wide/ref.trn exp/4/{found}/wide/hyp.trn exp/5/{found}/wide/hyp.trn",
        "asr-evaluate exp/all data/narrow.jsonl --out exp/all/narrow",
        f"asr-score exp/all/narrow/ref.trn exp/4/{found}/narrow/hyp.trn "
        f"exp/5/{found}/narrow/hyp.trn",
    ]


@pytest.mark.parametrize(
    ("recipe", "failing"), [("english", "asr-lexicon"), ("librispeech", "asr-lm")]
)
def test_recipe_ends_where_a_command_fails(recipe: str, failing: str, corpora: dict[str, str]):
    status, commands = commands_of(f"{recipe}/run.sh", corpora, "--stage", "2", failing=failing)
    assert status == 1
    assert commands[-1].startswith(failing)


@pytest.mark.parametrize(
    ("recipe", "missing", "complaint"),
    [
        ("english", "LIBRISPEECH", "LIBRISPEECH: set it to the corpus"),
        ("english", "TEXT", "TEXT: set it to sentences"),
        ("english", "CMUDICT", "CMUDICT: set it to cmudict.dict"),
        ("librispeech", "TEXT", "TEXT: CMUDICT needs a language model to read its phones; set"),
    ],
)
def test_recipe_says_what_to_set(
    recipe: str, missing: str, complaint: str, corpora: dict[str, str]
):
    del corpora[missing]
    done = run_recipe(f"{recipe}/run.sh", corpora, real)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert not Path(corpora["DATA"]).exists()
