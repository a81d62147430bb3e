"""The shape of the code: layers, sizes, no torch where the core runs without it."""

import ast
import importlib
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from folders import ROOT

PACKAGE = ROOT / "asr"
LAYERS = [
    "errors _atomic _cores _folders _install _lock _progress _streams _numba _onnxruntime _json "
    "_npz _regular _threads",
    "config text manifest sequences media audio spectrum denoising dereverberation cleaning "
    "scoring formats channels corpora",
    "features subsampling lstm model ctc _cuda mmi augment checkpoint distributed",
    "lm lexicon data decode readable reports",
    "export inference segmentation options recognize evaluation training train objective "
    "streaming batch doctor serve explain",
    "cli",
    "__main__",
]
LAYER_OF = {name: number for number, layer in enumerate(LAYERS) for name in layer.split()}
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FUNCTION = 60
SIZE = runpy.run_path(str(ROOT / "scripts" / "size"))


def part_of(path: Path) -> str:
    """The name that LAYERS knows a file by: its module, or the folder it is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """The parts of asr that a file imports, anywhere in it."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "asr":
            modules += [f"asr.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.append(node.module)
    return {module.split(".")[1] for module in modules if module.startswith("asr.")}


def files_of_layers() -> list[Path]:
    return [path for path in FILES if part_of(path) != "__init__"]


def test_every_file_has_a_layer():
    assert {part_of(path) for path in files_of_layers()} == LAYER_OF.keys()


@pytest.mark.parametrize("path", files_of_layers(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_come_from_no_higher_layer(path: Path):
    higher = {part for part in imported_parts(path) if LAYER_OF[part] > LAYER_OF[part_of(path)]}
    assert not higher


def test_imports_have_no_cycle():
    needs = {part_of(path): set() for path in files_of_layers()}
    for path in files_of_layers():
        needs[part_of(path)] |= imported_parts(path) - {part_of(path)}
    while free := {part for part, needed in needs.items() if not needed}:
        needs = {part: needed - free for part, needed in needs.items() if part not in free}
    assert not needs


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_functions_are_short(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


def test_no_two_classes_share_a_name():
    names = Counter(
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert not [name for name, count in names.items() if count > 1]


def test_house_has_its_shape():
    assert not SIZE["faults"](ROOT)


def test_size_fails_where_a_door_is_bypassed_or_the_story_grows(tmp_path: Path):
    (tmp_path / "asr" / "room").mkdir(parents=True)
    (tmp_path / "asr" / "decode").mkdir()
    for name in ("asr/room/__init__.py", "asr/decode/__init__.py", *SIZE["STORY"]):
        (tmp_path / name).touch()
    named = " ".join(f"`{name}`" for name in SIZE["STORY"])
    (tmp_path / "docs").mkdir()
    guide = f"# Code\n## Reading order\n{named}\n## More\n`asr/other.py`\n"
    (tmp_path / "docs" / "code.md").write_text(guide)
    assert not SIZE["faults"](tmp_path)
    (tmp_path / "asr" / "model.py").write_text("from asr.room.inner import thing\n")
    (tmp_path / "asr" / "ctc.py").write_text("#\n" * (SIZE["LONGEST_STORY"] + 1))
    door, size = SIZE["faults"](tmp_path)
    assert door == "asr/model.py: asr.room.inner, from behind its door"
    assert "3002 lines" in size
    assert len(SIZE["reading_list"](tmp_path)) == len(SIZE["STORY"])


@pytest.mark.parametrize(
    "stub", sorted(PACKAGE.glob("*/__init__.pyi")), ids=lambda p: p.parent.name
)
def test_doors_export_what_they_name(stub: Path):
    door = importlib.import_module(f"asr.{stub.parent.name}")
    assert door.__doc__
    assert all(hasattr(door, name) for name in door.__all__)


def loaded_by(names: list[str]) -> set[str]:
    """Return the modules that a process has after it imported these."""
    check = f"import sys, {', '.join(names)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", check], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return set(done.stdout.split())


def commands() -> list[str]:
    return [f"asr.cli.{path.stem}" for path in (PACKAGE / "cli").glob("*.py")]


def test_core_and_commands_start_without_torch():
    modules = [path for path in FILES if LAYER_OF.get(part_of(path), 9) < 2]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules]
    assert not {"torch", "torchaudio", "librosa"} & loaded_by(["asr", *names, *commands()])


def test_commands_start_without_numba():
    assert not {"torch", "numba", "onnxruntime"} & loaded_by(commands())


def test_the_server_starts_without_the_model():
    """Its worker processes load it."""
    pytest.importorskip("starlette")
    assert not {"torch", "numba", "onnxruntime"} & loaded_by(["asr.serve.service"])


def test_recipes_are_thin():
    for script in ROOT.glob("recipes/*/*.sh"):
        assert len(script.read_text().splitlines()) <= 40, script


def test_no_path_of_a_machine_is_in_a_tracked_file():
    found = subprocess.run(
        ["git", "grep", "-nIE", "[^a-zA-Z._-]/(work|opt|root|home)/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in found.stdout.splitlines() if "test_architecture" not in line]
    assert not lines
