from .live import run_live as run_live
from .session import (
    EndOfSpeech as EndOfSpeech,
    LiveEvent as LiveEvent,
    LiveSession as LiveSession,
    LiveWords as LiveWords,
)
