"""Tests of independence between predictions and all protected attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from fairgroup.dependence._attributes import Attributes, encode_attributes
from fairgroup.dependence._centring import Centring
from fairgroup.dependence._choose import attribute_variance, make_kernel
from fairgroup.dependence._pair_kernel import NormalisedKernel, PairKernel
from fairgroup.dependence._ranking import Ranking, rank
from fairgroup.groups import SensitiveEncoder
from fairgroup.metrics._labels import as_numbers
from fairgroup.utils._validation import as_generator

__all__ = ["IndependenceTest", "independence_test"]

Floats = NDArray[np.float64]

_STATISTICS = ("ccdcov", "jdcov", "dcor")


@dataclass(frozen=True)
class IndependenceTest:
    """Result of `independence_test`.

    Parameters
    ----------
    statistic : float
        Observed statistic.
    p_value : float
        Probability of a statistic at least as large under independence.
    critical_value : float
        Smallest statistic that is rejected at ``level``.
    level : float
        Level of the critical value.
    n_samples : int
        Number of rows.
    name : str
        "ccdcov", "jdcov" or "dcor".
    method : str
        "chi2" or "permutation".
    null : ndarray of shape (n_permutations,)
        Statistics of permuted predictions; empty for "chi2".

    Examples
    --------
    >>> from fairgroup.dependence import independence_test
    >>> test = independence_test([1, 2, 3, 4, 5, 6], list("ababab"), method="chi2")
    >>> test.p_value > test.level
    True
    """

    statistic: float
    p_value: float
    critical_value: float
    level: float
    n_samples: int
    name: str
    method: str
    null: Floats = field(repr=False, default_factory=lambda: np.empty(0))


def independence_test(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    statistic: str = "ccdcov",
    method: str = "permutation",
    c: float = 1.0,
    n_permutations: int = 999,
    level: float = 0.05,
    encoder: SensitiveEncoder | None = None,
    random_state: Any = None,
) -> IndependenceTest:
    """Test whether predictions are independent of all protected attributes jointly.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,)
        Predictions.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes of any type.
    statistic : {"ccdcov", "jdcov", "dcor"}, default="ccdcov"
        U-statistic: concatenated or joint distance covariance (without the attributes' own
        dependence), or the squared distance correlation.
    method : {"permutation", "chi2"}, default="permutation"
        "permutation": exact level; predictions are permuted against the rows of attributes, which
        keeps the dependence between attributes. "chi2": conservative, without permutations; for
        "ccdcov" and "dcor", which it reports as n dCor^2 + 1.
    c : float, default=1.0
        Constant of "jdcov".
    n_permutations : int, default=999
        Number of permutations.
    level : float, default=0.05
        Level for which the critical value is reported.
    encoder : SensitiveEncoder or None, default=None
        How attributes become numbers.
    random_state : int, RandomState instance or None, default=None
        Draws the permutations.

    Returns
    -------
    result : IndependenceTest
        With ``statistic``, ``p_value``, ``critical_value`` and ``null``.

    Raises
    ------
    ValueError
        For fewer than 4 rows, an unknown statistic or method, and "chi2" for "jdcov".

    Notes
    -----
    The p-value of the permutation test is (1 + #{at least as large}) / (n_permutations + 1). A
    large sample rejects a dependence that is too small to matter; look at the size as well.

    References
    ----------
    Shen, Panda and Vogelstein (2022), The chi-square test of distance correlation, JCGS 31(1).

    Examples
    --------
    >>> from fairgroup.dependence import independence_test
    >>> test = independence_test(range(20), ["a"] * 10 + ["b"] * 10, random_state=0)
    >>> test.statistic > test.critical_value
    True
    """
    y = as_numbers(y_pred, "y_pred")
    _check(statistic, method, n_permutations, level)
    _, attributes = encode_attributes(sensitive_features, encoder=encoder, n_samples=len(y))
    if method == "chi2":
        kernel = _kernel(attributes, "dcor", c)
        value = len(y) * kernel.value_and_grad(y)[0] + 1
        p_value, critical = float(chi2.sf(value, 1)), float(chi2.isf(level, 1))
        return IndependenceTest(value, p_value, critical, level, len(y), statistic, method)
    kernel, ranking = _kernel(attributes, statistic, c), rank(y)
    observed = kernel.ranked_value_and_grad(ranking)[0]
    null = _permuted(kernel, ranking, n_permutations, as_generator(random_state))
    # Sums over another order differ in the last digits; an equal statistic must count as equal.
    slack = 1e-12 * (abs(observed) + float(np.abs(null).max()))
    p_value = (1 + int((null >= observed - slack).sum())) / (n_permutations + 1)
    critical = float(np.quantile(null, 1 - level, method="higher"))
    return IndependenceTest(observed, p_value, critical, level, len(y), statistic, method, null)


def _kernel(attributes: Attributes, statistic: str, c: float) -> PairKernel:
    if statistic == "jdcov":
        kernel = make_kernel(attributes, kind="jdcov", c=c)
        kernel.const = 0.0
        return kernel
    kernel = make_kernel(attributes)
    if statistic == "ccdcov":
        return kernel
    centring = Centring.make(len(attributes), "U")
    return NormalisedKernel(kernel, centring, attribute_variance(attributes, centring))


def _permuted(
    kernel: PairKernel, ranking: Ranking, n_permutations: int, rng: np.random.Generator
) -> Floats:
    """Return statistics of permuted predictions; the kernel and the sort are made once.

    Row i gets prediction y[permutation[i]], so the order of the permuted predictions is the
    inverse permutation of the order of y.
    """
    n, null = len(ranking), np.empty(n_permutations)
    inverse = np.empty(n, dtype=np.int64)
    for b in range(n_permutations):
        permutation = rng.permutation(n)
        inverse[permutation] = np.arange(n)
        moved = Ranking(ranking.values[permutation], inverse[ranking.order], np)
        null[b] = kernel.ranked_value_and_grad(moved)[0]
    return null


def _check(statistic: str, method: str, n_permutations: int, level: float) -> None:
    if statistic not in _STATISTICS:
        raise ValueError(f"statistic={statistic!r}; expected one of {list(_STATISTICS)}.")
    if method not in ("chi2", "permutation"):
        raise ValueError(f'method={method!r}; expected "chi2" or "permutation".')
    if method == "chi2" and statistic == "jdcov":
        raise ValueError(
            'method="chi2" is for the distance correlation; use method="permutation" for "jdcov".'
        )
    if not isinstance(n_permutations, Integral) or n_permutations < 1:
        raise ValueError(
            f"n_permutations={n_permutations!r}; expected a whole number, at least 1."
        )
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}; expected a number in (0, 1).")
