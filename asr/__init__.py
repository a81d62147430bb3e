"""Speech recognition that can be read in an afternoon: MFCC, deep bidirectional LSTM, CTC.

import asr
model = asr.load_model()
print(model.transcribe("talk.wav").text)
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asr.recognize import Recognizer

__version__ = "0.1.0"


def load_model(folder: Path | str | None = None) -> "Recognizer":
    """Load a bundle or experiment folder; without one, the English model of the package.

    Raises:
        CheckpointError: the folder holds no model, or a damaged one.
    """
    from asr.recognize import Recognizer  # late: for those who score only

    return Recognizer.load(folder)
