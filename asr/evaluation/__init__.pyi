from .recognition import (
    normalised_references as normalised_references,
    recognise as recognise,
    save_texts as save_texts,
)
from .tuning import TuningData as TuningData, calibrate as calibrate, tune as tune
from .validation import decoded_errors as decoded_errors, validate as validate
