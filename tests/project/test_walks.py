"""Each page of docs/ is walked as its reader walks it: all its blocks are typed, in order.

The commands are those of the page. Where one would take long, IN_SMALL appends settings that
make it small. A block that is not typed here is named in ELSEWHERE, with the reason.
"""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from folders import ROOT
from once import made_once
from reader import furnish
from serving import serving
from test_readme import GUIDES, PROGRAMS, README, assert_spoken, name_of

PAGES = [README, *GUIDES, *sorted((ROOT / "docs" / "reference").glob("*.md"))]
BLOCK = re.compile(
    r"^```(?P<language>\S*)\n(?P<fenced>.*?)^```$|(?P<indented>(?:^    [^\n]*\n(?:\n(?=    ))?)+)",
    re.DOTALL | re.MULTILINE,
)
TYPED = ("sh", "python", "indented")  # other fenced blocks are files, or what commands print
EQUATION = "an equation; tests/test_lstm.py compares it with the fast layers"
NETWORK = "needs a network"
TABLE = "no command: the beginning of a file; tests/project/reader.py writes one"
ELSEWHERE = {  # (page, beginning of a block): why it is not typed here
    ("code", "asr/  "): "no command: the list of folders",
    ("README", "scripts/quickstart"): "CI runs both: .ci/run",
    ("adapt", "asr-adapt english"): "the block before it, with settings",
    ("adapt", "RECORDINGS="): "tests/project/test_recipes.py runs the recipe of a speaker",
    ("afternoon", "pip install"): NETWORK,
    ("deploy", "asr-transcribe --ray"): "needs a cluster of several machines",
    ("deploy", "docker build"): "needs Docker and a network; tests/serve reads the Dockerfile",
    ("deploy", "openssl rand"): "needs Docker",
    ("how-it-works", "state ="): EQUATION,
    ("how-it-works", "cell_state ="): EQUATION,
    ("index", 'eval "$(register'): "tests/cli/test_cli_completion.py asks bash",
    ("install", "python3 -m venv"): NETWORK,
    ("install", "py -m venv"): "for Windows",
    ("install", "uv pip compile"): NETWORK,
    ("install", "pip wheel"): NETWORK,
    ("install", "pip install --no-index"): "needs what the block before it made",
    ("install", "asr --clear-cache"): "would remove the package that is tested",
    ("language-models", "# names"): TABLE,
    ("recognise", "pip install"): NETWORK,
    ("sequences", '{"id"'): "no command: a line of a manifest",
    ("serve", "pip install"): NETWORK,
}
SMALL_NETWORK = "train.epochs=1 train.processes=1 model.layers=1 model.hidden=16"
IN_SMALL = {  # the first pattern that fits a command says what is appended to it
    r"asr-train smoke": "train.epochs=3 train.processes=1",
    r"asr-train strokes.toml": "",  # takes seconds as it is
    r"asr-train .*--init": "train.epochs=1 train.processes=1",
    r"asr-train": SMALL_NETWORK,
    r"asr-adapt": "train.epochs=1 train.processes=1",
    r"asr-lm train-lstm": "train.epochs=1 train.processes=1 lm.hidden=16 lm.vocabulary_size=50",
    r"asr-text train": "train.epochs=1 tagger.layers=1 tagger.hidden=16",
    r"asr-explain": "--start 0 --end 1",
}
GIVEN = {  # what a page says its reader has: names of what tests/project/reader.py makes
    "README": ("talk.mp3",),
    "adapt": ("metadata.csv", "anna", "talk.mp3", "talks"),
    "afternoon": ("metadata.csv", "anna", "talk.wav"),
    "code": ("talk.wav",),
    "deploy": ("exp", "lm.bin", "seed1", "seed2", "seed3", "with-noise", "talks", "in.wav"),
    "explain": ("conf", "talk.wav", "train.jsonl", "valid.jsonl"),
    "install": (),
    "language-models": (
        *("conf", "tones", "exp", "train.jsonl", "dev.jsonl", "talk.mp3", "names.txt"),
        *("books.txt.xz", "cmudict.dict"),
    ),
    "languages": ("german.csv", "german.txt", "anna", "talk.wav"),
    "python": ("talk.mp3", "call.wav"),
    "readable": ("conf", "talk.flac", "books", "other.txt", "unseen.txt", "MODEL"),
    "recognise": ("talk.mp3", "call.wav", "a.wav", "interviews", "x", "talks", "names.txt"),
    "reports": ("data", "exp"),
    "sequences": (),
    "serve": ("talk.mp3",),
    "subtitles": ("call.wav", "film.mp4", "films", "names.txt"),
    "train": (
        *("conf", "data", "exp", "upper.bin", "cmudict.dict", "known.jsonl"),
        *("ref.trn", "a.trn", "b.trn", "seed1", "seed2", "seed3"),
    ),
}
# What the reader has under another name than tests/project/reader.py gave it.
NAMED = {"german.csv": "metadata.csv", "upper.bin": "lm.bin"}
COPIED = {"film.mp4": "a.wav", "films": "talks"}  # on a page; and in the folder, under any name
PLACES = {"/data/talks": "talks"}  # absolute paths of pages, and where they are in the folder
TOOLS = {"curl", "ffmpeg", "sox"}  # that pages use and not every machine has
ADDRESS = "127.0.0.1:8000"  # of a server, on pages


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    language: str  # of a fenced block; or "indented"
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if found["indented"] is None:
            yield Block(found["language"], found["fenced"])
        else:
            lines = found["indented"].splitlines()
            yield Block("indented", "".join(f"{line[4:]}\n" for line in lines))


