"""Plot: the share of ads within each impression variance, with targets and noise floor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairgroup.ranking._result import SimulationResult
from fairgroup.ranking._variance import as_shares, impression_variance
from fairgroup.utils._optional import require
from fairgroup.utils._validation import as_generator

if TYPE_CHECKING:
    from fairgroup.ranking._reranker import VarianceAwareReranker

Floats = NDArray[np.float64]

# Shares of ads that were to be within 10 % by the end of 2023 (DOJ press release, 9 January 2023).
TARGETS = {"sex": 0.917, "race": 0.810}
THRESHOLD = 0.10
_FLOOR_DRAWS = 50


class ImpressionVarianceDisplay:
    """Cumulative distribution of the impression variance over ads.

    It is best created with `from_predictions`, `from_result` or `from_estimator`. The curve's
    height at 0.10 is the coverage; the dotted curve is what perfectly proportional delivery of
    the same numbers of impressions would show, since chance alone makes small ads look skewed.

    Parameters
    ----------
    variance : dict of str to ndarray of shape (n_ads,)
        Variances of one curve each, by name.
    floor : dict of str to ndarray of shape (n_draws,)
        Variances under perfect delivery, by name; curves without one are left out.
    targets : dict of str to float
        Coverage targets at 0.10, by name.
    estimator_name : str or None, default=None
        Prefix of the curves' names.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of Line2D
        Curves of the ads.

    Examples
    --------
    >>> from fairgroup.ranking import AdAuctionSimulator, ImpressionVarianceDisplay
    >>> result = AdAuctionSimulator(n_auctions=20_000, random_state=0).run()
    >>> display = ImpressionVarianceDisplay.from_result(result, min_impressions=100)
    >>> sorted(display.variance)
    ['race', 'sex']
    """

    def __init__(
        self,
        *,
        variance: Mapping[str, Floats],
        floor: Mapping[str, Floats] | None = None,
        targets: Mapping[str, float] | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.variance = dict(variance)
        self.floor = dict(floor or {})
        self.targets = dict(targets or {})
        self.estimator_name = estimator_name

    @classmethod
    def from_predictions(
        cls,
        counts: ArrayLike | Mapping[str, ArrayLike],
        eligible: ArrayLike | Mapping[str, ArrayLike],
        *,
        min_impressions: int = 300,
        targets: Mapping[str, float] | None = None,
        name: str | None = None,
        random_state: Any = 0,
        ax: Any = None,
        **kwargs: Any,
    ) -> ImpressionVarianceDisplay:
        """Plot from counts.

        Parameters
        ----------
        counts : array-like of shape (n_ads, n_levels), or dict of attribute to such
            Impressions or users of each level.
        eligible : array-like of shape (n_levels,) or (n_ads, n_levels), or dict likewise
            Eligible distributions.
        min_impressions : int, default=300
            Only ads with more impressions than this take part.
        targets : mapping of attribute to float, default=None
            Coverage targets; None takes the public ones, 91.7 % for "sex" and 81.0 % for "race".
        name : str or None, default=None
            Prefix of the curves' names.
        random_state : int, RandomState instance, Generator or None, default=0
            Seed of the noise floor.
        ax : matplotlib Axes, default=None
            Where to draw.
        **kwargs : dict
            Passed to the curves.

        Returns
        -------
        display : ImpressionVarianceDisplay
        """
        tables = dict(counts) if isinstance(counts, Mapping) else {"": counts}
        shares = dict(eligible) if isinstance(eligible, Mapping) else {"": eligible}
        rng, variance, floor = as_generator(random_state), {}, {}
        for a, table in tables.items():
            n = np.maximum(np.asarray(table, dtype=np.float64), 0.0)
            e = as_shares(shares[a], n.shape)
            keep = n.sum(axis=1) > min_impressions
            variance[a] = impression_variance(n[keep], e[keep])
            floor[a] = _fair_draws(n[keep], e[keep], rng)
        targets = TARGETS if targets is None else targets
        known = {a: t for a, t in targets.items() if a in variance}
        display = cls(variance=variance, floor=floor, targets=known, estimator_name=name)
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_result(
        cls, result: SimulationResult, *, users: bool = False, **kwargs: Any
    ) -> ImpressionVarianceDisplay:
        """Plot from a simulation.

        Parameters
        ----------
        result : SimulationResult
            What `AdAuctionSimulator.run` returned.
        users : bool, default=False
            Count each user once per ad.
        **kwargs : dict
            As in `from_predictions`.

        Returns
        -------
        display : ImpressionVarianceDisplay
        """
        counts = result.user_counts if users else result.counts
        return cls.from_predictions(counts, result.eligible, **kwargs)

    @classmethod
    def from_estimator(
        cls, estimator: VarianceAwareReranker, **kwargs: Any
    ) -> ImpressionVarianceDisplay:
        """Plot what a re-ranker has seen: released counts, privacy noise included.

        Parameters
        ----------
        estimator : VarianceAwareReranker
            Fitted, with deliveries.
        **kwargs : dict
            As in `from_predictions`.

        Returns
        -------
        display : ImpressionVarianceDisplay
        """
        return cls.from_predictions(estimator.released_counts_, estimator.eligible_, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Any:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            Prefix of the curves' names; None takes ``estimator_name``.
        **kwargs : dict
            Passed to ``ax.step`` of the ads' curves.

        Returns
        -------
        display : ImpressionVarianceDisplay
        """
        plt = require("matplotlib.pyplot", extra="report")
        if ax is None:
            ax = plt.subplots()[1]
        prefix = name if name is not None else self.estimator_name
        self.lines_ = []
        for a, values in self.variance.items():
            label = " ".join(part for part in (prefix, a) if part) or "ads"
            if not len(values):
                continue
            coverage = np.mean(values <= THRESHOLD + 1e-12)
            style = {"label": f"{label}: {coverage:.0%} within {THRESHOLD:.2f}", **kwargs}
            (line,) = ax.step(*_steps(values), where="post", **style)
            self.lines_.append(line)
            if a in self.floor:
                ax.step(*_steps(self.floor[a]), where="post", ls=":", lw=1, color=line.get_color())
            if a in self.targets:
                ax.plot(
                    [0, THRESHOLD], [self.targets[a]] * 2, ls="--", lw=1, color=line.get_color()
                )
                ax.plot(THRESHOLD, self.targets[a], marker="v", color=line.get_color())
        ax.axvline(THRESHOLD, color="0.6", lw=1, zorder=0)
        ax.set(
            xlabel="impression variance (share of impressions in the wrong group)",
            ylabel="share of ads",
            xlim=(0, None),
            ylim=(0, 1.02),
        )
        if self.lines_:
            ax.legend(
                loc="lower right",
                title="solid: ads   dotted: perfect delivery\ntriangle: target at 0.10",
                fontsize="small",
                title_fontsize="small",
            )
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _steps(values: Floats) -> tuple[Floats, Floats]:
    """Corners of the empirical distribution function, from 0."""
    x = np.sort(values)
    return np.r_[0.0, x], np.arange(len(x) + 1) / len(x)


def _fair_draws(counts: Floats, eligible: Floats, rng: np.random.Generator) -> Floats:
    """Variances of ads of these sizes when impressions are drawn from the eligible audience."""
    if not len(counts):
        return np.empty(0)
    n = np.rint(counts.sum(axis=1)).astype(np.int64)
    drawn = rng.multinomial(n, eligible, size=(_FLOOR_DRAWS, len(n))).astype(np.float64)
    return np.concatenate([impression_variance(d, eligible) for d in drawn])
