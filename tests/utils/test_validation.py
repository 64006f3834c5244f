"""Row weights and random states."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fairgroup.utils._validation import as_generator, check_weights


def test_no_weights_are_ones():
    assert_array_equal(check_weights(None, 3), np.ones(3))


def test_weights_become_float64():
    weights = check_weights([1, 2, 0], 3)
    assert weights.dtype == np.float64
    assert_array_equal(weights, [1.0, 2.0, 0.0])


def test_no_rows_need_no_weights():
    assert check_weights([], 0).shape == (0,)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], r"shape \(2,\); expected \(3,\)"),
        ([[1.0, 2.0, 3.0]], r"shape \(1, 3\)"),
        ([1.0, -0.5, 2.0], "row 1 is -0.5"),
        ([1.0, 2.0, np.nan], "row 2 is nan"),
        ([np.inf, 2.0, 1.0], "row 0 is inf"),
        ([0.0, 0.0, 0.0], "zero for every row"),
    ],
)
def test_wrong_weights_are_named(weights, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_weights(weights, 3, name="exposure")
    assert str(caught.value).startswith("exposure")


def test_same_seed_same_draws():
    first, second = (as_generator(7).random(5) for _ in range(2))
    assert_array_equal(first, second)
    assert_array_equal(first, as_generator(np.int64(7)).random(5))


def test_different_seeds_different_draws():
    assert not np.array_equal(as_generator(7).random(5), as_generator(8).random(5))


def test_a_generator_is_used_as_it_is():
    generator = np.random.default_rng(0)
    assert as_generator(generator) is generator


def test_a_random_state_is_consumed_and_repeatable():
    state = np.random.RandomState(3)
    first, second = as_generator(state).random(4), as_generator(state).random(4)
    assert not np.array_equal(first, second)
    assert_array_equal(first, as_generator(np.random.RandomState(3)).random(4))


def test_none_differs_from_call_to_call():
    assert not np.array_equal(as_generator(None).random(4), as_generator(None).random(4))
