"""Losses of the regularised models and of boosting, as functions of the raw score.

Each is a negative log-likelihood up to what depends on the target only (`saturated`), so that
their difference is half the deviance. `nll`, `inverse` and `centred` take NumPy arrays and torch
tensors alike; slopes are NumPy's and serve the linear models and boosting.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax, xlogy

__all__ = [
    "LOSSES",
    "AbsoluteLoss",
    "LogLoss",
    "Loss",
    "MultinomialLoss",
    "PowerLoss",
    "make_loss",
]

Floats = NDArray[np.float64]

LOSSES = ("log", "squared", "absolute", "poisson", "gamma", "tweedie")
# Beyond this a score is a sign of divergence; the exponential of its square would overflow.
_HIGHEST = 300.0


def _namespace(raw: Any) -> Any:
    return np if isinstance(raw, np.ndarray) else sys.modules["torch"]


class Loss(ABC):
    """A loss of one score per row; subclasses say what a score means.

    Attributes
    ----------
    log_link : bool
        Whether predictions are exponentials of scores, so that exposure may multiply them.
    stages : int
        How often a linear fit is repeated with a sharper loss.
    """

    log_link = False
    stages = 1

    @abstractmethod
    def nll(self, y: Any, raw: Any) -> Any:
        """Return the loss of each row."""

    @abstractmethod
    def slope(self, y: Floats, raw: Floats) -> Floats:
        """Return the derivative of `nll` with respect to the score."""

    @abstractmethod
    def curvature(self, y: Floats, raw: Floats) -> Floats:
        """Return the second derivative; for several scores per row, the diagonal."""

    @abstractmethod
    def start(self, y: Floats, weights: Floats, offset: Any) -> Any:
        """Return the score of the best constant."""

    def saturated(self, y: Floats) -> Floats:
        """Return the loss of predicting the target itself."""
        return np.zeros(len(y))

    def check(self, y: Floats) -> None:  # noqa: B027 (most losses allow any number)
        """Raise for a target that the loss does not allow."""

    def scale(self, y: Floats, weights: Floats) -> float:
        """Return how much scores vary: that of the target where they have its units."""
        mean = float(np.average(y, weights=weights))
        spread = float(np.sqrt(np.average((y - mean) ** 2, weights=weights)))
        return spread if spread > 0 else 1.0

    def inverse(self, raw: Any) -> Any:
        """Return predictions from scores."""
        return raw

    def pull_back(self, response: Floats, gradient: Floats) -> Floats:
        """Turn a gradient with respect to predictions into one with respect to scores."""
        return gradient

    def centred(self, raw: Any) -> Any:
        """Return scores without what they do not determine."""
        return raw

    def sharper(self, factor: float) -> Loss:
        """Return the loss with its smoothing narrower by a factor; itself if it has none."""
        return self


class SquaredLoss(Loss):
    """(y - prediction)^2 / 2."""

    def nll(self, y: Any, raw: Any) -> Any:
        """Return half the squared error."""
        return 0.5 * (raw - y) ** 2

    def slope(self, y: Floats, raw: Floats) -> Floats:
        """Return the residual."""
        return raw - y

    def curvature(self, y: Floats, raw: Floats) -> Floats:
        """Return ones."""
        return np.ones_like(raw)

    def start(self, y: Floats, weights: Floats, offset: Any) -> float:
        """Return the mean."""
        return float(np.average(y, weights=weights))


@dataclass(frozen=True)
class AbsoluteLoss(Loss):
    """|y - prediction|, smoothed to sqrt((y - prediction)^2 + width^2)."""

    width: float
    stages = 4

    def nll(self, y: Any, raw: Any) -> Any:
        """Return the smoothed absolute error."""
        return _namespace(raw).sqrt((raw - y) ** 2 + self.width**2)

    def slope(self, y: Floats, raw: Floats) -> Floats:
        """Return the smoothed sign of the residual."""
        return (raw - y) / self.nll(y, raw)

    def curvature(self, y: Floats, raw: Floats) -> Floats:
        """Return the derivative of `slope`."""
        return self.width**2 / self.nll(y, raw) ** 3

    def start(self, y: Floats, weights: Floats, offset: Any) -> float:
        """Return the weighted median."""
        order = np.argsort(y)
        mass = np.cumsum(weights[order])
        return float(y[order][np.searchsorted(mass, mass[-1] / 2)])

    def saturated(self, y: Floats) -> Floats:
        """Return the smoothing's width."""
        return np.full(len(y), self.width)

    def sharper(self, factor: float) -> AbsoluteLoss:
        """Return the loss with its width divided."""
        return replace(self, width=self.width / factor)


