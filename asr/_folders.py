"""Find models and configurations by name: of the package, and of the user's own folders."""

import os
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent
CONFS = PACKAGE / "conf"  # the configurations that come with the package
MODELS_VARIABLE = "ASR_MODELS"  # folders of models, separated as in PATH
INDEXES = ("config.json", "bundle.json")  # of asr-train and asr-export; a model has one, or both


def model_folders() -> list[Path]:
    """Return the folders whose folders are models, those of the user first."""
    given = os.environ.get(MODELS_VARIABLE, "")
    named = [Path(part).expanduser() for part in given.split(os.pathsep) if part]
    return [*named, user_models(), PACKAGE / "models"]


def user_models() -> Path:
    """Return the folder for a user's models where ASR_MODELS names none."""
    from platformdirs import user_data_path

    return user_data_path("asr", appauthor=False) / "models"


def named_models() -> dict[str, Path]:
    """Return all models that have a name, with their folders."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        for path in _folders_in(folder):
            found.setdefault(path.name, path)
    return found


def _folders_in(folder: Path) -> Iterator[Path]:
    try:
        paths = sorted(folder.iterdir())
        yield from (path for path in paths if any((path / name).exists() for name in INDEXES))
    except OSError:  # not there, or not to be read
        return


def find_model(name: Path | str) -> Path:
    """Return the folder of a model: the folder of that path or, if there is none, of that name."""
    path = Path(name)
    try:
        if path.exists() or len(path.parts) != 1:
            return path
    except (OSError, ValueError):  # too long, or with a null character: opening it says so
        return path
    return named_models().get(str(name), path)


def find_conf(name: Path | str) -> Path:
    """Return a configuration: the file of that path, or the one of the package of that name.

    The name may have its suffix, and the folder conf/ in front.
    """
    path = Path(name)
    own = CONFS / f"{path.name.removesuffix('.toml')}.toml"
    is_name = path.parent in (Path(), Path("conf")) and own.is_file()
    return own if is_name and not path.is_file() else path


def conf_names() -> list[str]:
    """Return the names of the configurations that come with the package."""
    return sorted(path.stem for path in CONFS.glob("*.toml"))
