"""Find the speaker of each utterance: named by its file, or read from its id as sclite does.

Ids are read by the first rule that all of them follow:

    WSJ     4t0c0201            eight characters, a digit first and a letter fourth: the first three
    others  1089-134686-0000    what stands before the first hyphen,
            cmh_sa01            or, without a hyphen, before the first underscore

Ids that are paths name no speaker, nor do ids that do not all follow one rule. A name that the rule
finds may be that of a session or a corpus: an interval over such speakers is too wide, not too
narrow.
"""

import re
from collections.abc import Mapping, Sequence

_RULES = (
    re.compile(r"(\d\w\w)[a-z]\w{4}", re.ASCII | re.IGNORECASE),
    re.compile(r"([^-/\\\s]+)-\S*|([^-_/\\\s]+)_[^-\s]*"),
)


def speakers_of(ids: Sequence[str], told: Mapping[str, str | None]) -> list[str | None]:
    """Return the speaker of each utterance; None where no speaker is known.

    Args:
        ids: the utterances.
        told: speakers by id, as far as the file of references names them; if it names any, ids
            are not looked at.
    """
    if any(told.values()):
        return [told.get(name) for name in ids]
    for rule in _RULES:
        found = [rule.fullmatch(name) for name in ids]
        if found and all(found):
            return [match[match.lastindex or 0].lower() for match in found if match]
    return [None] * len(ids)
