from .container import (
    AUDIO_SUFFIXES as AUDIO_SUFFIXES,
    UNKNOWN_FRAMES as UNKNOWN_FRAMES,
    SoundFile as SoundFile,
    Source as Source,
    open_sound as open_sound,
    source_name as source_name,
)
from .quality import Meter as Meter, SoundQuality as SoundQuality
