"""Which rows of a group to buy first from a pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

__all__ = ["WITHIN", "most_wanted"]


def _probabilities(model: Any, X: Any) -> Floats:
    if not hasattr(model, "predict_proba"):
        raise ValueError(
            f'within_group="margin" and "entropy" need predict_proba, which '
            f'{type(model).__name__} has not; use "random".'
        )
    return np.asarray(model.predict_proba(X), dtype=np.float64)


def margin(model: Any, X: Any, held: Any) -> Floats:
    """Small difference of the two most probable classes first."""
    top = np.sort(_probabilities(model, X), axis=1)
    return top[:, -2] - top[:, -1] if top.shape[1] > 1 else np.zeros(len(top))


def entropy(model: Any, X: Any, held: Any) -> Floats:
    """Uncertain predictions first."""
    p = _probabilities(model, X)
    return -np.sum(p * np.log(np.maximum(p, 1e-300)), axis=1)


def leverage(model: Any, X: Any, held: Any) -> Floats:
    """Large x' A^-1 x first, with A = X'X + I of the rows that are held."""
    rows, candidates = np.asarray(held, dtype=np.float64), np.asarray(X, dtype=np.float64)
    system = rows.T @ rows + np.eye(rows.shape[1])
    return np.einsum("ij,ji->i", candidates, np.linalg.solve(system, candidates.T))


WITHIN: dict[str, Callable[[Any, Any, Any], Floats] | None] = {
    "random": None,
    "margin": margin,
    "entropy": entropy,
    "leverage": leverage,
}


def most_wanted(
    rule: str | Callable[..., Any], model: Any, X: Any, held: Any, count: int
) -> NDArray[np.int64]:
    """Return the positions of the ``count`` rows of X to buy, in the order of ``rule``."""
    values = (rule if callable(rule) else WITHIN[rule])(model, X, held)  # type: ignore[misc]
    values = np.asarray(values, dtype=np.float64)
    return np.argsort(-values, kind="stable")[:count]
