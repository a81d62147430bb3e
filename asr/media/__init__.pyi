from .container import (
    AUDIO_SUFFIXES as AUDIO_SUFFIXES,
    Source as Source,
    looks_like_sound as looks_like_sound,
    open_sound as open_sound,
    rereadable as rereadable,
    source_name as source_name,
)
from .foreign import (
    MEDIA_SUFFIXES as MEDIA_SUFFIXES,
    has_reader as has_reader,
)
from .mixing import Mixer as Mixer
from .quality import Meter as Meter, SoundQuality as SoundQuality
from .sound import UNKNOWN_FRAMES as UNKNOWN_FRAMES, Sound as Sound
