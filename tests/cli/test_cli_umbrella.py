"""asr: all commands under one name, models and configurations by name, remedies by metadata."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from folders import ENGLISH, ROOT, SAMPLES

import asr
from asr._folders import conf_names, find_conf, find_model, named_models
from asr._install import distribution_name, install
from asr.cli import umbrella
from asr.cli.umbrella import COMMANDS, main
from asr.config import load_config
from asr.options import DecodingOptions

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_all_commands_are_there_under_both_names(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = {name.removeprefix("asr-"): target for name, target in PROJECT["scripts"].items()}
    assert scripts.pop("asr") == "asr.cli.umbrella:main"
    assert scripts == {name: f"asr.cli.{name}:main" for name in COMMANDS}
    assert main([]) == 0
    for name in COMMANDS:
        with pytest.raises(SystemExit) as left:
            main([name, "--help"])
        assert left.value.code == 0
        assert f"usage: asr-{name}" in capsys.readouterr().out


def test_help_lists_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    shown = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in shown] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{PROJECT['name']} {asr.__version__}\n"
    assert main(["--version", "-v"]) == 0
    shown = capsys.readouterr().out
    assert f"model english: {ENGLISH}" in shown
    assert "compiled code, which may be removed" in shown


def test_caches_are_named_with_their_size_and_removed(tmp_path: Path) -> None:
    """In a folder of the test: the other tests use the usual one."""
    variables = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}

    def shown(*words: object) -> str:
        command = [sys.executable, "-m", "asr", *map(str, words)]
        done = subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert shown("--clear-cache") == "removed 0 files of compiled code, 0.0 MB\n"
    (tmp_path / "a.arpa").write_text(
        "\\data\\\nngram 1=3\n\n\\1-grams:\n-1 <s>\n-1 </s>\n-1 A\n\n\\end\\\n"
    )
    (tmp_path / "a.txt").write_text("A\n")
    shown("lm", "perplexity", tmp_path / "a.arpa", tmp_path / "a.txt")  # compiles
    kept = sorted(tmp_path.rglob("*.nb?"))
    assert [path for path in kept if path.parent.name.startswith("lm_")]
    (tmp_path / "other_0").mkdir()
    (tmp_path / "other_0" / "of-another-package.nbi").touch()
    size = sum(path.stat().st_size for path in kept) / 1e6
    line = shown("--version", "-v").splitlines()[-1]
    folders = ", ".join(sorted({str(path.parent) for path in kept}))
    assert line.endswith(f": {size:.1f} MB in {len(kept)} files: {folders}")
    assert shown("--clear-cache") == f"removed {len(kept)} files of compiled code, {size:.1f} MB\n"
    assert not [path for path in kept if path.exists()]
    assert (tmp_path / "other_0" / "of-another-package.nbi").exists()


def test_one_file_of_compiled_code(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "search.nbi").write_bytes(bytes(100_000))
    monkeypatch.setattr(umbrella, "_cache", lambda: [tmp_path / "search.nbi"])
    assert main(["--version", "-v"]) == main(["--clear-cache"]) == 0
    *_, named, removed = capsys.readouterr().out.splitlines()
    assert named.endswith(f": 0.1 MB in 1 file: {tmp_path}")
    assert removed == "removed 1 file of compiled code, 0.1 MB"


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["nope"])
    assert left.value.code == 2
    assert "transcribe" in capsys.readouterr().err


def test_python_m_asr_transcribes_with_a_model_by_name() -> None:
    command = [sys.executable, "-m", "asr", "transcribe", "--model", "english"]
    done = subprocess.run(
        [*command, SAMPLES / "quickstart.flac"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.split()) > 5


def test_models_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("one/mine", "two/mine", "two/other", "two/none"):
        (tmp_path / folder).mkdir(parents=True)
        if folder != "two/none":
            (tmp_path / folder / ("bundle.json" if "other" in folder else "config.json")).touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("ASR_MODELS", os.pathsep.join(str(tmp_path / n) for n in ("one", "two")))
    monkeypatch.chdir(tmp_path)
    assert find_model("mine") == tmp_path / "one" / "mine"
    assert find_model("other") == tmp_path / "two" / "other"
    assert find_model("english") == ENGLISH
    assert set(named_models()) == {"mine", "other", "english"}
    assert find_model("none") == Path("none")
    assert find_model("one/mine") == Path("one/mine")
    (tmp_path / "mine").mkdir()  # a folder of that path comes first
    assert find_model("mine") == Path("mine")
    assert DecodingOptions().resolve("english").model == ENGLISH


def test_configurations_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {"half-hour", "five-hours", "fifty-hours", "five-hundred-hours"} <= set(conf_names())
    for name in conf_names():
        assert load_config(name) == load_config(f"conf/{name}.toml") == load_config(find_conf(name))
    (tmp_path / "smoke.toml").write_text("[train]\nepochs = 99\n")
    assert load_config("smoke.toml").train.epochs == 99
    assert load_config("smoke").train.epochs != 99


def test_remedies_name_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PROJECT["name"] != "asr"  # which is another project on the public index
    assert distribution_name() == PROJECT["name"]
    monkeypatch.chdir(ROOT)
    assert install("train") == "pip install '.[train]'"
    monkeypatch.chdir(ROOT.parent)
    assert install("train") == f"pip install '{ROOT}[train]'"
    named = ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
    assert not [name for name in named if "pip install asr" in (ROOT / name).read_text()]
    assert not [name for name in named if "pip install 'asr[" in (ROOT / name).read_text()]


def test_an_install_from_an_index_is_named_by_its_metadata(tmp_path: Path) -> None:
    """A copy of the package without its checkout, beside the metadata that a wheel has."""
    shutil.copytree(ROOT / "asr", tmp_path / "asr", ignore=shutil.ignore_patterns("models"))
    info = tmp_path / "some_name-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-name\nVersion: 1.0\n")
    (info / "RECORD").write_text("asr/_install.py,,\nasr/__init__.py,,\n")
    (info / "top_level.txt").write_text("asr\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    code += "from asr._install import install; print(install('train'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "pip install 'some-name[train]'\n"
