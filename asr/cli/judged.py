"""Judge a network in training by the decoder that will be used, a beam search."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asr.data import Example
    from asr.model import AcousticModel
    from asr.objective import AcousticTask

SAMPLE_S = 300.0  # of speech that is decoded after each epoch: a beam search takes its time


def make_judge(
    task: "AcousticTask", folder: Path
) -> "Callable[[AcousticModel], dict[str, float]] | None":
    """Return a function that gives the word error rate of a network by the search; None if greedy.

    Args:
        task: whose network is judged, on a sample of what it is validated on.
        folder: of the experiment, with the language model.

    Raises:
        DecoderError, LanguageModelError: language model and network do not fit.
    """
    from asr.decode import included_lm

    if not included_lm(folder):
        return None
    from asr.data import Frames, Loader
    from asr.distributed import ProcessGroup
    from asr.evaluation import decoded_errors
    from asr.lexicon import Pronunciations
    from asr.options import DecodingOptions

    decoding = DecodingOptions().resolve(folder)
    phones = decoding.unit == "phones"
    vocabulary = Pronunciations.load(folder).phones if phones else task.vocabulary
    decoder = decoding.make_decoder(vocabulary, task.config.text)
    examples = _sample(task.valid.examples)
    loader = Loader(examples, Frames(task.config), task.config, ProcessGroup())

    def judge(model: "AcousticModel") -> dict[str, float]:
        counts = decoded_errors(model, loader, decoder, phones=phones)
        return {"decoded_wer": counts.errors / max(counts.words, 1)}

    return judge


def _sample(examples: "Sequence[Example]") -> "list[Example]":
    """Return examples of about SAMPLE_S in all, from everywhere in the set."""
    total = sum(example.utterance.duration for example in examples)
    return list(examples)[:: max(1, round(total / SAMPLE_S))]