def reason_elsewhere(page: Path, block: Block) -> str:
    """Why a block is not typed here; "" if it is."""
    reasons = (
        why
        for (stem, beginning), why in ELSEWHERE.items()
        if stem == page.stem and block.text.startswith(beginning)
    )
    return next(reasons, "")


def walked(page: Path) -> list[Block]:
    return [b for b in blocks_of(page) if b.language in TYPED and not reason_elsewhere(page, b)]


def commands_of(block: Block) -> Iterator[str]:
    """Yield the commands of a block of shell, each with its continued lines and its document."""
    command = r"(?:[^\n]*<<'(\w+)'\n.*?^\1$|(?:[^\n]*\\\n)*[^\n]+)"
    for found in re.finditer(command, block.text, re.DOTALL | re.MULTILINE):
        yield found[0].replace("\\\n", " ")


def in_small(command: str) -> str:
    """Return a command with what makes it small."""
    for place, here in PLACES.items():
        command = command.replace(place, here)
    matching = (more for pattern, more in IN_SMALL.items() if re.match(pattern, command))
    typed = re.sub(r"\s#.*", "", command)
    return f"{typed} {next(matching, '')}".rstrip()


def type_in(command: str) -> int:
    """Run a command and return its exit status; one of asr alone runs in this process."""
    if redirected := re.fullmatch(r"(asr-[^|<>&;$]*) >(\S+)", command):
        with Path(redirected[2]).open("w") as file, redirect_stdout(file):
            return type_in(redirected[1])
    unquoted = re.sub("'[^']*'", "", command)
    if command.split(maxsplit=1)[0] in PROGRAMS and not re.search(r"[|<>&;$]", unquoted):
        program, *words = shlex.split(command)
        if "*" in unquoted:
            words = [name for word in words for name in expanded(word)]
        module, function = PROGRAMS[program].split(":")
        status: int = getattr(importlib.import_module(module), function)(words)
        return status
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": programs}
    return subprocess.run(["bash", "-euc", command], env=environment, check=False).returncode


class Servers:
    """The server of a page: it goes on running until the page starts another one, or ends."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._address = ADDRESS

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def start(self, command: str) -> None:
        """Run asr-serve as it is written, in small and on a free port."""
        self._running.close()
        small = ("--workers", 1, "--live-workers", 0)
        server = serving(*shlex.split(command)[1:], *small, plain=False)
        self._address = f"127.0.0.1:{self._running.enter_context(server).port}"

    def reached_by(self, command: str) -> str:
        """Return a command with the port of the server that runs."""
        return command.replace(ADDRESS, self._address)


def expanded(word: str) -> list[str]:
    """Return the files that a pattern fits, as a shell does, or the word itself."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.fixture(scope="module")
