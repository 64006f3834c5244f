"""The penalty as a custom objective of gradient boosting."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairgroup.dependence._losses import make_loss
from fairgroup.dependence._objective import PENALISE, Objective, Target, exposed, log_exposure
from fairgroup.dependence._prepared_penalty import PreparedPenalty

__all__ = ["BoostingObjective"]

Floats = NDArray[np.float64]


class BoostingObjective:
    """Gradient and Hessian of the summed loss plus n times the penalty, at raw scores.

    The penalty is piecewise linear in the predictions, so that the Hessian is the base loss's.

    Parameters
    ----------
    penalty : PreparedPenalty
        Bound to the training rows, in their order.
    loss : {"log", "squared", "absolute", "poisson", "gamma", "tweedie"}
        Base loss.
    fairness_weight : float
        Strength, at least 0.
    exposure : array-like of shape (n_samples,) or None
        Factor of the predictions for losses with a log link.
    penalise : {"response", "rate", "link"}
        What the penalty sees.
    power : float
        Tweedie's.

    Raises
    ------
    ValueError
        For a negative strength, an unknown ``loss`` or ``penalise``, a power outside (1, 2), or
        exposures that do not fit.
    """

    def __init__(
        self,
        penalty: PreparedPenalty,
        *,
        loss: str,
        fairness_weight: float,
        exposure: ArrayLike | None,
        penalise: str,
        power: float,
    ) -> None:
        if not fairness_weight >= 0:
            raise ValueError(f"fairness_weight must be at least 0; got {fairness_weight!r}.")
        if penalise not in PENALISE:
            raise ValueError(f"penalise must be one of {list(PENALISE)}; got {penalise!r}.")
        self.penalty, self.loss, self.power = penalty, loss, power
        self.fairness_weight, self.penalise = fairness_weight, penalise
        base = make_loss(loss, np.ones(1), power=power)
        self.offset = log_exposure(exposure, len(penalty), base, loss)

    def __call__(
        self, y_true: ArrayLike, raw_score: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Floats, Floats]:
        """Return gradient and Hessian, each of the shape of ``raw_score``.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Target.
        raw_score : array-like of shape (n_samples,) or (n_samples, n_classes)
            Scores of the booster.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights of the base loss.
        """
        y, raw = np.asarray(y_true, dtype=np.float64), np.asarray(raw_score, dtype=np.float64)
        if len(y) != len(self.penalty):
            raise ValueError(
                f"The penalty is bound to {len(self.penalty)} rows, but the booster is trained on "
                f"{len(y)}."
            )
        n_classes = raw.shape[1] if raw.ndim == 2 else 2
        loss = make_loss(self.loss, y, power=self.power, n_classes=n_classes)
        full = exposed(raw, self.offset)
        gradient, hessian = loss.slope(y, full), loss.curvature(y, full)
        if sample_weight is not None:
            weights = np.asarray(sample_weight, dtype=np.float64)
            gradient, hessian = (gradient.T * weights).T, (hessian.T * weights).T
        if self.fairness_weight:
            target = Target(y, np.ones(len(y)), self.offset)
            objective = Objective(loss, target, self.penalty, penalise=self.penalise)
            pulled = objective.penalty_and_gradient(raw)[1]
            gradient = gradient + self.fairness_weight * len(y) * pulled
        return gradient, np.maximum(hessian, 1e-16)
