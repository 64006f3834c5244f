"""Small simulators: a gap that only the full intersection shows, and a drifting stream."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.random import RandomState
from sklearn.utils import Bunch, check_random_state

__all__ = ["make_gerrymandering", "make_group_stream"]


def make_gerrymandering(
    n_samples: int = 1000,
    *,
    n_attributes: int = 2,
    gap: float = 0.4,
    n_features: int = 2,
    signal: float = 1.0,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Simulate predictions that are fair to each attribute alone and unfair to the intersection.

    Each attribute is a fair coin with the levels "a" and "b". With s the product of the
    attributes coded -1 and +1, the positive rate is (1 + gap s) / 2. It is one half for each
    level of each attribute, and for each combination of fewer than all attributes, yet differs by
    `gap` between the full intersections (Kearns et al., 2018, section 1.1, where there are two
    attributes).
    Label and prediction are drawn independently given s, and both have these rates.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    n_attributes : int, default=2
        Number of binary protected attributes, at least 2.
    gap : float, default=0.4
        Difference of positive rates between intersections, 0 to 1.
    n_features : int, default=2
        Number of normal features. The first has the mean ``signal * s / 2``, the rest is noise.
    signal : float, default=1.0
        How well the first feature tells the two kinds of intersections apart, in standard
        deviations.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `data` (features and attributes), `target` and `prediction` (0 or 1),
        `sensitive_features`, `true_probability` (the positive rate of the intersection),
        `true_gaps` (exact differences for one attribute and for all together), `feature_names`,
        `DESCR`.

    Raises
    ------
    ValueError
        When a parameter is out of range.

    References
    ----------
    Kearns, M., Neel, S., Roth, A. and Wu, Z. S. (2018). Preventing Fairness Gerrymandering:
    Auditing and Learning for Subgroup Fairness. ICML.

    Examples
    --------
    >>> from fairgroup.datasets import make_gerrymandering
    >>> bunch = make_gerrymandering(100_000, random_state=0)
    >>> people = bunch.sensitive_features
    >>> bunch.prediction.groupby(people.attribute_1, observed=True).mean().round(2).to_list()
    [0.5, 0.5]
    >>> by = [people.attribute_1, people.attribute_2]
    >>> bunch.prediction.groupby(by, observed=True).mean().round(2).to_list()
    [0.7, 0.3, 0.3, 0.7]
    """
    _check_integer("n_samples", n_samples, 1)
    _check_integer("n_attributes", n_attributes, 2)
    _check_integer("n_features", n_features, 1)
    _check_number("gap", gap, 0, 1)
    rng = check_random_state(random_state)
    signs = rng.choice([-1, 1], size=(n_samples, n_attributes))
    product = signs.prod(axis=1)
    rate = (1 + gap * product) / 2
    features = rng.standard_normal((n_samples, n_features))
    features[:, 0] += signal * product / 2
    label, prediction = ((rng.random_sample(n_samples) < rate).astype("int64") for _ in range(2))
    people = pd.DataFrame(
        {
            f"attribute_{k + 1}": pd.Categorical(np.where(signs[:, k] < 0, "a", "b"))
            for k in range(n_attributes)
        }
    )
    data = pd.DataFrame(features, columns=[f"x{k + 1}" for k in range(n_features)])
    data = pd.concat([data, people], axis=1)
    return Bunch(
        data=data,
        target=pd.Series(label, name="label"),
        prediction=pd.Series(prediction, name="prediction"),
        sensitive_features=people,
        true_probability=pd.Series(rate, name="true_probability"),
        true_gaps=pd.Series({"one attribute": 0.0, "all attributes": float(gap)}),
        feature_names=list(data.columns),
        DESCR="Simulated: see make_gerrymandering.",
    )


