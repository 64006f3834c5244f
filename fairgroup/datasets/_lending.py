"""A lending simulator whose disparities are known exactly.

All that matters for repayment is linear in Gaussian variables, and repayment follows a probit
model, so that every rate that the data sheet states is a value of the normal distribution
function (Owen, 1980, integral 10,010.8): if eta ~ N(m, s^2), then E[Phi(eta)] = Phi(m / sqrt(1 +
s^2)).
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri
from sklearn.utils import Bunch, check_random_state

from fairgroup.datasets._base import check_option, finish

__all__ = ["LendingWorld", "lending_bunch", "make_lending"]

AGE_RANGE = (20.0, 75.0)
# Weight of income, job security, debt and credit history in the repayment index.
_WEIGHTS = np.array([0.6, 0.4, -0.4, 0.5])
# How strongly each of the four depends on age, and on the opportunities of the group.
_AGE_PROFILE = np.array([1.0, 0.8, 0.0, 1.2])
_GROUP_PROFILE = np.array([1.0, 1.0, 0.0, 0.0])
_OFFICER_NOISE = 0.5  # standard deviation of what the loan officer adds

_EMPLOYMENT = (["unemployed", "temporary", "permanent", "civil service"], [-1.3, -0.5, 1.2])
_HOUSING = (["rent", "mortgage", "own"], [0.1, 1.0])
_LATE_PAYMENTS = [0.1, 0.6, 1.1, 1.6, 2.1]
_OCCUPATIONS = {
    # name: (log frequency, more frequent among men, more frequent in the minority)
    "care": (0.0, -1.0, 0.3),
    "engineering": (-0.3, 0.9, -0.4),
    "office": (0.4, -0.3, -0.3),
    "retail": (0.1, -0.4, 0.2),
    "trades": (0.1, 1.1, -0.1),
    "transport": (-0.2, 0.8, 0.6),
}
_DISTRICT_SLOPES = np.linspace(-2.0, 2.0, 8)  # log odds of the minority by district
_PURPOSES = (["business", "car", "education", "home", "other"], [0.12, 0.33, 0.13, 0.27, 0.15])


@dataclass(frozen=True)
class LendingWorld:
    """Parameters of the simulator, and the rates that follow from them.

    Attributes
    ----------
    base_rate : float
        Share of people who repay, the same for each sex and for each ethnicity.
    repayment_gap, approval_gap : float
        Difference between men and women of the minority in the true repayment rate and in the
        historical approval rate.
    age_effect : float
        Correlation of age and income; job security and credit history follow in proportion.
    minority_share : float
        Share of the minority.
    """

    base_rate: float = 0.66
    repayment_gap: float = 0.25
    approval_gap: float = 0.45
    age_effect: float = 0.35
    minority_share: float = 0.3

    def __post_init__(self) -> None:
        """Check that all group rates are probabilities."""
        for name, value in vars(self).items():
            if not isinstance(value, Real) or not 0 <= float(value) < 1:
                raise ValueError(f"{name} must be in [0, 1); found {value!r}.")
        if not 0 < self.minority_share <= 0.5:
            raise ValueError(f"minority_share must be in (0, 0.5]; found {self.minority_share!r}.")
        if self.age_effect > 0.8:
            raise ValueError(f"age_effect must be in [0, 0.8]; found {self.age_effect!r}.")
        for name in ("repayment_gap", "approval_gap"):
            half = getattr(self, name) / 2
            if not half < self.base_rate < 1 - half:
                raise ValueError(
                    f"{name}={2 * half!r} does not fit base_rate={self.base_rate!r}: "
                    "base_rate plus and minus half of the gap must lie in (0, 1)."
                )

    @property
    def groups(self) -> pd.MultiIndex:
        """The four groups."""
        return pd.MultiIndex.from_product(
            [["female", "male"], ["majority", "minority"]], names=["sex", "ethnicity"]
        )

    @property
    def shares(self) -> NDArray[np.float64]:
        """Shares of the four groups; sex and ethnicity are independent."""
        return np.outer([0.5, 0.5], [1 - self.minority_share, self.minority_share]).ravel()

    def rates(self, gap: float) -> NDArray[np.float64]:
        """Rates of the four groups that differ only in the combination of sex and ethnicity.

        The deviation is a product of two contrasts with mean zero, so each sex and each ethnicity
        keeps the base rate.
        """
        ethnicity = np.array([-self.minority_share, 1 - self.minority_share])
        contrast = np.outer([-1.0, 1.0], ethnicity).ravel()
        return self.base_rate + gap * contrast / (2 * (1 - self.minority_share))

    @property
    def index_spread(self) -> float:
        """Variance of the repayment index within a group."""
        loadings = self.age_effect * _AGE_PROFILE
        return float(self.age_slope**2 + np.sum(_WEIGHTS**2 * (1 - loadings**2)))

    @property
    def age_slope(self) -> float:
        """Effect of the normal score of age on the repayment index."""
        return float(_WEIGHTS @ (self.age_effect * _AGE_PROFILE))

    @property
    def index_mean(self) -> NDArray[np.float64]:
        """Mean of the repayment index in each group."""
        return np.sqrt(1 + self.index_spread) * ndtri(self.rates(self.repayment_gap))

    @property
    def score_mean(self) -> NDArray[np.float64]:
        """Mean of the index by which the bank decided in the past."""
        spread = self.index_spread + _OFFICER_NOISE**2
        return np.sqrt(spread) * ndtri(self.rates(self.approval_gap))

    def true_rates(self, age: float | None = None) -> pd.DataFrame:
        """Exact rates of the four groups, at one age or over all ages.

        Parameters
        ----------
        age : float, default=None
            Age in years, strictly between 20 and 75. None averages over all ages.

        Returns
        -------
        rates : DataFrame indexed by sex and ethnicity
            `share`; `repayment`, the mean of the true probability; `ideal_approval`, the share
            whose true probability is at least one half; `historical_approval`, the share whose
            approval score is at least one half.
        """
        low, high = AGE_RANGE
        at_age = 0.0 if age is None else self.age_slope * ndtri((age - low) / (high - low))
        known = 0.0 if age is None else self.age_slope**2
        spread = self.index_spread - known
        return pd.DataFrame(
            {
                "share": self.shares,
                "repayment": ndtr((self.index_mean + at_age) / np.sqrt(1 + spread)),
                "ideal_approval": ndtr((self.index_mean + at_age) / np.sqrt(spread)),
                "historical_approval": ndtr(
                    (self.score_mean + at_age) / np.sqrt(spread + _OFFICER_NOISE**2)
                ),
            },
            index=self.groups,
        )

    def true_gaps(self) -> pd.DataFrame:
        """Exact largest differences between groups, by what the groups are made of.

        Returns
        -------
        gaps : DataFrame
            Rows `sex`, `ethnicity`, `sex and ethnicity`, and `age 30 to 60` (rate at 60 minus
            rate at 30); columns as in :meth:`true_rates` without the share.
        """
        rates = self.true_rates()
        values = rates.drop(columns="share")
        rows = {name: _marginal_gap(rates, name) for name in ("sex", "ethnicity")}
        rows["sex and ethnicity"] = values.max() - values.min()
        young, old = (_average(self.true_rates(age)) for age in (30.0, 60.0))
        rows["age 30 to 60"] = old - young
        return pd.DataFrame(rows).T


def _average(rates: pd.DataFrame) -> pd.Series:
    """Rates of all groups together."""
    values = rates.drop(columns="share")
    share = rates["share"].to_numpy()
    return pd.Series(share @ values.to_numpy() / share.sum(), index=values.columns)


def _marginal_gap(rates: pd.DataFrame, attribute: str) -> pd.Series:
    """Difference between the two levels of one attribute."""
    first, second = (_average(level) for _, level in rates.groupby(level=attribute))
    return (first - second).abs()


def make_lending(
    n_samples: int = 20_000,
    *,
    base_rate: float = 0.66,
    repayment_gap: float = 0.25,
    approval_gap: float = 0.45,
    age_effect: float = 0.35,
    minority_share: float = 0.3,
    target: str = "repaid",
    drop_sensitive: bool = False,
    as_frame: bool = True,
    random_state: int | RandomState | None = 0,
) -> Bunch:
    """Simulate loan applications with a disadvantage that only the intersection shows.

    Women and men repay equally often, and so do the majority and the minority. Women of the
    minority repay less often than men of the minority, because their opportunities differ, and in
    the past the bank treated them worse still.

    Causal graph (an arrow is a direct effect)::

        sex x ethnicity -> income, job security
        sex x ethnicity -> approval score                     (the bank's past discrimination)
        sex, ethnicity  -> occupation;  ethnicity -> district (proxies without an effect of their
        own) age -> income, job security, credit history, housing
        income, job security, debt, credit history -> repayment, approval score
        income, age -> housing;  income -> loan amount;  purpose is noise

    The repayment index is normal within each group and the probability of repayment is its normal
    distribution function, which makes all group rates exact: see `true_rates` and `true_gaps` in
    the result.

    Parameters
    ----------
    n_samples : int, default=20_000
        Number of applications.
    base_rate : float, default=0.66
        Share of people who repay, and share that the bank approved, the same for each sex and for
        each ethnicity.
    repayment_gap : float, default=0.25
        True repayment rate of men minus that of women within the minority.
    approval_gap : float, default=0.45
        The same difference in the bank's past approvals. Where it is larger than `repayment_gap`,
        the bank was unjust beyond what repayment explains.
    age_effect : float, default=0.35
        Correlation of age with income, 0 to 0.8; the effects on job security and credit history
        are 0.8 and 1.2 times as strong.
    minority_share : float, default=0.3
        Share of the minority, above 0 and at most 0.5.
    target : {"repaid", "approved"}, default="repaid"
        What is to be predicted: whether the loan is repaid, or what the bank decided in the past.
    drop_sensitive : bool, default=False
        Whether to leave sex, ethnicity and age out of `data`.
    as_frame : bool, default=True
        Whether to return pandas objects. False gives NumPy arrays.
    random_state : int, RandomState or None, default=0
        Seed.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `data` (13 columns), `target`, `sensitive_features` (sex, ethnicity, age),
        `true_probability` (the probability of repayment, known only in a simulation),
        `approval_score` (0 to 1, the bank's past score; it approved from 0.5), `true_rates`
        (exact rates of the four groups), `true_gaps` (exact differences), and the keys of the
        other loaders.

    Raises
    ------
    ValueError
        When a parameter is out of range, or a gap does not fit the base rate.

    Examples
    --------
    >>> from fairgroup.datasets import make_lending
    >>> lending = make_lending(1000)
    >>> lending.data.shape
    (1000, 13)
    >>> lending.true_gaps["repayment"].round(3).to_dict()
    {'sex': 0.0, 'ethnicity': 0.0, 'sex and ethnicity': 0.25, 'age 30 to 60': 0.212}
    """
    world = LendingWorld(base_rate, repayment_gap, approval_gap, age_effect, minority_share)
    check_option("target", target, ("repaid", "approved"))
    if n_samples < 1:
        raise ValueError(f"n_samples must be at least 1; found {n_samples!r}.")
    data, truth = _draw(world, n_samples, check_random_state(random_state))
    return lending_bunch(
        data, truth, world, target=target, drop_sensitive=drop_sensitive, as_frame=as_frame
    )


def lending_bunch(
    data: pd.DataFrame,
    truth: pd.DataFrame,
    world: LendingWorld,
    *,
    target: str,
    drop_sensitive: bool,
    as_frame: bool,
) -> Bunch:
    """Bunch of a drawn or stored table."""
    approved = (truth["approval_score"] >= 0.5).astype("int64").rename("approved")
    names = ("not repaid", "repaid") if target == "repaid" else ("refused", "approved")
    bunch = finish(
        "lending",
        data.drop(columns="repaid"),
        data["repaid"] if target == "repaid" else approved,
        sensitive=["sex", "ethnicity", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=names,
        true_probability=truth["true_probability"],
        approval_score=truth["approval_score"],
    )
    bunch.true_rates, bunch.true_gaps = world.true_rates(), world.true_gaps()
    return bunch


def _draw(world: LendingWorld, n: int, rng: RandomState) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw applications: the table with the outcome, and what only a simulation knows."""
    group = rng.choice(4, size=n, p=world.shares)
    male, minority = group // 2, group % 2
    age_score, officer = rng.standard_normal(n), rng.standard_normal(n)
    loadings = world.age_effect * _AGE_PROFILE
    opportunity = (world.index_mean - world.index_mean @ world.shares) / (
        _WEIGHTS @ _GROUP_PROFILE
    )
    factors = (
        np.outer(opportunity[group], _GROUP_PROFILE)
        + np.outer(age_score, loadings)
        + rng.standard_normal((n, 4)) * np.sqrt(1 - loadings**2)
    )
    centred = factors @ _WEIGHTS - (opportunity[group] * (_WEIGHTS @ _GROUP_PROFILE))
    index = world.index_mean[group] + centred
    score = world.score_mean[group] + centred + _OFFICER_NOISE * officer
    truth = pd.DataFrame({"true_probability": ndtr(index), "approval_score": ndtr(score)})
    data = _features(factors, age_score, male, minority, rng)
    data["repaid"] = (rng.random_sample(n) < truth["true_probability"]).astype("int64")
    return data, truth


def _features(
    factors: NDArray[np.float64],
    age_score: NDArray[np.float64],
    male: NDArray[np.int64],
    minority: NDArray[np.int64],
    rng: RandomState,
) -> pd.DataFrame:
    """What the bank sees: rounded and coarsened views of the factors, proxies, and noise."""
    income, job, debt, history = factors.T
    n = len(income)
    low, high = AGE_RANGE
    age = low + (high - low) * ndtr(age_score)
    housing = 0.6 * age_score + 0.4 * income + 0.7 * rng.standard_normal(n)
    kept = ndtr(history + 0.5 * rng.standard_normal(n))
    occupation = np.array(list(_OCCUPATIONS.values()))
    by_occupation = occupation[:, 0] + np.outer(2 * male - 1, occupation[:, 1]) / 2
    by_occupation += np.outer(2 * minority - 1, occupation[:, 2]) / 2
    by_district = np.outer(2 * minority - 1, _DISTRICT_SLOPES) / 2
    return pd.DataFrame(
        {
            "age": age.round(1),
            "sex": np.array(["female", "male"])[male],
            "ethnicity": np.array(["majority", "minority"])[minority],
            "income": np.exp(3.4 + 0.45 * income).round(1),
            "debt_ratio": (0.9 * ndtr(debt)).round(2),
            "history_years": ((age - 18.0) * kept).round().astype("int64"),
            "late_payments": np.searchsorted(_LATE_PAYMENTS, -history),
            "employment": _cut(job, *_EMPLOYMENT),
            "housing": _cut(housing, *_HOUSING),
            "occupation": np.array(list(_OCCUPATIONS))[_pick(by_occupation, rng)],
            "district": np.array([f"D{i}" for i in range(1, 9)])[_pick(by_district, rng)],
            "loan_amount": np.exp(2.2 + 0.3 * income + 0.5 * rng.standard_normal(n)).round(1),
            "purpose": rng.choice(_PURPOSES[0], size=n, p=_PURPOSES[1]),
        }
    )


def _cut(values: ArrayLike, names: list[str], thresholds: list[float]) -> NDArray[np.str_]:
    return np.array(names)[np.searchsorted(thresholds, values)]


def _pick(log_odds: NDArray[np.float64], rng: RandomState) -> NDArray[np.int64]:
    """One column per row, with probability proportional to exp(log_odds) (Gumbel's trick)."""
    return np.argmax(log_odds + rng.gumbel(size=log_odds.shape), axis=1)
