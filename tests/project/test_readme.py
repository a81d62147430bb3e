"""What README.md and docs/ say one can type works as written."""

import contextlib
import functools
import importlib
import io
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import soundfile
from folders import ROOT, SAMPLES

from asr import DecodingOptions
from asr.config import Config
from asr.decode import DecoderConfig

README = ROOT / "README.md"
CODE = ROOT / "docs" / "code.md"  # where people are told which files to read
GUIDES = sorted((ROOT / "docs").glob("*.md"))
LINKING = [
    *ROOT.glob("*.md"),
    *GUIDES,
    *ROOT.glob("recipes/*/*.md"),
    *ROOT.glob("scripts/bench/*.md"),
]
SUBCOMMANDS = {"asr-lm", "asr-prepare", "asr-text"}  # commands whose options follow another word
PROGRAMS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def without_blocks(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def code_spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", without_blocks(page))


def commands(page: Path) -> Iterator[str]:
    """Yield each asr- command of a page: of its code spans, sh blocks and indented blocks."""
    indented = re.findall(r"^    +(\S.*)$", without_blocks(page).replace("\\\n", " "), re.MULTILINE)
    shell = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    for line in (*code_spans(page), *shell, *indented):
        for command in re.split(r"[|;]|&&", re.sub(r"\s#.*", "", line)):
            if re.match(r"asr-[\w-]+", command.strip()):
                yield command.strip()


@functools.cache
def help_of(*words: str) -> str:
    """Return what COMMAND --help prints, or COMMAND SUBCOMMAND --help."""
    module, function = PROGRAMS[words[0]].split(":")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as left:
        getattr(importlib.import_module(module), function)([*words[1:], "--help"])
    assert left.value.code in (0, None), words
    return printed.getvalue()


def options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text))


def known_options(command: str) -> set[str]:
    """Return the options that a command as written has, and of asr-lm alone all of its own."""
    program, *rest = command.split()
    if program not in SUBCOMMANDS:
        return options(help_of(program))
    described = help_of(program)
    assert not rest or re.search(rf"(?<![\w-]){re.escape(rest[0])}(?![\w-])", described), command
    return options(help_of(program, rest[0]) if rest else described)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("asr", "conf", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    waveform, rate_hz = soundfile.read(SAMPLES / "quickstart.flac")
    soundfile.write(tmp_path / "talk.mp3", waveform, rate_hz)
    return tmp_path


def test_set_up_commands_are_there_and_ci_runs_them():
    commands = [line.split()[0] for line in blocks(README, "sh")[0].splitlines()]
    assert commands == ["scripts/quickstart", "scripts/check"]
    assert all(os.access(ROOT / command, os.X_OK) for command in commands)
    assert all(command in (ROOT / ".ci" / "run").read_text() for command in commands)


def run_python(snippet: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_python_snippet_prints_the_text_of_the_sample(folder: Path):
    (snippet,) = blocks(README, "python")
    assert_spoken(run_python(snippet, folder))


def assert_spoken(printed: str) -> None:
    spoken = (SAMPLES / "quickstart.txt").read_text().split()
    recognised = printed.lower().split()
    assert len(set(recognised) & {word.lower() for word in spoken}) >= len(spoken) // 2


def test_every_file_that_is_named_exists():
    named = re.findall(
        r"`((?:asr|conf|scripts|recipes)/[\w./-]+\.\w+)`", CODE.read_text(encoding="utf-8")
    )
    assert len(named) > 5
    assert "docs/code.md" in re.findall(r"\]\((\S+)\)", README.read_text(encoding="utf-8"))
    for page in (README, *GUIDES):
        spans = (word for span in code_spans(page) for word in span.split())
        named = [word for word in spans if re.match(r"(asr|conf|scripts|recipes|docs)/", word)]
        kept = [name for name in named if not name.startswith("recipes/speaker/exp")]
        assert not [name for name in kept if not (ROOT / name).exists()], name_of(page)


@pytest.mark.parametrize("page", LINKING, ids=name_of)
def test_every_file_that_is_linked_exists(page: Path):
    linked = re.findall(r"\]\(([^)\s]+)\)", without_blocks(page))
    assert linked or page not in (README, ROOT / "docs" / "index.md")
    inside = [target for target in linked if "://" not in target]
    assert not [target for target in inside if not (page.parent / target).exists()]


def test_index_has_a_line_for_each_guide():
    index = ROOT / "docs" / "index.md"
    listed = re.findall(r"^- \[(.*?)\]\((.*?)\): ", index.read_text(encoding="utf-8"), re.MULTILINE)
    assert all(name == target for name, target in listed)
    assert {name for name, _ in listed} == {page.name for page in GUIDES} - {index.name}


@pytest.mark.parametrize("page", [README, *GUIDES], ids=name_of)
def test_every_command_and_option_that_is_named_exists(page: Path):
    for command in commands(page):
        assert command.split()[0] in PROGRAMS, command
        assert options(command) <= known_options(command), command


def test_commands_are_found_where_pages_have_them():
    found = {name_of(page): list(commands(page)) for page in GUIDES}
    assert "asr-transcribe -" in found["docs/recognise.md"]  # behind a pipe
    assert any("--lexicon" in command for command in found["docs/train.md"])  # of a code span, too
    assert any("train.epochs=12" in command for command in found["docs/adapt.md"])  # second line
    named = {command.split()[0] for page in found.values() for command in page}
    assert named == set(PROGRAMS) - {"asr"}  # of which they are parts


def test_an_option_that_does_not_exist_would_be_noticed():
    assert not options("asr-transcribe --formats srt") <= known_options("asr-transcribe x")
    assert "--prune" in known_options("asr-lm train")
    assert "--prune" not in known_options("asr-lm convert")


@pytest.mark.parametrize("page", [README, *GUIDES], ids=name_of)
def test_every_option_that_is_named_alone_exists(page: Path):
    named = {" ".join(command.split()[:2]) for guide in GUIDES for command in commands(guide)}
    known = set().union(*map(known_options, named))
    alone = [span for span in code_spans(page) if span.startswith("--")]
    assert not [span for span in alone if not options(span) <= known]


@pytest.mark.parametrize("page", [README, *GUIDES], ids=name_of)
def test_every_setting_that_is_named_exists(page: Path):
    sections = {field.name: field.default_factory for field in fields(Config)}
    text = page.read_text(encoding="utf-8")
    given = re.findall(rf"\b({'|'.join(sections)})\.(\w+)=", text)
    named = [span.split(".") for span in code_spans(page) if re.fullmatch(r"\w+\.\w+", span)]
    files = {"bin", "json", "jsonl", "md", "npz", "txt", "csv"}
    for section, key in (*given, *(pair for pair in named if pair[1] not in files)):
        if section in sections:
            assert hasattr(sections[section](), key), f"{section}.{key}"
    for key in re.findall(r"--set ([a-z]\w*)=", text):
        assert hasattr(DecoderConfig(), key), key


def test_every_setting_of_the_search_is_explained():
    rows = (ROOT / "docs" / "language-models.md").read_text(encoding="utf-8")
    explained = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|.*?\|", rows, re.MULTILINE)))
    assert {field.name for field in fields(DecoderConfig)} == set(explained)


def test_every_option_of_decoding_is_explained():
    rows = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").partition("## Options")[2]
    explained = re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)
    assert explained == [field.name for field in fields(DecodingOptions)]