def make_group_stream(
    n_samples: int = 2000,
    *,
    n_features: int = 5,
    group_shares: Sequence[float] = (0.5, 0.3, 0.2),
    drift_at: Sequence[float] = (0.5,),
    heterogeneity: float = 1.0,
    noise: float = 0.1,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Simulate a stream of rows that belong to several overlapping groups, with drift.

    Row t belongs to group g with probability ``group_shares[g]``, independently of the other
    groups, and always to the first group, called "everyone". Features are uniform on [-1, 1]. The
    target is ``x @ (w + heterogeneity * mean of v[g] over the groups of the row)`` plus normal
    noise, so that no single linear model serves all groups. `w` and all `v` are drawn anew at
    each drift. They have length one, which bounds the noise-free target by
    ``(1 + heterogeneity) * sqrt(n_features)``.

    Parameters
    ----------
    n_samples : int, default=2000
        Number of rows, in the order of time.
    n_features : int, default=5
        Number of features.
    group_shares : sequence of float, default=(0.5, 0.3, 0.2)
        Share of each group, above 0 and at most 1.
    drift_at : sequence of float, default=(0.5,)
        Increasing points in time, as fractions of the stream strictly between 0 and 1, at which
        all coefficients change. Empty for no drift.
    heterogeneity : float, default=1.0
        How much groups differ, at least 0.
    noise : float, default=0.1
        Standard deviation of the noise, at least 0.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `data` (features), `target`, `memberships` (DataFrame of 0.0 and 1.0: everyone, group_1,
        ...), `sensitive_features` (DataFrame: group_1, ... with the levels "in" and "out"),
        `true_mean` (target without noise), `phase` (0 before the first drift, then 1, ...),
        `coef` (ndarray (n_phases, n_groups + 1, n_features): w, then v of each group),
        `feature_names`, `DESCR`.

    Raises
    ------
    ValueError
        When a parameter is out of range.

    Examples
    --------
    >>> from fairgroup.datasets import make_group_stream
    >>> stream = make_group_stream(1000, random_state=0)
    >>> stream.memberships.mean().round(1).to_dict()
    {'everyone': 1.0, 'group_1': 0.5, 'group_2': 0.3, 'group_3': 0.2}
    >>> stream.phase.value_counts().to_dict()
    {0: 500, 1: 500}
    """
    _check_integer("n_samples", n_samples, 1)
    _check_integer("n_features", n_features, 1)
    _check_number("heterogeneity", heterogeneity, 0, np.inf)
    _check_number("noise", noise, 0, np.inf)
    shares, drifts = np.asarray(group_shares, float), np.asarray(drift_at, float)
    if shares.ndim != 1 or not shares.size or not np.all((shares > 0) & (shares <= 1)):
        raise ValueError(f"group_shares must be numbers in (0, 1]; found {group_shares!r}.")
    inside = np.all((drifts > 0) & (drifts < 1)) and np.all(np.diff(drifts) > 0)
    if drifts.ndim != 1 or not inside:
        raise ValueError(f"drift_at must increase strictly between 0 and 1; found {drift_at!r}.")
    rng = check_random_state(random_state)
    x = rng.uniform(-1, 1, size=(n_samples, n_features))
    member = (rng.random_sample((n_samples, shares.size)) < shares).astype(float)
    phase = np.searchsorted(drifts, np.arange(n_samples) / n_samples, side="right")
    coef = rng.standard_normal((drifts.size + 1, shares.size + 1, n_features))
    coef /= np.linalg.norm(coef, axis=2, keepdims=True)
    size = np.maximum(member.sum(axis=1, keepdims=True), 1)
    own = np.einsum("ng,ngd->nd", member / size, coef[phase, 1:])
    mean = np.einsum("nd,nd->n", x, coef[phase, 0] + heterogeneity * own)
    names = [f"group_{g + 1}" for g in range(shares.size)]
    data = pd.DataFrame(x, columns=[f"x{k + 1}" for k in range(n_features)])
    inside_out = np.where(member > 0, "in", "out")
    return Bunch(
        data=data,
        target=pd.Series(mean + noise * rng.standard_normal(n_samples), name="y"),
        memberships=pd.DataFrame(np.c_[np.ones(n_samples), member], columns=["everyone", *names]),
        sensitive_features=pd.DataFrame(inside_out, columns=names).astype("category"),
        true_mean=pd.Series(mean, name="true_mean"),
        phase=pd.Series(phase, name="phase"),
        coef=coef,
        feature_names=list(data.columns),
        DESCR="Simulated: see make_group_stream.",
    )


def _check_integer(name: str, value: object, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"{name} must be an integer of at least {least}; found {value!r}.")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    if not isinstance(value, Real) or not low <= float(value) <= high:
        raise ValueError(f"{name} must be a number from {low} to {high}; found {value!r}.")
