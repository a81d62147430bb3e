from .errors import AsrError as AsrError
from .formats import Segment as Segment, Transcript as Transcript, Word as Word
from .options import Decoding as Decoding, DecodingOptions as DecodingOptions
from .recognize import Recognizer as Recognizer, load_model as load_model

__version__: str
