from .events import (
    EndOfSpeech as EndOfSpeech,
    LiveEvent as LiveEvent,
    LiveWords as LiveWords,
)
from .live import run_live as run_live
from .pcm import Pcm16 as Pcm16
from .session import LiveSession as LiveSession