@dataclass(frozen=True)
class PowerLoss(Loss):
    """Poisson (power 1), Tweedie (1 < power < 2) and Gamma (power 2) with the log link."""

    power: float
    log_link = True

    def nll(self, y: Any, raw: Any) -> Any:
        """Return m^(2 - p) / (2 - p) - y m^(1 - p) / (1 - p) with m the prediction."""
        xp, p = _namespace(raw), self.power
        if p == 1:
            return self.inverse(raw) - y * raw
        if p == 2:
            return y * self.inverse(-raw) + raw
        return xp.exp((2 - p) * raw) / (2 - p) - y * xp.exp((1 - p) * raw) / (1 - p)

    def slope(self, y: Floats, raw: Floats) -> Floats:
        """Return m^(2 - p) - y m^(1 - p)."""
        return np.exp((2 - self.power) * raw) - y * np.exp((1 - self.power) * raw)

    def curvature(self, y: Floats, raw: Floats) -> Floats:
        """Return (2 - p) m^(2 - p) - (1 - p) y m^(1 - p)."""
        p = self.power
        return (2 - p) * np.exp((2 - p) * raw) - (1 - p) * y * np.exp((1 - p) * raw)

    def start(self, y: Floats, weights: Floats, offset: Any) -> float:
        """Return the logarithm of the overall rate."""
        rate = float(weights @ y) / float(weights @ np.exp(offset + np.zeros(len(y))))
        if not rate > 0:
            raise ValueError(
                "y is zero in every row; a loss with a log link needs a positive value (in the "
                "first rows of a partial fit, too)."
            )
        return float(np.log(rate))

    def saturated(self, y: Floats) -> Floats:
        """Return `nll` where the prediction is the target."""
        p = self.power
        if p == 1:
            return y - xlogy(y, y)
        if p == 2:
            return 1 + np.log(y)
        return y ** (2 - p) / (2 - p) - y ** (2 - p) / (1 - p)

    def check(self, y: Floats) -> None:
        """Raise for targets below zero, and for zeros with Gamma."""
        bad = y <= 0 if self.power == 2 else y < 0
        if bad.any():
            row, needed = int(bad.argmax()), "positive" if self.power == 2 else "at least 0"
            name = "poisson" if self.power == 1 else "gamma" if self.power == 2 else "tweedie"
            raise ValueError(f'y must be {needed} for loss="{name}"; row {row} is {y[row]:g}.')

    def scale(self, y: Floats, weights: Floats) -> float:
        """Return 1: scores are logarithms."""
        return 1.0

    def inverse(self, raw: Any) -> Any:
        """Return the exponential."""
        return _namespace(raw).exp(raw.clip(max=_HIGHEST))

    def pull_back(self, response: Floats, gradient: Floats) -> Floats:
        """Multiply by the prediction."""
        return response * gradient


class LogLoss(Loss):
    """Binary cross-entropy of labels 0 and 1; scores are log-odds."""

    def check(self, y: Floats) -> None:
        """Raise for other labels."""
        _check_labels(y, 2)

    def nll(self, y: Any, raw: Any) -> Any:
        """Return log(1 + exp(raw)) - y raw."""
        xp = _namespace(raw)
        return xp.logaddexp(xp.zeros_like(raw), raw) - y * raw

    def slope(self, y: Floats, raw: Floats) -> Floats:
        """Return the probability minus the label."""
        return expit(raw) - y

    def curvature(self, y: Floats, raw: Floats) -> Floats:
        """Return p (1 - p)."""
        response = expit(raw)
        return response * (1 - response)

    def start(self, y: Floats, weights: Floats, offset: Any) -> float:
        """Return the log-odds of the overall share, 0 where a class is missing."""
        share = float(np.average(y, weights=weights))
        # In the first rows of a partial fit a class may be missing.
        return float(np.log(share) - np.log1p(-share)) if 0 < share < 1 else 0.0

    def scale(self, y: Floats, weights: Floats) -> float:
        """Return 1: scores are log-odds."""
        return 1.0

    def inverse(self, raw: Any) -> Any:
        """Return probabilities of label 1."""
        return expit(raw) if isinstance(raw, np.ndarray) else raw.sigmoid()

    def pull_back(self, response: Floats, gradient: Floats) -> Floats:
        """Multiply by p (1 - p)."""
        return response * (1 - response) * gradient


