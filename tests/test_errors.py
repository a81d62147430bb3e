"""Errors are one line that a terminal can show, whatever a file holds."""

import pickle

from asr.errors import CheckpointError


def test_a_message_is_as_it_was_written():
    error = CheckpointError("lm.bin: damaged; copy it again")
    assert str(error) == "lm.bin: damaged; copy it again"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_message_that_quotes_megabytes_keeps_its_file_and_remedy():
    error = CheckpointError(f"bundle.json: format is {'a' * 10**7!r}; copy the bundle again")
    assert len(str(error)) < 20_010
    assert str(error).startswith("bundle.json: format is 'aaa")
    assert str(error).endswith("aaa'; copy the bundle again")
