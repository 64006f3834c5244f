"""Plots: learning curves with the data behind them, and where the budget went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fairgroup.sampling._stack import CurveStack
from fairgroup.utils._optional import require

if TYPE_CHECKING:
    from fairgroup.sampling._allocate import Allocation
    from fairgroup.sampling._sampler import AdaptiveGroupSampler

Floats = NDArray[np.float64]

__all__ = ["AllocationDisplay", "SamplingDisplay"]

_BAND = 1.64


def _axes(ax: Any, panels: int = 1) -> Any:
    plt = require("matplotlib.pyplot", extra="report")
    if ax is not None:
        return np.atleast_1d(ax)
    _, axes = plt.subplots(1, panels, figsize=(5.2 * panels, 4.0), layout="constrained")
    return np.atleast_1d(axes)


class AllocationDisplay:
    """Learning curves with an allocation on them.

    It is best created with `from_predictions`. Circles are what is held or required, dots what the
    budget should buy; the number beside a dot is what another thousand units of cost would add to
    the utility if spent on this group.

    Parameters
    ----------
    curves : list of curves
        Learning curves.
    lower, n, scores, shadow_prices : ndarray of shape (n_groups,)
        Where the curves start, the allocation, its scores and shadow prices.
    group_names : sequence of str
        Names of the groups.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from fairgroup.sampling import AllocationDisplay, PowerLawCurve, allocate_budget
    >>> curves = [PowerLawCurve(0.9, 2, 0.5), PowerLawCurve(0.8, 3, 0.6)]
    >>> allocation = allocate_budget(curves, 1.0, 400, lower=20)
    >>> display = AllocationDisplay.from_predictions(allocation, group_names=["a", "b"])
    >>> display.ax_.get_xlabel()
    'samples of the group'
    """

    def __init__(
        self,
        *,
        curves: list[Any],
        lower: Floats,
        n: Floats,
        scores: Floats,
        shadow_prices: Floats,
        group_names: Sequence[str],
    ) -> None:
        self.curves, self.lower, self.n, self.scores = curves, lower, n, scores
        self.shadow_prices, self.group_names = shadow_prices, list(group_names)

    @classmethod
    def from_predictions(
        cls, allocation: Allocation, *, ax: Any = None, group_names: Sequence[str] | None = None
    ) -> AllocationDisplay:
        """Plot an allocation.

        Parameters
        ----------
        allocation : Allocation
            What `allocate_budget` returned.
        ax : matplotlib Axes, default=None
            Where to draw.
        group_names : sequence of str, default=None
            Names of the groups; None numbers them.

        Returns
        -------
        display : AllocationDisplay
        """
        names = group_names or [f"group {g}" for g in range(len(allocation.n))]
        display = cls(
            curves=allocation.curves,
            lower=allocation.lower,
            n=np.asarray(allocation.n, dtype=np.float64),
            scores=allocation.scores,
            shadow_prices=allocation.shadow_prices,
            group_names=names,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> AllocationDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw.

        Returns
        -------
        self : AllocationDisplay
        """
        ax = _axes(ax)[0]
        end = 1.25 * float(np.max(self.n))
        for g, curve in enumerate(self.curves):
            colour = f"C{g}"
            start = max(float(self.lower[g]), 0.02 * end)
            grid = np.linspace(start, end, 200)
            ax.plot(grid, curve.predict(grid), color=colour, lw=1, label=self.group_names[g])
            first = np.asarray(curve.predict(np.array([start])))
            ax.plot([start], first, "o", mfc="white", mec=colour)
            ax.plot([self.n[g]], [self.scores[g]], "o", color=colour)
            ax.annotate(
                f"{1000 * self.shadow_prices[g]:.2g}",
                (self.n[g], self.scores[g]),
                xytext=(4, -10),
                textcoords="offset points",
                color=colour,
                fontsize="small",
            )
        ax.set(xlabel="samples of the group", ylabel="score")
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class SamplingDisplay:
    """A campaign: learning curves with data and forecast, and where the budget went.

    It is best created with `from_estimator`. Left: the score of each group in every round, and
    the estimated curve from there on as far as the rest of the budget could go (twice the samples
    held, when nothing is left), with a 90 % band for the slope. Right: samples bought, round by
    round.

    Parameters
    ----------
    n : ndarray of shape (n_rounds, n_groups)
        Samples held after each round.
    scores, errors : ndarray of shape (n_rounds, n_groups)
        Scores and their standard errors.
    curves : list of curves
        Curves through the last scores; empty without.
    slope_errors : ndarray of shape (n_groups,)
        Relative standard errors of the slopes.
    spent : ndarray of shape (n_rounds,)
        Cost after each round.
    reach : ndarray of shape (n_groups,)
        Samples at the end of the forecast.
    group_names : sequence of str
        Names of the groups.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Left and right panel.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from fairgroup.sampling import AdaptiveGroupSampler, SamplingDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, group = rng.normal(size=(800, 10)), np.resize(["a", "b"], 800)
    >>> y = X.sum(axis=1) + rng.normal(size=800) * np.where(group == "a", 1, 4)
    >>> sampler = AdaptiveGroupSampler(Ridge(), budget=300, random_state=0)
    >>> sampler = sampler.fit(X, y, sensitive_features=group)
    >>> display = SamplingDisplay.from_estimator(sampler)
    >>> display.axes_[0].get_xlabel()
    'samples of the group'
    """

    def __init__(
        self,
        *,
        n: NDArray[Any],
        scores: Floats,
        errors: Floats,
        curves: list[Any],
        slope_errors: Floats,
        spent: Floats,
        reach: Floats,
        group_names: Sequence[str],
    ) -> None:
        self.n, self.scores, self.errors, self.curves = n, scores, errors, curves
        self.slope_errors, self.spent, self.reach = slope_errors, spent, reach
        self.group_names = list(group_names)

    @classmethod
    def from_estimator(cls, estimator: AdaptiveGroupSampler, *, ax: Any = None) -> SamplingDisplay:
        """Plot a campaign that goes on or has ended.

        Parameters
        ----------
        estimator : AdaptiveGroupSampler
            With at least one round.
        ax : sequence of two matplotlib Axes, default=None
            Where to draw.

        Returns
        -------
        display : SamplingDisplay

        Raises
        ------
        ValueError
            Before the first round.
        """
        check_is_fitted(estimator, "n_per_group_")
        records = estimator._records
        if not records:
            raise ValueError("Nothing has been bought yet; tell the pilot first.")
        left = estimator._budget - estimator.spent_
        more = left / estimator._costs
        nothing_left = more.max() < 1
        held = estimator.n_per_group_.astype(np.float64)
        reach = held + (held if nothing_left else more)
        responses = estimator._responses
        display = cls(
            n=np.array([r.n for r in records]),
            scores=np.array([r.scores for r in records]),
            errors=np.array([r.errors for r in records]),
            curves=estimator.curves_,
            slope_errors=np.zeros(len(reach)) if responses is None else responses.error,
            spent=np.array([r.spent for r in records]),
            reach=reach,
            group_names=[str(label) for label in estimator.groups_],
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> SamplingDisplay:
        """Draw.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Where to draw.

        Returns
        -------
        self : SamplingDisplay
        """
        left, right = _axes(ax, panels=2)
        for g, name in enumerate(self.group_names):
            error = np.nan_to_num(self.errors[:, g])
            left.errorbar(
                self.n[:, g], self.scores[:, g], error, fmt="o", ms=3, lw=0.8, color=f"C{g}"
            )
            if self.curves:
                self._draw_forecast(left, g)
            right.plot(self.spent, self.n[:, g], "o-", ms=3, color=f"C{g}", label=name)
        left.set(xlabel="samples of the group", ylabel="score")
        right.set(xlabel="spent", ylabel="samples held")
        right.legend(frameon=False)
        self.axes_, self.figure_ = np.array([left, right]), left.figure
        return self

    def _draw_forecast(self, ax: Any, g: int) -> None:
        held = float(self.n[-1, g])
        if held < 1:
            return
        grid = np.linspace(held, max(self.reach[g], held + 1), 100)
        curve = CurveStack([self.curves[g]]).curves[0]
        score = np.asarray(curve.predict(grid))
        rise = score - float(np.asarray(curve.predict(np.array([held])))[0])
        width = _BAND * self.slope_errors[g] * rise
        ax.plot(grid, score, "--", lw=1, color=f"C{g}")
        ax.fill_between(grid, score - width, score + width, color=f"C{g}", alpha=0.15, lw=0)
