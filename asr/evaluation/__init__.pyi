from .recognition import (
    HeardUtterance as HeardUtterance,
    hear as hear,
    level_range_db as level_range_db,
    normalised_references as normalised_references,
    recognise as recognise,
    save_texts as save_texts,
)
from .tuning import TuningData as TuningData, calibrate as calibrate, tune as tune
from .validation import decoded_errors as decoded_errors, validate as validate
