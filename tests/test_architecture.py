"""The shape of the code: layers, sizes, no torch where the core runs without it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "asr"
LAYERS = [
    "errors atomic",
    "config numerals text container findings audio manifest alignment timed transcripts interval "
    "speakers score system cores significance breakdown report formats progress journal stopping "
    "tally",
    "corpora torchaudio_compat features front lstm model ctc mmi parallel compiled checkpoint "
    "experiment epoch lm",
    "augment data decode",
    "evaluate validation objective acoustic acoustics windows speech bundle onnx_graph recognize "
    "live tune task learner train_log lm_task train adapt coach diagnosis doctor "
    "jobs workers ray_jobs outputs",
    "cli",
]
LAYER_OF = {name: number for number, layer in enumerate(LAYERS) for name in layer.split()}
WITHOUT_TORCH = [name for layer in LAYERS[:2] for name in layer.split()]
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 300, 60


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
def test_files_and_functions_are_short(path: Path):
    source = path.read_text()
    assert len(source.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


def test_core_and_commands_start_without_torch():
    commands = [path.stem for path in (PACKAGE / "cli").glob("*.py") if path.stem != "__init__"]
    modules = [f"asr.{name}" for name in WITHOUT_TORCH] + [f"asr.cli.{name}" for name in commands]
    check = f"import sys, {', '.join(['asr', *modules])}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", check], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.split()
    assert not {"torch", "torchaudio", "librosa", "numba"} & set(loaded)


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
