"""How errors are averaged over weights that lie side by side."""

import numpy as np
import pytest

from asr.evaluation.tuning import with_neighbours


def test_tuning_prefers_weights_whose_neighbours_are_good_too():
    """A single point with few errors, in a small set, is luck."""
    errors = np.full((9, 9), 10.0)
    errors[1, 1] = 0.0  # alone
    errors[5:8, 5:8] = 4.0
    smooth = with_neighbours(errors)
    assert np.unravel_index(smooth.argmin(), smooth.shape) == (6, 6)
    assert with_neighbours(np.full((3, 1, 2), 7.0)) == pytest.approx(7.0)
