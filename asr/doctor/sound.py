"""Find silence, clipping, DC offsets and narrow bands by decoding a sample of the utterances."""

from collections.abc import Callable, Sequence

from asr.audio import AudioStream
from asr.doctor.dataset import Dataset
from asr.doctor.finding import Finding
from asr.doctor.recordings import Headers, in_threads
from asr.errors import AudioError
from asr.media import SoundQuality

SAMPLE = 128  # utterances that are decoded, unless all are wanted
CLIPPED_SHARE = 1e-3  # of samples; less does training no harm
DC_SHARE = 0.02  # of full scale

Heard = dict[int, SoundQuality]  # the measured quality of decoded utterances, by place


def listen(
    dataset: Dataset, places: Sequence[int], headers: Headers, *, everything: bool
) -> tuple[Heard, list[Finding]]:
    """Decode utterances: all of them, or a sample that is spread evenly over the set; not frames.

    Returns:
        The quality of each decoded utterance by place, and the findings on the utterances that
        cannot be decoded.
    """
    places = [place for place in places if headers[dataset.utterances[place].audio].rate_hz]
    step = 1 if everything else max(1, len(places) / SAMPLE)
    chosen = [places[int(i * step)] for i in range(int(len(places) / step))]

    def measure(place: int) -> SoundQuality | str:
        utterance = dataset.utterances[place]
        stream = AudioStream(
            utterance.audio,
            sample_rate_hz=headers[utterance.audio].rate_hz,  # its own: nothing is resampled
            start=utterance.start,
            duration=utterance.duration,
        )
        try:
            for _ in stream:
                pass
        except AudioError as error:
            return str(error)
        return stream.quality

    results = dict(zip(chosen, in_threads(measure, chosen, "listening"), strict=True))
    damaged = {place: result for place, result in results.items() if isinstance(result, str)}
    heard = {place: result for place, result in results.items() if isinstance(result, SoundQuality)}
    return heard, dataset.finding("damaged-audio", damaged, total=len(chosen))


def check_sound(dataset: Dataset, heard: Heard, train: Heard, model_rate_hz: int) -> list[Finding]:
    """Find silence, clipping, DC offsets, and bands that differ within the set or from `train`."""
    silent = _matching(heard, lambda found: found.is_silent)
    speaking = {place: found for place, found in heard.items() if place not in silent}
    clipped = _matching(speaking, lambda found: found.clipped_fraction > CLIPPED_SHARE)
    offset = _matching(speaking, lambda found: abs(found.dc_offset) > DC_SHARE)
    narrow = _matching(speaking, lambda found: found.is_narrow(model_rate_hz))
    band = _band_kind(narrow, speaking, train, model_rate_hz)
    shown: dict[str, tuple[Heard, Callable[[SoundQuality], str]]] = {
        "silent-audio": (silent, lambda found: f"peak {found.peak_db:.0f} dBFS"),
        "clipping": (
            clipped, lambda found: f"{found.clipped_fraction:.2%} of samples at full scale"
        ),
        "dc-offset": (offset, lambda found: f"{found.dc_offset:+.3f} of full scale"),
        band: (narrow, lambda found: f"nothing above {found.bandwidth_hz / 1000:.1f} kHz"),
    }  # fmt: skip
    findings = []
    for kind, (which, show) in shown.items():
        details = {p: f"{dataset.utterances[p].audio}: {show(f)}" for p, f in which.items()}
        why = f"of {len(dataset.utterances)}, {len(heard)} were listened to"
        findings += dataset.finding(kind, details, why, len(heard))
    return findings


def _band_kind(narrow: Heard, speaking: Heard, train: Heard, model_rate_hz: int) -> str:
    """Return the kind of finding that narrow-band utterances are."""
    if len(narrow) < len(speaking):
        return "band-limited"
    train_narrow = _matching(train, lambda found: found.is_narrow(model_rate_hz))
    return "band-differs" if 2 * len(train_narrow) < len(train) else "narrow-band"


def _matching(heard: Heard, holds: Callable[[SoundQuality], bool]) -> Heard:
    return {place: found for place, found in heard.items() if holds(found)}