@dataclass(frozen=True)
class MultinomialLoss(Loss):
    """Cross-entropy of labels 0 .. n_classes - 1; a score per class, determined up to a shift."""

    n_classes: int

    def check(self, y: Floats) -> None:
        """Raise for other labels."""
        _check_labels(y, self.n_classes)

    def nll(self, y: Any, raw: Any) -> Any:
        """Return minus the logarithm of the softmax at the label."""
        xp = _namespace(raw)
        if xp is np:
            top = raw.max(axis=1, keepdims=True)
            total = np.log(np.exp(raw - top).sum(axis=1)) + top[:, 0]
            return total - raw[np.arange(len(raw)), y.astype(np.intp)]
        return xp.nn.functional.cross_entropy(raw, y.long(), reduction="none")

    def slope(self, y: Floats, raw: Floats) -> Floats:
        """Return probabilities minus indicators, shape (n_samples, n_classes)."""
        slope = softmax(raw, axis=1)
        slope[np.arange(len(raw)), y.astype(np.intp)] -= 1
        return slope

    def curvature(self, y: Floats, raw: Floats) -> Floats:
        """Return p (1 - p) for each class."""
        response = softmax(raw, axis=1)
        return response * (1 - response)

    def start(self, y: Floats, weights: Floats, offset: Any) -> Floats:
        """Return centred logarithms of the classes' shares, zeros where a class is missing."""
        shares = np.bincount(y.astype(np.intp), weights=weights, minlength=self.n_classes)
        if not shares.all():  # in the first rows of a partial fit
            return np.zeros(self.n_classes)
        logs = np.log(shares / shares.sum())
        return logs - logs.mean()

    def scale(self, y: Floats, weights: Floats) -> float:
        """Return 1: scores are logarithms."""
        return 1.0

    def inverse(self, raw: Any) -> Any:
        """Return probabilities, one column per class."""
        return softmax(raw, axis=1) if isinstance(raw, np.ndarray) else raw.softmax(1)

    def pull_back(self, response: Floats, gradient: Floats) -> Floats:
        """Multiply by the Jacobian of the softmax."""
        return response * (gradient - (response * gradient).sum(axis=1, keepdims=True))

    def centred(self, raw: Any) -> Any:
        """Subtract each row's mean."""
        return raw - raw.mean(1)[:, None]


def _check_labels(y: Floats, n_classes: int) -> None:
    bad = ~np.isin(y, np.arange(n_classes))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f'y must be labels 0 to {n_classes - 1} for loss="log"; row {row} is {y[row]:g}.'
        )


def make_loss(name: str, y: Floats, *, power: float = 1.5, n_classes: int | None = None) -> Loss:
    """Return a loss by name, and check that the target fits it.

    Parameters
    ----------
    name : {"log", "squared", "absolute", "poisson", "gamma", "tweedie"}
        Name.
    y : ndarray of shape (n_samples,)
        Target; labels 0 .. n_classes - 1 for "log".
    power : float, default=1.5
        Tweedie's.
    n_classes : int or None, default=None
        Number of classes for "log"; None counts them.

    Returns
    -------
    loss : Loss

    Raises
    ------
    ValueError
        For an unknown name, a power outside (1, 2), or a target that the loss does not allow.
    """
    loss: Loss
    if name == "log":
        n_classes = int(y.max(initial=0)) + 1 if n_classes is None else n_classes
        loss = LogLoss() if n_classes <= 2 else MultinomialLoss(n_classes)
    elif name == "squared":
        loss = SquaredLoss()
    elif name == "absolute":
        deviation = float(np.median(np.abs(y - np.median(y)))) or float(np.std(y)) or 1.0
        loss = AbsoluteLoss(deviation)
    elif name in ("poisson", "gamma"):
        loss = PowerLoss(1 if name == "poisson" else 2)
    elif name == "tweedie":
        if not 1 < power < 2:
            raise ValueError(f'power must be in (1, 2) for loss="tweedie"; got {power!r}.')
        loss = PowerLoss(power)
    else:
        raise ValueError(f"loss must be one of {list(LOSSES)}; got {name!r}.")
    loss.check(y)
    return loss
