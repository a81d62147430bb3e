"""Import torchaudio, also beside a torch that its compiled extension does not load for.

torchaudio's wheel carries one extension, linked against CUDA. Beside a CPU-only torch it cannot be
loaded, and `import torchaudio` fails with OSError, although transforms, functional and compliance
are pure Python. Here that one failure is tolerated; every other one is passed on. The package asr
does not use torchaudio: its tests compare frames with it, and two entrants of these contests
import it.

Use: `from cpu_torchaudio import torchaudio`.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from asr._install import install
from asr.errors import MissingDependencyError

_EXTENSION = "torchaudio._extension"


def _import_torchaudio() -> ModuleType:
    try:
        return importlib.import_module("torchaudio")
    except ImportError as error:
        raise MissingDependencyError(
            f"torchaudio cannot be imported ({error}); install it: {install('test')}"
        ) from error
    except OSError:  # the extension is there and does not load
        _forget_half_imported()
        sys.modules[_EXTENSION] = _stand_in()
        return importlib.import_module("torchaudio")


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]


def _stand_in() -> ModuleType:
    """Return torchaudio._extension as it is in a build without compiled code."""
    module = ModuleType(_EXTENSION)
    module.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=_fail_when_called,
    )
    return module


def _fail_when_called(function: Callable[..., Any]) -> Callable[..., NoReturn]:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise MissingDependencyError(
            f"torchaudio.functional.{function.__name__} needs torchaudio's compiled extension, "
            "which does not load beside this torch; install the CUDA build of torch"
        )

    return refuse


torchaudio = _import_torchaudio()
EXTENSION_LOADED: bool = torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE
