"""What more data of one group does to the score of every group, estimated from nested refits.

Own responses are learning curves, fitted by variable projection and anchored at the current
score. With one model for all groups, more data of group g also moves the score of group h: that
cross response is ``-B n_g^-a`` with ``a`` in {1/4, 1/2, 1}, by weighted least squares.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairgroup.sampling._curves import CURVES, LearningCurve
from fairgroup.sampling._fit_curves import CurveFit, fit_shapes
from fairgroup.sampling._stack import CurveStack

Floats = NDArray[np.float64]

__all__ = ["Observations", "Responses", "estimate_responses", "known_responses"]

_EXPONENTS = (0.25, 0.5, 1.0)


class Observations(NamedTuple):
    """Scores of nested refits.

    Parameters
    ----------
    sizes : list of ndarray of shape (K_g,)
        Sizes at which group g was tried.
    scores : list of ndarray of shape (R, K_g, G)
        Score of every group with that many rows of g, in R random orders.
    """

    sizes: list[Floats]
    scores: list[Floats]


class Responses:
    """Expected change of all scores when the numbers of samples change.

    Parameters
    ----------
    n : ndarray of shape (G,)
        Numbers of samples held.
    curves : list
        Own learning curve of each group.
    cross : ndarray of shape (G, G)
        B of group h (row) with respect to data of group g (column); zero diagonal.
    exponents : ndarray of shape (G, G)
        a of the same.
    error : ndarray of shape (G,)
        Standard error of each own slope, relative to the slope.
    trusted : ndarray of bool of shape (G,)
        False where the data showed no rising curve and the other groups' was borrowed.
    """

    def __init__(
        self,
        n: Floats,
        curves: list[Any],
        cross: Floats,
        exponents: Floats,
        error: Floats,
        trusted: NDArray[np.bool_],
    ) -> None:
        self.n, self.curves, self.stack = n, curves, CurveStack(curves)
        self.cross, self.exponents, self.error, self.trusted = cross, exponents, error, trusted
        self.linked = bool(np.any(cross != 0))

    def step(self, x: Floats, q: Floats) -> Floats:
        """Change of the scores (rows) when group g (columns) goes from x_g to x_g + q_g."""
        x = np.maximum(x, 1.0)
        own = self.stack.predict(x + q) - self.stack.predict(x)
        change = np.diag(own)
        if self.linked:
            change = change + self.cross * (x**-self.exponents - (x + q) ** -self.exponents)
        return change

    def slopes(self) -> Floats:
        """Derivative of the score of h (rows) by the samples of g (columns), at n."""
        n, a = self.n, self.exponents
        return np.diag(self.stack.derivative(n)) + a * self.cross * n ** (-a - 1)

    def anchored(self, scores: Floats) -> list[Any]:
        """Own curves moved so that they go through the current scores."""
        return [
            _move(curve, float(x), float(s))
            for curve, x, s in zip(self.curves, self.n, scores, strict=True)
        ]


def _move(curve: Any, n: float, score: float) -> Any:
    shift = score - float(curve.predict(n))
    if isinstance(curve, LearningCurve) and curve.family != "hyperbolic":
        s_inf, b, a = curve._values()
        return CURVES[curve.family](s_inf + shift, b, a)
    return Shifted(curve, shift)


class Shifted:
    """A curve moved up or down."""

    def __init__(self, curve: Any, shift: float) -> None:
        self.curve, self.shift = curve, shift

    def predict(self, n: Any) -> Floats:
        """Score at n."""
        return self.curve.predict(n) + self.shift

    def derivative(self, n: Any) -> Floats:
        """Slope at n."""
        return self.curve.derivative(n)


def known_responses(n: Floats, curves: list[Any]) -> Responses:
    """Responses of groups with known curves and no transfer."""
    zero = np.zeros((len(n), len(n)))
    return Responses(
        n, curves, zero, np.ones_like(zero), np.zeros(len(n)), np.ones(len(n), dtype=bool)
    )


def estimate_responses(
    n: Floats,
    seen: Observations,
    *,
    family: str,
    score_max: float,
    transfer: str,
    optimism: float,
) -> Responses:
    """Fit own curves, and cross responses unless ``transfer="none"``.

    A group whose score does not rise with its data (b = 0, for instance below the interpolation
    threshold) is not believed: it borrows the median curve of the others, so that it is not
    starved.
    """
    n_groups = len(n)
    fit, error = _own_curves(n, seen, family, score_max)
    trusted = (fit.b > 0) & np.isfinite(fit.b)
    b, shape, s_inf = (
        _borrow(v, trusted, d) for v, d in ((fit.b, 1.0), (fit.shape, 0.5), (fit.s_inf, 1.0))
    )
    error = np.where(trusted & np.isfinite(error), error, 1.0)
    if family == "hyperbolic":
        s_inf = s_inf * (1 + optimism * error)
    else:
        b = b * (1 + optimism * error)
    make = CURVES[family]
    curves = [make(*make._from_fit(s_inf[g], b[g], shape[g])) for g in range(n_groups)]
    cross, exponents = np.zeros((n_groups, n_groups)), np.ones((n_groups, n_groups))
    if transfer != "none":
        for g in range(n_groups):
            cross[:, g], exponents[:, g] = _cross(seen, g, transfer)
    return Responses(n, curves, cross, exponents, error, trusted)


def _borrow(values: Floats, trusted: NDArray[np.bool_], default: float) -> Floats:
    return np.where(trusted, values, np.median(values[trusted]) if trusted.any() else default)


def _own_curves(
    n: Floats, seen: Observations, family: str, score_max: float
) -> tuple[CurveFit, Floats]:
    """Fit the mean of the orders, and every order alone for the error of the slope at n."""
    n_groups, most = len(n), max(len(s) for s in seen.sizes)
    orders = max(s.shape[0] for s in seen.scores)
    sizes, weights = np.ones((n_groups, most)), np.zeros((n_groups, most))
    own = np.zeros((orders + 1, n_groups, most))
    for g, (at, scores) in enumerate(zip(seen.sizes, seen.scores, strict=True)):
        k, of_group = len(at), scores[:, :, g]
        known = np.isfinite(of_group).all(axis=0)
        sizes[g, :k], weights[g, :k] = at, np.where(known, at, 0.0)
        values = np.where(known, of_group, 0.0)
        own[0, g, :k] = values.mean(axis=0)
        own[1:, g, :k] = values[np.arange(orders) % len(values)]
    sizes[weights == 0] = np.broadcast_to(n[:, None], sizes.shape)[weights == 0]
    enough = (weights > 0).sum(axis=1) >= 2
    weights[~enough] = 1.0
    fit = fit_shapes(family, sizes, own[0], weights, score_max=score_max)
    fit = fit._replace(b=np.where(enough, fit.b, 0.0))
    repeat = (
        np.tile(sizes, (orders, 1)),
        own[1:].reshape(-1, most),
        np.tile(weights, (orders, 1)),
    )
    each = fit_shapes(family, *repeat, score_max=score_max)
    slopes = _slopes(family, each, np.tile(n, orders)).reshape(orders, n_groups)
    slope = _slopes(family, fit, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = (
            slopes.std(axis=0, ddof=1) / np.sqrt(orders) / slope if orders > 1 else slope * np.nan
        )
    return fit, np.where(orders > 1, np.minimum(error, 1.0), np.nan)


def _slopes(family: str, fit: CurveFit, n: Floats) -> Floats:
    kind = CURVES[family]
    return np.array(
        [
            float(kind._slope_at(np.float64(x), *kind._from_fit(s, b, t)))
            for x, s, b, t in zip(n, fit.s_inf, fit.b, fit.shape, strict=True)
        ]
    )


def _cross(seen: Observations, g: int, transfer: str) -> tuple[Floats, Floats]:
    """Responses of every other group to data of g."""
    at, scores = seen.sizes[g], seen.scores[g].mean(axis=0)
    n_groups = scores.shape[1]
    b, a = np.zeros(n_groups), np.ones(n_groups)
    if not len(at):
        return b, a
    best = np.full(n_groups, np.inf)
    w = at / at.sum()
    for exponent in _EXPONENTS:
        z = at**-exponent
        dz = z - w @ z
        spread = w @ dz**2
        if not spread > 0:
            continue
        centred = scores - w @ scores
        slope = -(w * dz) @ scores / spread
        if transfer == "nonnegative":
            slope = np.maximum(slope, 0.0)
        sse = w @ (centred + np.outer(dz, slope)) ** 2
        better = sse < best
        b, a, best = (
            np.where(better, slope, b),
            np.where(better, exponent, a),
            np.minimum(best, sse),
        )
    b[g] = 0.0
    return np.where(np.isfinite(b), b, 0.0), a
