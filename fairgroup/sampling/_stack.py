"""Many curves at once: those of one family are evaluated together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.sampling._curves import LearningCurve, as_curve

Floats = NDArray[np.float64]

__all__ = ["CurveStack"]

_BISECTIONS = 100


class CurveStack:
    """One curve per group, evaluated group by group at different sizes, as arrays of shape (G,).

    Parameters
    ----------
    curves : sequence of curves
        Learning curves, objects with predict and derivative, or tuples of two functions.
    """

    def __init__(self, curves: Sequence[Any]) -> None:
        self.curves = [as_curve(curve, i) for i, curve in enumerate(curves)]
        self.families: list[tuple[type[LearningCurve], NDArray[np.int64], tuple[Floats, ...]]] = []
        kinds: dict[type[LearningCurve], list[int]] = {}
        self.others: list[int] = []
        for i, curve in enumerate(self.curves):
            if isinstance(curve, LearningCurve):
                kinds.setdefault(type(curve), []).append(i)
            else:
                self.others.append(i)
        for kind, where in kinds.items():
            values = np.array([self.curves[i]._values() for i in where], dtype=np.float64)
            self.families.append((kind, np.array(where), tuple(values.T)))

    def __len__(self) -> int:
        return len(self.curves)

    def _each(
        self, name: str, x: NDArray[Any], other: Callable[[Any, float], Any] | None = None
    ) -> Floats:
        out = np.empty(len(self))
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            for kind, where, values in self.families:
                out[where] = getattr(kind, name)(x[where], *values)
            for i in self.others:
                out[i] = np.nan if other is None else other(self.curves[i], x[i])
        return out

    def predict(self, n: NDArray[Any]) -> Floats:
        """Score of each group at its n."""
        return self._each("_score_at", n, lambda curve, x: curve.predict(x))

    def derivative(self, n: Floats) -> Floats:
        """Slope of each group at its n."""
        return self._each("_slope_at", n, lambda curve, x: curve.derivative(x))

    def elasticity(self, n: Floats) -> Floats:
        """Return n s''/s' of each group; NaN where only functions are known."""
        return self._each("_elasticity_at", n)

    def inverse(self, score: float, low: Floats, high: Floats) -> Floats:
        """Smallest n in [low, high] at which each group has the score; inf where none."""
        sizes = self._each("_size_of", np.full(len(self), score))
        for i in self.others:
            sizes[i] = _bisect(self.curves[i], score, low[i], high[i])
        return np.where(sizes <= low, low, np.where(sizes <= high, sizes, np.inf))


def _bisect(curve: Any, score: float, low: float, high: float) -> float:
    if float(curve.predict(high)) < score:
        return np.inf
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if float(curve.predict(middle)) >= score:
            high = middle
        else:
            low = middle
    return high
