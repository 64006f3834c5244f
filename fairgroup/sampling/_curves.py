"""Learning curves: score as a function of the number of training samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError

from fairgroup.sampling._fit_curves import curve_covariance, fit_shapes

Floats = NDArray[np.float64]

__all__ = [
    "CURVES",
    "ExponentialCurve",
    "FunctionCurve",
    "HyperbolicCurve",
    "LearningCurve",
    "PowerLawCurve",
    "as_curve",
]


class LearningCurve:
    """What the three families share; a subclass gives the formulas as static functions."""

    family: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    @property
    def params_(self) -> dict[str, float]:
        """Parameters by name.

        Returns
        -------
        params : dict of str to float
        """
        return {name: float(getattr(self, name)) for name in self.names}

    def _values(self) -> tuple[Any, ...]:
        values = tuple(getattr(self, name) for name in self.names)
        if any(value is None for value in values):
            raise NotFittedError(
                f"{type(self).__name__} has no parameters: give {', '.join(self.names)} to the "
                "constructor or call fit."
            )
        return values

    @staticmethod
    def _score_at(n: Floats, *params: Any) -> Floats:
        """Score at n."""
        raise NotImplementedError

    @staticmethod
    def _slope_at(n: Floats, *params: Any) -> Floats:
        """Derivative of the score."""
        raise NotImplementedError

    @staticmethod
    def _elasticity_at(n: Floats, *params: Any) -> Floats:
        """Return n s''(n) / s'(n)."""
        raise NotImplementedError

    @staticmethod
    def _size_of(score: Floats, *params: Any) -> Floats:
        """Smallest n that reaches a score, inf where none does."""
        raise NotImplementedError

    @staticmethod
    def _size_of_slope(slope: Floats, *params: Any) -> Floats:
        """Return n at which the derivative has this value, 0 where it is smaller everywhere."""
        raise NotImplementedError

    @staticmethod
    def _jacobian(n: Floats, *params: Any) -> Floats:
        raise NotImplementedError

    @staticmethod
    def _from_fit(s_inf: float, b: float, shape: float) -> tuple[float, ...]:
        return s_inf, b, shape

    def predict(self, n: ArrayLike) -> Floats:
        """Score at n.

        Parameters
        ----------
        n : array-like
            Numbers of samples, positive.

        Returns
        -------
        scores : ndarray of the same shape
        """
        return self._apply(self._score_at, n)

    def derivative(self, n: ArrayLike) -> Floats:
        """Gain in score per additional sample at n.

        Parameters
        ----------
        n : array-like
            Numbers of samples, positive.

        Returns
        -------
        slopes : ndarray of the same shape
        """
        return self._apply(self._slope_at, n)

    def inverse(self, score: ArrayLike) -> Floats:
        """Samples needed for a score.

        Parameters
        ----------
        score : array-like
            Scores.

        Returns
        -------
        n : ndarray of the same shape
            inf where the score is never reached.
        """
        return self._apply(self._size_of, score)

    def inverse_derivative(self, d: ArrayLike) -> Floats:
        """Return the n up to which another sample gains at least ``d``.

        Parameters
        ----------
        d : array-like
            Slopes, positive.

        Returns
        -------
        n : ndarray of the same shape
            0 where no sample gains as much.
        """
        return self._apply(self._size_of_slope, d)

    def fit(
        self,
        n: ArrayLike,
        score: ArrayLike,
        sample_weight: ArrayLike | None = None,
        score_max: float = 1.0,
    ) -> Self:
        """Fit by weighted least squares (variable projection, deterministic).

        Parameters
        ----------
        n : array-like of shape (K,)
            Numbers of samples, positive.
        score : array-like of shape (K,)
            Scores, higher is better.
        sample_weight : array-like of shape (K,), default=None
            Weights of the points. None takes n, since the variance of a score is about
            proportional to 1 / n.
        score_max : float, default=1.0
            Best possible score: 1 for accuracy, R2 or AUC, 0 for negative losses.

        Returns
        -------
        self : object
            With the parameters, ``sse_`` (weighted sum of squares) and ``cov_`` (covariance of
            the parameters; points from nested subsets are not independent, so it is a lower
            bound).

        Raises
        ------
        ValueError
            For fewer than two sizes, sizes that are not positive, or scores that are not finite.
        """
        n, y = np.asarray(n, dtype=np.float64), np.asarray(score, dtype=np.float64)
        w = n if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        if n.ndim != 1 or n.shape != y.shape or n.shape != w.shape:
            raise ValueError(
                f"n, score and sample_weight need one shape (K,); found {n.shape}, {y.shape} and "
                f"{w.shape}."
            )
        if not (np.isfinite(y).all() and np.isfinite(n).all() and (n > 0).all()):
            raise ValueError(
                f"n must be positive and score finite; found {n.tolist()} and {y.tolist()}."
            )
        if len(np.unique(n[w > 0])) < 2:
            raise ValueError("A curve needs scores at two or more different n.")
        found = fit_shapes(self.family, n[None], y[None], w[None], score_max=score_max)
        values = self._from_fit(*(float(found[i][0]) for i in range(3)))
        for name, value in zip(self.names, values, strict=True):
            setattr(self, name, value)
        self.sse_ = float(found.sse[0])
        self.cov_ = curve_covariance(self._jacobian(n, *values), w, self.sse_)
        return self

    def _apply(self, function: Callable[..., Floats], x: ArrayLike) -> Floats:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return function(np.asarray(x, dtype=np.float64), *self._values())

    def __repr__(self) -> str:
        given = (f"{k}={v:.6g}" for k in self.names if (v := getattr(self, k)) is not None)
        return f"{type(self).__name__}({', '.join(given)})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]


