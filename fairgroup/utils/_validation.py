"""Checks of arrays that several rooms share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

__all__ = ["as_generator", "check_weights"]


def check_weights(
    sample_weight: ArrayLike | None, n_samples: int, *, name: str = "sample_weight"
) -> NDArray[np.float64]:
    """Return row weights as float64, ones for None.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
        Non-negative, finite, at least one of them positive.
    n_samples : int
        Number of rows they must fit.
    name : str, default="sample_weight"
        The argument's name in messages.

    Returns
    -------
    weights : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        For a wrong shape, a negative or non-finite weight, or weights that are all zero.
    """
    if sample_weight is None:
        return np.ones(n_samples)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_samples,):
        raise ValueError(f"{name} has shape {weights.shape}; expected ({n_samples},).")
    bad = ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{name} must be finite and not negative; row {row} is {weights[row]}. "
            "Give zero to leave a row out."
        )
    if n_samples and not weights.any():
        raise ValueError(f"{name} is zero for every row; at least one row must count.")
    return weights


def as_generator(random_state: Any) -> np.random.Generator:
    """Turn scikit-learn's ``random_state`` into a NumPy Generator, which draws multinomials in
    batches.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, int | np.integer):
        return np.random.default_rng(int(random_state))
    return np.random.default_rng(check_random_state(random_state).randint(2**31, size=4))
