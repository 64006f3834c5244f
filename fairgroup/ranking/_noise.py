"""Differentially private release of running counts: batch-wise or by a binary tree of partial
sums.

Dwork, Naor, Pitassi and Rothblum (STOC 2010) and Chan, Shi and Song (2011) for the tree; Balle and
Wang (ICML 2018), theorem 8, for the analytic Gaussian scale.
"""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtri
from sklearn.base import BaseEstimator

from fairgroup.ranking._kernels import cumulative_noise
from fairgroup.utils._sklearn import Interval, StrOptions
from fairgroup.utils._validation import as_generator

_GRID_BITS = 20  # the output grid is this many bits finer than the noise scale


def analytic_gaussian_scale(epsilon: float, delta: float, sensitivity: float = 1.0) -> float:
    """Smallest standard deviation of Gaussian noise that is (epsilon, delta)-private, for any
    epsilon > 0.

    Parameters
    ----------
    epsilon, delta : float
        Privacy budget, epsilon > 0 and 0 < delta < 1.
    sensitivity : float, default=1.0
        Largest Euclidean change that one unit of privacy can make.

    Returns
    -------
    scale : float
        Balle and Wang (ICML 2018), theorem 8, solved for the standard deviation.
    """

    def excess(log_scale: float) -> float:
        half, ratio = np.exp(-log_scale) / 2, epsilon * np.exp(log_scale)
        tail = np.exp(epsilon + log_ndtr(-half - ratio))
        return float(np.exp(log_ndtr(half - ratio)) - tail - delta)

    return float(np.exp(brentq(excess, -12.0, 25.0, xtol=1e-14))) * sensitivity