def _check(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be finite and not negative; found {value!r}.")


class PowerLawCurve(LearningCurve):
    """Score ``s_inf - b n**-a``.

    Parameters
    ----------
    s_inf : float or None, default=None
        Score with unlimited data. None: to be fitted.
    b : float or None, default=None
        What is missing at n = 1, not negative.
    a : float or None, default=None
        Learning rate, positive.

    Attributes
    ----------
    sse_ : float
        Weighted sum of squared residuals of `fit`.
    cov_ : ndarray of shape (3, 3)
        Covariance of (s_inf, b, a) from `fit`.

    Examples
    --------
    >>> from fairgroup.sampling import PowerLawCurve
    >>> curve = PowerLawCurve(0.9, 2.0, 0.5)
    >>> float(curve.predict(100)), float(curve.inverse(0.8).round(6))
    (0.7, 400.0)
    >>> PowerLawCurve().fit([25, 50, 100, 200], curve.predict([25, 50, 100, 200]))
    PowerLawCurve(s_inf=0.9, b=2, a=0.5)
    """

    family = "power"
    names = ("s_inf", "b", "a")

    def __init__(
        self, s_inf: float | None = None, b: float | None = None, a: float | None = None
    ) -> None:
        _check(b=b, a=a)
        self.s_inf, self.b, self.a = s_inf, b, a

    @staticmethod
    def _score_at(n: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        return s_inf - np.where(b > 0, b * n**-a, 0.0)

    @staticmethod
    def _slope_at(n: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        return np.where(b > 0, a * b * n ** (-a - 1), 0.0)

    @staticmethod
    def _elasticity_at(n: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        return -(a + 1) + 0 * n

    @staticmethod
    def _size_of(score: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        reachable = (score < s_inf) & (b > 0)
        n = np.where(reachable, b / np.where(reachable, s_inf - score, 1.0), 1.0) ** (1 / a)
        return np.where(reachable, n, np.where(score <= s_inf, _never(b), np.inf))

    @staticmethod
    def _size_of_slope(slope: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        return np.where(b > 0, (a * b / slope) ** (1 / (1 + a)), 0.0)

    @staticmethod
    def _jacobian(n: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        z = n**-a
        return np.column_stack([np.ones_like(n), -z, b * z * np.log(n)])


def _never(b: Any) -> Floats:
    """A flat curve is at its asymptote from the first sample on; a rising one never is."""
    return np.where(np.asarray(b) > 0, np.inf, 0.0)


class HyperbolicCurve(LearningCurve):
    """Score ``s_inf n / (n + kappa)``, the textbook curve of polygenic scores.

    There ``s_inf`` is the heritability and ``kappa`` the effective number of independent segments
    over the heritability (Daetwyler et al., 2008).

    Parameters
    ----------
    s_inf : float or None, default=None
        Score with unlimited data, not negative. None: to be fitted.
    kappa : float or None, default=None
        Samples for half of it, positive.

    Attributes
    ----------
    sse_ : float
        Weighted sum of squared residuals of `fit`.
    cov_ : ndarray of shape (2, 2)
        Covariance of (s_inf, kappa) from `fit`.

    Examples
    --------
    >>> from fairgroup.sampling import HyperbolicCurve
    >>> curve = HyperbolicCurve(0.5, 100)
    >>> curve.predict([100, 300]).tolist()
    [0.25, 0.375]
    """

    family = "hyperbolic"
    names = ("s_inf", "kappa")

    def __init__(self, s_inf: float | None = None, kappa: float | None = None) -> None:
        _check(s_inf=s_inf, kappa=kappa)
        self.s_inf, self.kappa = s_inf, kappa

    @staticmethod
    def _score_at(n: Floats, s_inf: Any, kappa: Any) -> Floats:
        return s_inf * n / (n + kappa)

    @staticmethod
    def _slope_at(n: Floats, s_inf: Any, kappa: Any) -> Floats:
        return s_inf * kappa / (n + kappa) ** 2

    @staticmethod
    def _elasticity_at(n: Floats, s_inf: Any, kappa: Any) -> Floats:
        return -2 * n / (n + kappa)

    @staticmethod
    def _size_of(score: Floats, s_inf: Any, kappa: Any) -> Floats:
        reachable = score < s_inf
        n = kappa * score / np.where(reachable, s_inf - score, 1.0)
        return np.where(reachable, np.maximum(n, 0.0), np.inf)

    @staticmethod
    def _size_of_slope(slope: Floats, s_inf: Any, kappa: Any) -> Floats:
        return np.maximum(np.sqrt(s_inf * kappa / slope) - kappa, 0.0)

    @staticmethod
    def _jacobian(n: Floats, s_inf: Any, kappa: Any) -> Floats:
        return np.column_stack([n / (n + kappa), -s_inf * n / (n + kappa) ** 2])

    @staticmethod
    def _from_fit(s_inf: float, b: float, shape: float) -> tuple[float, ...]:
        return s_inf, shape


class ExponentialCurve(LearningCurve):
    """Score ``s_inf - b exp(-a n)``.

    Parameters
    ----------
    s_inf : float or None, default=None
        Score with unlimited data. None: to be fitted.
    b : float or None, default=None
        What is missing without data, not negative.
    a : float or None, default=None
        Rate per sample, positive.

    Attributes
    ----------
    sse_ : float
        Weighted sum of squared residuals of `fit`.
    cov_ : ndarray of shape (3, 3)
        Covariance of (s_inf, b, a) from `fit`.

    Examples
    --------
    >>> from fairgroup.sampling import ExponentialCurve
    >>> curve = ExponentialCurve(0.9, 0.4, 0.01)
    >>> float(curve.predict(0)), float(curve.inverse(0.8).round(2))
    (0.5, 138.63)
    """

    family = "exponential"
    names = ("s_inf", "b", "a")

    def __init__(
        self, s_inf: float | None = None, b: float | None = None, a: float | None = None
    ) -> None:
        _check(b=b, a=a)
        self.s_inf, self.b, self.a = s_inf, b, a

    @staticmethod
    def _score_at(n: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        return s_inf - b * np.exp(-a * n)

    @staticmethod
    def _slope_at(n: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        return a * b * np.exp(-a * n)

    @staticmethod
    def _elasticity_at(n: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        return -a * n

    @staticmethod
    def _size_of(score: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        reachable = (score < s_inf) & (b > 0)
        ratio = np.where(reachable, (s_inf - score) / np.where(b > 0, b, 1.0), 1.0)
        n = np.maximum(-np.log(ratio) / a, 0.0)
        return np.where(reachable, n, np.where(score <= s_inf, _never(b), np.inf))

    @staticmethod
    def _size_of_slope(slope: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        return np.where(b > 0, np.maximum(np.log(a * b / slope) / a, 0.0), 0.0)

    @staticmethod
    def _jacobian(n: Floats, s_inf: Any, b: Any, a: Any) -> Floats:
        z = np.exp(-a * n)
        return np.column_stack([np.ones_like(n), -z, b * n * z])


class FunctionCurve:
    """Any increasing concave function with its derivative.

    Parameters
    ----------
    function, derivative : callable
        Both take and return an array.
    """

    def __init__(
        self, function: Callable[[Floats], Floats], derivative: Callable[[Floats], Floats]
    ) -> None:
        self.function, self._derivative = function, derivative

    def predict(self, n: ArrayLike) -> Floats:
        """Score at n."""
        return np.asarray(self.function(np.asarray(n, dtype=np.float64)), dtype=np.float64)

    def derivative(self, n: ArrayLike) -> Floats:
        """Slope at n."""
        return np.asarray(self._derivative(np.asarray(n, dtype=np.float64)), dtype=np.float64)


CURVES: dict[str, Any] = {
    cls.family: cls for cls in (PowerLawCurve, HyperbolicCurve, ExponentialCurve)
}


def as_curve(value: Any, position: int) -> Any:
    """Return a curve as it is, and (function, derivative) wrapped."""
    if isinstance(value, LearningCurve):
        value._values()
        return value
    if isinstance(value, tuple) and len(value) == 2 and all(callable(f) for f in value):
        return FunctionCurve(*value)
    if hasattr(value, "predict") and hasattr(value, "derivative"):
        return value
    raise TypeError(
        f"curves[{position}] is {type(value).__name__}; expected a learning curve, an object with "
        "predict and derivative, or a tuple (function, derivative)."
    )
