"""Loss plus penalty as a function of the scores of all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.dependence._losses import Loss
from fairgroup.dependence._prepared_penalty import PreparedPenalty

__all__ = ["PENALISE", "Objective", "Target", "Terms", "exposed", "log_exposure"]

Floats = NDArray[np.float64]

PENALISE = ("response", "rate", "link")


@dataclass(frozen=True)
class Target:
    """What the rows of a model are fitted to.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Numbers, or class labels 0 .. n_classes - 1.
    weights : ndarray of shape (n_samples,)
        Row weights of the loss, with sum one.
    offset : ndarray of shape (n_samples,) or float
        Logarithm of the exposure.
    """

    y: Floats
    weights: Floats
    offset: Any = 0.0


@dataclass(frozen=True)
class Terms:
    """Value of the two parts at some scores, and the gradient of their weighted sum.

    The penalty is NaN where its weight is zero, because then it is not evaluated.
    """

    loss: float
    penalty: float
    gradient: Floats


class Objective:
    """Mean loss plus ``fairness_weight`` times the penalty, both in the units chosen.

    Parameters
    ----------
    loss : Loss
        Base loss.
    target : Target
        What it is fitted to.
    penalty : PreparedPenalty or None
        None: unpenalised.
    penalise : {"response", "rate", "link"}
        What the penalty sees: predictions, predictions without exposure, or scores.
    unit : float
        What the mean loss is divided by.
    """

    def __init__(
        self,
        loss: Loss,
        target: Target,
        penalty: PreparedPenalty | None,
        *,
        penalise: str = "response",
        unit: float = 1.0,
    ) -> None:
        self.loss, self.target, self.penalty = loss, target, penalty
        self.penalise, self.unit = penalise, unit

    def with_loss(self, loss: Loss) -> Objective:
        """Return the objective with another loss of the same target."""
        return Objective(loss, self.target, self.penalty, penalise=self.penalise, unit=self.unit)

    def __call__(self, raw: Floats, fairness_weight: float) -> Terms:
        """Evaluate at scores without exposure, shape (n_samples,) or (n_samples, n_classes)."""
        y, weights = self.target.y, self.target.weights
        full = exposed(raw, self.target.offset)
        value = float(weights @ (self.loss.nll(y, full) - self.loss.saturated(y))) / self.unit
        slope = self.loss.slope(y, full)
        gradient = (slope.T * (weights / self.unit)).T
        if self.penalty is None or fairness_weight == 0:
            return Terms(value, np.nan, gradient)
        penalty, pulled = self.penalty_and_gradient(raw)
        return Terms(value, penalty, gradient + fairness_weight * pulled)

    def penalty_and_gradient(self, raw: Floats) -> tuple[float, Floats]:
        """Return the penalty and its gradient with respect to the scores."""
        assert self.penalty is not None
        if self.penalise == "link":
            value, gradient = self.penalty.value_and_grad(self.loss.centred(raw))
            return value, self.loss.centred(gradient)
        seen = self.seen(raw)
        value, gradient = self.penalty.value_and_grad(seen)
        return value, self.loss.pull_back(seen, gradient)

    def seen(self, raw: Any) -> Any:
        """Return what the penalty sees of scores without exposure."""
        if self.penalise == "link":
            return self.loss.centred(raw)
        if self.penalise == "response":
            raw = exposed(raw, self.target.offset)
        return self.loss.inverse(raw)

    def null_loss(self) -> float:
        """Return half the mean deviance of the best constant, or 1 if it is perfect."""
        y, weights, offset = self.target.y, self.target.weights, self.target.offset
        loss = self.loss.sharper(10.0 ** (self.loss.stages - 1))  # the one that is fitted last
        start = np.asarray(loss.start(y, weights, offset))
        raw = start + np.zeros((len(y), *start.shape))
        value = float(weights @ (loss.nll(y, exposed(raw, offset)) - loss.saturated(y)))
        return value if value > 0 else 1.0


def exposed(raw: Any, offset: Any) -> Any:
    """Add the logarithm of the exposure to scores; several scores per row have no exposure."""
    return raw + offset if raw.ndim == 1 else raw


def log_exposure(exposure: Any, n_samples: int, loss: Loss, name: str) -> Any:
    """Check factors of the predictions and return their logarithms, 0 for None.

    Raises
    ------
    ValueError
        For a loss without a log link, another number of rows, or a factor that is not positive.
    """
    if exposure is None:
        return 0.0
    if not loss.log_link:
        raise ValueError(
            f'exposure needs a log link ("poisson", "gamma", "tweedie"); loss={name!r}.'
        )
    try:
        factors = np.asarray(exposure, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"exposure must be numbers: {error}.") from error
    if factors.shape != (n_samples,):
        raise ValueError(f"exposure has shape {factors.shape}; expected ({n_samples},).")
    bad = ~(np.isfinite(factors) & (factors > 0))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"exposure must be positive and finite; row {row} is {factors[row]}.")
    return np.log(factors)