class NoisyCounter(BaseEstimator):
    """Running counts of levels that are only ever shown with differentially private noise.

    Counts are added freely and shown at a ``release``, which closes a batch. Every impression is
    in exactly one batch, so that the budget of an impression does not grow with the number of
    releases.

    Parameters
    ----------
    n_levels : int, default=2
        Number of levels counted.
    mechanism : {"batch", "tree"}, default="batch"
        ``"batch"`` adds noise to every batch once: the variance of the running sum after B batches
        is B times that of one. ``"tree"`` notes the sums of 1, 2, 4, ... batches: the variance
        grows with the cube (Laplace) or square (Gaussian) of log2 of ``max_batches`` only, half of
        that on average, and pays from several hundred (Laplace) or a few dozen (Gaussian) batches
        on.
    noise : {"laplace", "gaussian", "analytic_gaussian"} or None, default="laplace"
        None releases the exact counts: no privacy.
    epsilon : float, default=1.0
        Budget of one impression (of one user and batch when ``sensitivity`` says so).
        ``"gaussian"`` needs epsilon <= 1.
    delta : float, default=1e-5
        Probability that the guarantee fails; used by the Gaussian mechanisms.
    sensitivity : float, default=1
        1 protects single impressions; the largest number of impressions of one user in a batch
        protects the user's part in a batch.
    max_batches : int, default=1024
        Only for ``mechanism="tree"``: most releases of one counter; the budget is divided between
        its levels.
    random_state : int, RandomState instance, Generator or None, default=None
        None draws from the operating system's cryptographically safe source. Anything else is
        reproducible and therefore **not private**; it is meant for tests and simulation.

    Attributes
    ----------
    n_releases_ : int
        Number of batches closed.
    privacy_spent_ : dict
        ``"epsilon"`` and ``"delta"`` of one impression so far (both 0 before the first release),
        ``"n_releases"``, and ``"epsilon_every_batch"``: the basic-composition bound for somebody
        with impressions in every batch.

    Notes
    -----
    Noise and counts are rounded to a grid of a power of two far below the noise scale, so that the
    low-order bits of a float tell nothing about the count (Mironov, CCS 2012). The sampler has not
    been formally verified.

    Examples
    --------
    >>> from fairgroup.ranking import NoisyCounter
    >>> counter = NoisyCounter(2, epsilon=0.5, sensitivity=3, random_state=0)
    >>> counter.noise_scale
    6.0
    >>> counter.add([30, 20]).add([10, 40]).release().shape
    (2,)
    >>> counter.privacy_spent_["epsilon"]
    0.5
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_levels": [Interval(Integral, 1, None, closed="left")],
        "mechanism": [StrOptions({"batch", "tree"})],
        "noise": [StrOptions({"laplace", "gaussian", "analytic_gaussian"}), None],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "delta": [Interval(Real, 0, 1, closed="neither")],
        "sensitivity": [Interval(Real, 1, None, closed="left")],
        "max_batches": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        n_levels: int = 2,
        *,
        mechanism: str = "batch",
        noise: str | None = "laplace",
        epsilon: float = 1.0,
        delta: float = 1e-5,
        sensitivity: float = 1,
        max_batches: int = 1024,
        random_state: Any = None,
    ) -> None:
        self.n_levels = n_levels
        self.mechanism = mechanism
        self.noise = noise
        self.epsilon = epsilon
        self.delta = delta
        self.sensitivity = sensitivity
        self.max_batches = max_batches
        self.random_state = random_state

    def validate(self) -> NoisyCounter:
        """Check the parameters.

        Returns
        -------
        self : NoisyCounter

        Raises
        ------
        ValueError
            For a parameter out of range, and for ``noise="gaussian"`` with epsilon > 1.
        """
        self._validate_params()
        if self.noise == "gaussian" and self.epsilon > 1:
            raise ValueError(
                f"noise='gaussian' is private for epsilon <= 1 only, found {self.epsilon}; "
                "use noise='analytic_gaussian'."
            )
        return self

    @property
    def n_nodes(self) -> int:
        """Number of tree levels, 1 for ``mechanism="batch"``."""
        return int(self.max_batches).bit_length() if self.mechanism == "tree" else 1

    @property
    def noise_scale(self) -> float:
        """Scale of the noise of one node: Laplace's b or a standard deviation; 0 without noise."""
        self.validate()
        levels = self.n_nodes
        if self.noise is None:
            return 0.0
        if self.noise == "laplace":
            return self.sensitivity * levels / self.epsilon
        reach = self.sensitivity * np.sqrt(levels)
        if self.noise == "gaussian":
            return float(reach * np.sqrt(2 * np.log(1.25 / self.delta)) / self.epsilon)
        return analytic_gaussian_scale(self.epsilon, self.delta, reach)

    def noise_variance(self, n_releases: ArrayLike = 1) -> NDArray[np.float64]:
        """Variance of the noise in each released running count.

        Parameters
        ----------
        n_releases : array-like of int, default=1
            Number of batches released so far.

        Returns
        -------
        variance : ndarray of the same shape
        """
        n = np.asarray(n_releases, dtype=np.int64)
        one = self.noise_scale**2 * (2.0 if self.noise == "laplace" else 1.0)
        return np.asarray(
            one * (np.bitwise_count(n) if self.mechanism == "tree" else n), dtype=np.float64
        )

    def draw(
        self, shape: tuple[int, ...], source: np.random.Generator | None = None
    ) -> NDArray[np.float64]:
        """Noise of fresh nodes.

        Parameters
        ----------
        shape : tuple of int
            Shape of the array.
        source : numpy Generator or None, default=None
            None uses the cryptographically safe source.

        Returns
        -------
        noise : ndarray of float64
        """
        scale = self.noise_scale
        if scale == 0:
            return np.zeros(shape)
        u = _uniform(shape, source)
        if self.noise == "laplace":
            centred = 2 * u - 1
            noise = -scale * np.sign(centred) * np.log1p(-np.abs(centred))
        else:
            noise = scale * ndtri(u)
        return on_grid(noise, scale)

    def add(self, counts: ArrayLike) -> NoisyCounter:
        """Add counts to the open batch.

        Parameters
        ----------
        counts : array-like of shape (n_levels,)
            Not negative; sums of posteriors need not be integers.

        Returns
        -------
        self : NoisyCounter
        """
        if not hasattr(self, "n_releases_"):
            self._start()
        counts = np.asarray(counts, dtype=np.float64)
        if counts.shape != (self.n_levels,) or not (counts >= 0).all():
            raise ValueError(f"counts must be {self.n_levels} numbers >= 0, found {counts!r}.")
        self._counts += on_grid(counts, self._scale)
        return self

    def release(self) -> NDArray[np.float64]:
        """Close the batch and return the noisy running counts.

        Returns
        -------
        counts : ndarray of shape (n_levels,)
            May be negative.

        Raises
        ------
        ValueError
            When a tree counter has used up its ``max_batches``.
        """
        if not hasattr(self, "n_releases_"):
            self._start()
        if self.mechanism == "tree" and self.n_releases_ == self.max_batches:
            raise ValueError(
                f"All max_batches={self.max_batches} releases of the tree are used up."
            )
        self.n_releases_ += 1
        fresh, out = self.draw((self.n_levels,), self._source), np.empty(self.n_levels)
        cumulative_noise(self._nodes, self.n_releases_, fresh, self.mechanism == "tree", out)
        return out + self._counts

    @property
    def privacy_spent_(self) -> dict[str, float]:
        """Budget used so far."""
        return spent(self, getattr(self, "n_releases_", 0))

    def _start(self) -> None:
        self._scale = self.noise_scale
        self._counts = np.zeros(self.n_levels)
        self._nodes = np.zeros((self.n_nodes, self.n_levels))
        self._source = None if self.random_state is None else as_generator(self.random_state)
        self.n_releases_ = 0


def spent(counter: NoisyCounter, n_releases: int) -> dict[str, float]:
    """Privacy budget after ``n_releases`` of one counter; infinite for exact releases."""
    epsilon = delta = 0.0
    if n_releases:
        epsilon = np.inf if counter.noise is None else float(counter.epsilon)
        delta = float(counter.delta) if counter.noise in ("gaussian", "analytic_gaussian") else 0.0
    every = epsilon * n_releases if n_releases else 0.0
    return {
        "epsilon": epsilon,
        "delta": delta,
        "n_releases": n_releases,
        "epsilon_every_batch": every,
    }


def on_grid(values: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Round to multiples of a power of two, about 2**-20 of the scale; unchanged for 0."""
    if scale == 0:
        return values.copy()
    grid = 2.0 ** (np.floor(np.log2(scale)) - _GRID_BITS)
    return np.rint(values / grid) * grid


def _uniform(shape: tuple[int, ...], source: np.random.Generator | None) -> NDArray[np.float64]:
    """Uniform numbers strictly between 0 and 1 from 53 random bits each."""
    n = int(np.prod(shape))
    if source is None:
        bits = np.frombuffer(os.urandom(8 * n), dtype=np.uint64)
    else:
        bits = source.integers(0, 2**64, size=n, dtype=np.uint64)
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return uniform.reshape(shape)
