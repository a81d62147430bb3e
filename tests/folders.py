"""The folders that tests read: those of the checkout, and real material that few people have."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
SAMPLES = ROOT / "asr" / "samples"
ENGLISH = ROOT / "asr" / "models" / "english"


def real_material(*parts: str) -> Path:
    """Return the path of real recordings, texts or broken files; skip the test where it is absent.

    The environment variable ASR_TEST_MATERIAL names the folder that holds them. Without it, the
    folder is the one named shared beside the checkout.
    """
    folder = Path(os.environ.get("ASR_TEST_MATERIAL") or ROOT.parent / "shared")
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not there; ASR_TEST_MATERIAL can name another folder")
    return path