def furnished(smoke: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with all that pages say one has; it is copied for each page."""
    make = partial(furnish, smoke=smoke)
    return made_once(tmp_path_factory, worker_id, "reader", make)


def give(page: Path, furnished: Path, folder: Path) -> None:
    """Copy what the reader of a page has."""
    film = ("film.mkv",) if page.stem == "recognise" and shutil.which("ffmpeg") else ()
    for name in (*GIVEN[page.stem], *film):
        source, copy = furnished / COPIED.get(name, name), folder / NAMED.get(name, name)
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, copy)
        else:
            shutil.copy(source, copy, follow_symlinks=False)


@pytest.mark.parametrize("page", [page for page in PAGES if walked(page)], ids=name_of)
def test_blocks_of_a_page_work_in_order(
    page: Path,
    furnished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    if any(block.text.startswith("asr-serve") for block in walked(page)):
        pytest.importorskip("starlette")
    give(page, furnished, tmp_path)
    monkeypatch.chdir(tmp_path)
    with Servers() as servers:
        printed = walk(page, servers, capfd)
    SHOWN.get(page.stem, lambda _: None)(printed)


def walk(page: Path, servers: Servers, capfd: pytest.CaptureFixture[str]) -> str:
    """Type all blocks of a page in this folder; return what they print."""
    printed = ""
    for block in walked(page):
        if block.language == "python":
            run_python(block.text)
            output = capfd.readouterr()
            check_python(block.text, output.out)
            printed += output.out
            continue
        for command in map(in_small, commands_of(block)):
            if any(not shutil.which(tool) for tool in TOOLS & set(command.split())):
                continue
            if command.startswith("asr-serve"):
                servers.start(command)
                continue
            status = type_in(servers.reached_by(command))
            output = capfd.readouterr()
            assert status == 0, (command, output.err)
            printed += output.out
    return printed


def run_python(snippet: str) -> None:
    """Run a snippet in this process, with names of its own: it must import what it uses."""
    exec(compile(snippet, "snippet of a page", "exec"), {"__name__": "__main__"})


def check_python(snippet: str, printed: str) -> None:
    """Fail if a snippet did not print what it says it prints."""
    if "talk.mp3" in snippet:
        assert_spoken(printed)
    for call, expected in re.findall(r"^print\((.*)\)  # (.*)$", snippet, re.MULTILINE):
        assert expected in printed.splitlines(), call
    if "call.wav" in snippet:
        assert re.search(r"^Anna: \w+.*\nBen: \w+", printed)


def train_shown(printed: str) -> None:
    assert '"wer": ' in printed
    assert "%WER " in printed
    assert "tones/test/test-000.wav\t" in printed


def subtitles_shown(_: str) -> None:
    for name in ("film.srt", "call.srt", "corrected/film.srt"):
        assert " --> " in Path(name).read_text(encoding="utf-8")


def recognise_shown(printed: str) -> None:
    assert_spoken(printed)
    assert "-->" in printed


def language_models_shown(printed: str) -> None:
    assert "perplexity" in printed


def serve_shown(printed: str) -> None:
    assert "-->" in printed
    assert '"confidence": ' in printed
    assert "data: [DONE]" in printed
    assert '"object":"list"' in printed
    assert printed.endswith("ready\n")


def sequences_shown(printed: str) -> None:
    assert json.loads(printed.splitlines()[-1])["wer"] <= 0.2


SHOWN = {  # what a page must print
    "train": train_shown,
    "recognise": recognise_shown,
    "subtitles": subtitles_shown,
    "language-models": language_models_shown,
    "sequences": sequences_shown,
    "serve": serve_shown,
}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_typed_or_named(page: Path):
    """Fail where a page gets a command in a block that nothing runs."""
    for block in blocks_of(page):
        if block.language not in TYPED:
            assert not re.search(r"^\s*(asr-|pip |python )", block.text, re.MULTILINE), block.text


def test_blocks_that_are_named_exist():
    for stem, beginning in ELSEWHERE:
        (page,) = (page for page in PAGES if page.stem == stem)
        assert any(block.text.startswith(beginning) for block in blocks_of(page)), beginning
