"""Plots of dependence: which subgroups differ, and how the observed value compares with chance."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from fairgroup.dependence._energy import subgroup_energy_report
from fairgroup.dependence._independence import IndependenceTest, independence_test
from fairgroup.utils._optional import require

__all__ = ["IndependenceTestDisplay", "SubgroupEnergyDisplay"]


class SubgroupEnergyDisplay:
    """Pairs of subgroups whose predictions differ, with intervals, and what each contributes.

    It is best created with `from_predictions`. The left panel shows energy distances: a bar that
    reaches zero is compatible with equal distributions. The right panel shows how much of
    the distance covariance comes from the pair, which also counts how many people are concerned.

    Parameters
    ----------
    report : DataFrame
        From `subgroup_energy_report`.
    max_pairs : int, default=12
        Only the pairs that contribute most are drawn.

    Attributes
    ----------
    ax_ : ndarray of two matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from fairgroup.dependence import SubgroupEnergyDisplay
    >>> display = SubgroupEnergyDisplay.from_predictions([0, 1, 2, 4, 7], {"s": list("aabbb")})
    >>> display.ax_[0].get_xlabel()
    'energy distance of the predictions'
    """

    def __init__(self, *, report: pd.DataFrame, max_pairs: int = 12) -> None:
        self.report, self.max_pairs = report, max_pairs

    @classmethod
    def from_predictions(
        cls,
        y_pred: Any,
        sensitive_features: Any,
        *,
        max_pairs: int = 12,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Measure and plot.

        Parameters
        ----------
        y_pred, sensitive_features
            As in `subgroup_energy_report`.
        max_pairs : int, default=12
            Only the pairs that contribute most are drawn.
        ax : sequence of two matplotlib Axes, default=None
            Where to draw.
        **options
            Further arguments of `subgroup_energy_report`.

        Returns
        -------
        display : SubgroupEnergyDisplay
        """
        report = subgroup_energy_report(y_pred, sensitive_features, **options)
        return cls(report=report, max_pairs=max_pairs).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Where to draw.

        Returns
        -------
        self : SubgroupEnergyDisplay
        """
        shown = self.report.head(self.max_pairs).iloc[::-1]
        place = np.arange(len(shown))
        if ax is None:
            plt = require("matplotlib.pyplot", extra="report")
            size = (10.0, 1.2 + 0.42 * len(shown))
            _, ax = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
        left, right = ax
        energy = shown["energy"].to_numpy()
        below, above = energy - shown["lower"], shown["upper"] - energy
        left.errorbar(
            energy, place, xerr=[below, above], fmt="o", color="#4c72b0", ecolor="#9fb4d6"
        )
        left.axvline(0, color="0.6", lw=1)
        left.set(
            yticks=place,
            yticklabels=[
                f"{a}  |  {b}" for a, b in zip(shown.group_a, shown.group_b, strict=True)
            ],
            xlabel="energy distance of the predictions",
        )
        contribution = shown["contribution"].to_numpy()
        right.barh(place, contribution, color=np.where(contribution < 0, "#9fb4d6", "#dd8452"))
        for y, (value, share) in enumerate(zip(contribution, shown["share"], strict=True)):
            right.annotate(
                f"{share:.0%}", (max(value, 0), y), xytext=(3, 0), textcoords="offset points",
                va="center", fontsize="small",
            )  # fmt: skip
        right.margins(x=0.15)
        right.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3))
        right.locator_params(axis="x", nbins=5)
        right.set_xlabel("contribution to dCov², with its share", loc="left")
        hidden = len(self.report) - len(shown)
        if hidden > 0:
            rest = self.report["contribution"].iloc[self.max_pairs :].sum()
            right.set_title(f"{hidden} further pairs: {rest:.2g}", fontsize="small", loc="right")
        self.ax_, self.figure_ = np.array([left, right]), left.figure
        return self


class IndependenceTestDisplay:
    """The observed statistic among those of permuted predictions.

    It is best created with `from_predictions`.

    Parameters
    ----------
    test : IndependenceTest
        From `independence_test` with ``method="permutation"``.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from fairgroup.dependence import IndependenceTestDisplay
    >>> display = IndependenceTestDisplay.from_predictions(range(8), list("aaaabbbb"))
    >>> display.ax_.get_ylabel()
    'permutations'
    """

    def __init__(self, *, test: IndependenceTest) -> None:
        self.test = test

    @classmethod
    def from_predictions(
        cls, y_pred: Any, sensitive_features: Any, *, ax: Any = None, **options: Any
    ) -> Self:
        """Test and plot.

        Parameters
        ----------
        y_pred, sensitive_features
            As in `independence_test`.
        ax : matplotlib Axes, default=None
            Where to draw.
        **options
            Further arguments of `independence_test`.

        Returns
        -------
        display : IndependenceTestDisplay

        Raises
        ------
        ValueError
            For ``method="chi2"``, which has no permutations to show.
        """
        return cls(test=independence_test(y_pred, sensitive_features, **options)).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw.

        Returns
        -------
        self : IndependenceTestDisplay
        """
        test = self.test
        if not len(test.null):
            raise ValueError('There are no permutations to show; use method="permutation".')
        if ax is None:
            plt = require("matplotlib.pyplot", extra="report")
            _, ax = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
        ax.hist(test.null, bins=40, color="#9fb4d6", label="under independence (permuted)")
        ax.axvline(test.critical_value, color="#4c72b0", ls="--", lw=1,
                   label=f"critical value, level {test.level:g}")  # fmt: skip
        ax.axvline(test.statistic, color="#c44e52", lw=2,
                   label=f"observed, p = {test.p_value:.2g}")  # fmt: skip
        ax.set(xlabel=f"{test.name} of {test.n_samples:,} rows", ylabel="permutations")
        ax.legend(frameon=False, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self
