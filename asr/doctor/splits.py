"""Find what a held-out set shares with the training set, which makes its error rates too low."""

from asr.doctor.dataset import Dataset
from asr.doctor.finding import Finding
from asr.doctor.recordings import Headers, by_content, overlaps

REPEATING = 0.8  # share of different texts below which a set may repeat its prompts by nature
FIXED_WORDS = 100  # different ones, at most, of such a set; sentences that several read have more


def check_split(train: Dataset, held_out: Dataset, headers: Headers) -> list[Finding]:
    """Find shared audio; in utterances without it, find shared speakers and transcripts."""
    shared = _shared_audio(train, held_out, headers)
    speakers = {utterance.speaker for utterance in train.utterances} - {None}
    texts = dict(zip(reversed(train.texts), reversed(train.utterances), strict=True))
    heard, seen = {}, {}
    for place, utterance in enumerate(held_out.utterances):
        text = held_out.texts[place]
        if place in shared:
            continue
        if utterance.speaker in speakers:
            heard[place] = f"speaker {utterance.speaker}"
        if text and text in texts:
            seen[place] = f"{text[:60]!r}, as {texts[text].id}"
    alone = len(speakers | {utterance.speaker for utterance in held_out.utterances}) == 1
    words = {word for text in texts for word in text.split()}
    repeating = len(texts) < REPEATING * len(train.texts) and len(words) <= FIXED_WORDS
    return [
        *held_out.finding("shared-audio", shared),
        *held_out.finding("one-speaker" if alone else "shared-speakers", heard),
        *held_out.finding("same-prompts" if repeating else "shared-transcripts", seen),
    ]


def _shared_audio(train: Dataset, held_out: Dataset, headers: Headers) -> dict[int, str]:
    """Return a detail of each held-out utterance whose audio is in the training set, by place."""
    readable = [p for p, u in enumerate(train.utterances) if not headers[u.audio].fault]
    trained = by_content(train, readable, headers)
    details = {}
    for place, utterance in enumerate(held_out.utterances):
        piece = (utterance.start, utterance.duration)
        for other in (
            train.utterances[p] for p in trained.get(headers[utterance.audio].content, [])
        ):
            if overlaps(piece, (other.start, other.duration)):
                details[place] = f"{utterance.audio}: as {other.id}, {other.audio}"
    return details
