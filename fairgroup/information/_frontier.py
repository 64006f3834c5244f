"""The best accuracy that any decision rule can reach at given global and local disparity (AGLFOP).

Hamman and Dutta, "Demystifying Local & Global Fairness Trade-offs in Federated Learning Using
Partial Information Decomposition", ICLR 2024, Definition 5. Only counts of (group, client, label)
are needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from fairgroup.groups import GroupEncoder
from fairgroup.groups._shown import GroupsShown
from fairgroup.information._budgets import (
    check_budgets,
    chord,
    least_local,
    masses_and_costs,
)
from fairgroup.information._counts import Levels, count_cells, encode
from fairgroup.information._display import FairnessFrontierDisplay
from fairgroup.information._frontier_solver import Frontier, never_binds, solve_frontier
from fairgroup.information._measures import as_tables, unit
from fairgroup.information._pid import pid_broja
from fairgroup.information._rules import Rules, informations
from fairgroup.information._table import Rows, group_labels, named_levels
from fairgroup.utils._sklearn import HasMethods, Interval, StrOptions, fit_context

__all__ = ["FairnessFrontier", "FrontierPoint"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FrontierPoint:
    """One point of the frontier: the best rule for a pair of budgets.

    Attributes
    ----------
    epsilon_global, epsilon_local : float
        The budgets.
    error : float
        Error rate of the rule; 1 - error is the accuracy.
    lower_bound : float
        No rule within the budgets has a smaller error.
    achieved_global, achieved_local : float
        Disparities of the rule, at most the budgets.
    multipliers : tuple of float
        By how much the error would fall per unit of global (local) budget: the price of fairness.
        NaN at a budget of zero, where it is infinite.
    joint : ndarray of shape (n_groups, n_clients, n_base, n_labels)
        Law of (group, client, base output, decision); the base output is the true label in label
        mode.
    n_iter : int
        Newton steps.

    Examples
    --------
    >>> from fairgroup.information import FairnessFrontier
    >>> frontier = FairnessFrontier(n_grid=2).fit_counts(
    ...     [[[30, 10], [20, 20]], [[10, 20], [15, 35]]]
    ... )
    >>> point = frontier.solve(0.01, float("inf"))
    >>> print(f"{point.error:.6f}, price {point.multipliers[0]:.2f} per bit")
    0.097448, price 2.93 per bit
    """

    epsilon_global: float
    epsilon_local: float
    error: float
    lower_bound: float
    achieved_global: float
    achieved_local: float
    multipliers: tuple[float, float]
    joint: Array
    n_iter: int


class FairnessFrontier(GroupsShown, BaseEstimator):
    """Certified frontier of accuracy against global and local fairness.

    Two modes. *Label mode*: what is the best accuracy that any model, however good, can have on
    this population within the budgets? It needs the counts of (group, client, label).
    *Post-processing mode* (``fit`` with ``base_output``): what is the best accuracy that a
    randomised change of a given model's outputs can have?

    Parameters
    ----------
    epsilon_global, epsilon_local : "auto" or array-like of shape (n_points,), default="auto"
        Budgets, in units of ``base``; infinity means no limit. ``"auto"``: ``n_grid`` values from
        0 to the disparity of the labels (or of the base outputs), above which a budget does not
        bind.
    n_grid : int, default=11
        Length of automatic grids.
    base : float or "e", default=2
        Base of the logarithm; 2 gives bits.
    tol : float, default=1e-8
        Wanted difference between error and lower bound.
    max_iter : int, default=100
        Largest number of Newton steps.
    level : {"group-client", "group", "blind"}, default="group-client"
        What a rule may look at besides the label or base output.
    tie_break : {"center", "min_local"}, default="center"
        Many rules reach the optimum when a budget does not bind, and their decompositions differ.
        ``"center"``: the limit of the interior point method; ``"min_local"``: the one with the
        least local disparity.
    decompose : bool, default=True
        Also decompose the disparity of the optimal rules.
    solver : {"ipm", "cvxpy"}, default="ipm"
        ``"cvxpy"`` is a slow independent check.
    encoder : GroupEncoder or None, default=None
        How protected attributes become groups.

    Attributes
    ----------
    epsilon_global_ : ndarray of shape (G,)
        Global budgets.
    epsilon_local_ : ndarray of shape (E,)
        Local budgets.
    error_, accuracy_, lower_bound_ : ndarray of shape (G, E)
        Error of the best rule, one minus it, and its certified lower bound.
    achieved_global_, achieved_local_ : ndarray of shape (G, E)
        Disparities of the rules.
    multipliers_ : ndarray of shape (G, E, 2)
        Fall of the error per unit of global and of local budget.
    unique_, redundant_, masked_ : ndarray of shape (G, E)
        Decomposition of the rules' disparity (with ``decompose=True``).
    solution_ : ndarray of shape (G, E, n_groups, n_clients, n_labels)
        Law of (group, client, decision).
    max_global_, max_local_ : float
        Disparity of the labels (or of the best unconstrained rule): larger budgets do not bind.
    z_labels_, client_labels_, y_labels_, base_labels_ : tuple
        Levels of groups, clients, labels and base outputs.

    See Also
    --------
    FrontierPostProcessor : Makes decisions at a point of the frontier.
    DisparityDecomposition : Where the disparity of given decisions comes from.

    Notes
    -----
    The error is jointly convex and non-increasing in the budgets. Budgets of zero are exact:
    there, all groups are decided at the same rates. One Newton step of one budget costs
    O((n_groups n_clients)^3) for two labels.

    References
    ----------
    Hamman and Dutta, ICLR 2024, Definition 5.

    Examples
    --------
    >>> from fairgroup.information import FairnessFrontier
    >>> table = [[[30, 10], [20, 20]], [[10, 20], [15, 35]]]
    >>> frontier = FairnessFrontier(epsilon_global=[0, 0.05], epsilon_local=[float("inf")])
    >>> frontier.fit_counts(table).accuracy_.round(3)
    array([[0.844],
           [0.975]])
    """

    _parameter_constraints = {
        "epsilon_global": ["array-like", StrOptions({"auto"})],
        "epsilon_local": ["array-like", StrOptions({"auto"})],
        "n_grid": [Interval(Integral, 2, None, closed="left")],
        "base": [Interval(Real, 1, None, closed="neither"), StrOptions({"e"})],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "level": [StrOptions({"group-client", "group", "blind"})],
        "tie_break": [StrOptions({"center", "min_local"})],
        "decompose": ["boolean"],
        "solver": [StrOptions({"ipm", "cvxpy"})],
        "encoder": [HasMethods(["fit", "transform"]), None],
    }

    def __init__(
        self,
        *,
        epsilon_global: ArrayLike | str = "auto",
        epsilon_local: ArrayLike | str = "auto",
        n_grid: int = 11,
        base: float | str = 2,
        tol: float = 1e-8,
        max_iter: int = 100,
        level: str = "group-client",
        tie_break: str = "center",
        decompose: bool = True,
        solver: str = "ipm",
        encoder: GroupEncoder | None = None,
    ) -> None:
        self.epsilon_global = epsilon_global
        self.epsilon_local = epsilon_local
        self.n_grid = n_grid
        self.base = base
        self.tol = tol
        self.max_iter = max_iter
        self.level = level
        self.tie_break = tie_break
        self.decompose = decompose
        self.solver = solver
        self.encoder = encoder

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        y: Any,
        *,
        sensitive_features: Any,
        clients: Any = None,
        base_output: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Count and solve the grid.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            True labels.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Protected attributes.
        clients : array-like of shape (n_samples,), default=None
            Site of each row; None puts all into one.
        base_output : array-like of shape (n_samples,), default=None
            Decisions or score levels of a model: post-processing mode.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        self : FairnessFrontier

        Raises
        ------
        ValueError
            For different lengths, missing values, or negative budgets.

        Warns
        -----
        ConvergenceWarning
            When some budget's bounds are further apart than ``tol``.
        """
        rows = Rows(
            y, sensitive_features, clients, sample_weight, encoder=self.encoder, estimator=self
        )
        codes, y_labels = encode(rows.values, name="y")
        if base_output is None:
            counts, labels = rows.table(codes, y_labels).counts, y_labels
            table = counts.transpose(0, 2, 1)
        else:
            base_codes, labels = encode(base_output, name="base_output")
            table = count_cells(
                [rows.groups.codes, rows.clients, base_codes, codes],
                [rows.groups.n_groups, len(rows.client_labels), len(labels), len(y_labels)],
                None if rows.counted_weight is None else rows.weight,
            )
        self.base_labels_ = labels
        return self._fit_table(table, (group_labels(rows.groups), rows.client_labels, y_labels))

    @fit_context(prefer_skip_nested_validation=True)
    def fit_counts(
        self, table: ArrayLike, *, labels: Sequence[Sequence[Hashable]] | None = None
    ) -> Self:
        """Solve the grid for a table of counts.

        Parameters
        ----------
        table : array-like of shape (n_groups, n_clients, n_labels)
            Counts with the axes group, client, label. With four axes, group, client, base output,
            label: post-processing mode.
        labels : sequence of three sequences, default=None
            Names of groups, clients and labels.

        Returns
        -------
        self : FairnessFrontier

        Raises
        ------
        ValueError
            For another number of axes, negative or all-zero counts, or negative budgets.
        """
        counts = np.asarray(table, dtype=np.float64)
        if counts.ndim not in (3, 4):
            raise ValueError(
                f"table has {counts.ndim} axes; expected (group, client, label) or (group, "
                "client, base output, label)."
            )
        counts = as_tables(counts, n_axes=counts.ndim)
        names = named_levels(labels, (*counts.shape[:2], counts.shape[-1]))
        self.base_labels_ = names[2] if counts.ndim == 3 else tuple(range(counts.shape[2]))
        return self._fit_table(counts, names)

    def solve(self, epsilon_global: float, epsilon_local: float) -> FrontierPoint:
        """Solve one pair of budgets on the fitted table.

        Parameters
        ----------
        epsilon_global, epsilon_local : float
            Budgets, in units of ``base``; infinity means no limit.

        Returns
        -------
        point : FrontierPoint

        Raises
        ------
        ValueError
            For a negative or missing budget.
        """
        check_is_fitted(self)
        budgets = check_budgets([epsilon_global], [epsilon_local], unit(self.base))
        found = self._solve(budgets)
        achieved = self._achieved(found)
        return FrontierPoint(
            float(epsilon_global),
            float(epsilon_local),
            float(found.error[0]),
            float(found.lower[0]),
            float(achieved[0, 0]),
            float(achieved[0, 1]),
            (float(found.multipliers[0, 0]), float(found.multipliers[0, 1])),
            found.joint[0].transpose(1, 0, 2, 3),
            int(found.n_iter[0]),
        )

    def bounds(self, epsilon_global: float, epsilon_local: float) -> tuple[float, float]:
        """Certified bounds of the optimal error at any budgets, without solving.

        The error is convex and falls with the budgets, so tangents at the grid points bound it
        from below and chords between them from above.

        Parameters
        ----------
        epsilon_global, epsilon_local : float
            Budgets, in units of ``base``.

        Returns
        -------
        lower, upper : float
        """
        check_is_fitted(self)
        most = never_binds(len(self.z_labels_)) / unit(self.base)
        axes = [np.minimum(axis, most) for axis in (self.epsilon_global_, self.epsilon_local_)]
        point = np.minimum([epsilon_global, epsilon_local], most)
        step = point - np.stack(np.meshgrid(*axes, indexing="ij"), axis=2)
        # At a budget of zero the slope is infinite and the tangent bounds nothing.
        fall = (np.nan_to_num(self.multipliers_) * step).sum(2)
        tangent = np.where(np.isfinite(self.multipliers_).all(2), self.lower_bound_ - fall, 0.0)
        upper = chord(self.error_, axes, point)
        return float(max(tangent.max(), 0.0)), min(upper, float(self._constant_error))

    def knee(self) -> FrontierPoint:
        """Suggest where to stop: the grid point furthest below the straight line between the ends.

        Both axes are scaled to [0, 1]: the tighter budget relative to its maximum, and the error
        relative to that at budgets of zero. Before the knee a little budget buys much accuracy;
        behind it, little.

        Returns
        -------
        point : FrontierPoint
        """
        check_is_fitted(self)
        used_global = np.minimum(self.epsilon_global_ / max(self.max_global_, 1e-300), 1.0)
        used_local = np.minimum(self.epsilon_local_ / max(self.max_local_, 1e-300), 1.0)
        used = np.maximum(used_global[:, None], used_local[None])
        spread = self.error_.max() - self.error_.min()
        height = (
            (self.error_ - self.error_.min()) / spread
            if spread > 0
            else np.zeros_like(self.error_)
        )
        i, j = np.unravel_index(np.argmin(used + height), used.shape)
        return self.solve(float(self.epsilon_global_[i]), float(self.epsilon_local_[j]))

    def to_frame(self) -> pd.DataFrame:
        """Return the grid as a table, one row per pair of budgets.

        Returns
        -------
        frame : DataFrame
        """
        check_is_fitted(self)
        first, second = np.meshgrid(self.epsilon_global_, self.epsilon_local_, indexing="ij")
        columns = {
            "epsilon_global": first,
            "epsilon_local": second,
            "accuracy": self.accuracy_,
            "gap": self.error_ - self.lower_bound_,
            "achieved_global": self.achieved_global_,
            "achieved_local": self.achieved_local_,
            "price_global": self.multipliers_[..., 0],
            "price_local": self.multipliers_[..., 1],
        }
        if self.decompose:
            columns |= {
                "unique": self.unique_,
                "redundant": self.redundant_,
                "masked": self.masked_,
            }
        return pd.DataFrame({name: values.ravel() for name, values in columns.items()})

    def plot(self, **kwargs: Any) -> FairnessFrontierDisplay:
        """Draw the frontier.

        Parameters
        ----------
        **kwargs : dict
            Handed to :meth:`FairnessFrontierDisplay.from_estimator`.

        Returns
        -------
        display : FairnessFrontierDisplay
        """
        return FairnessFrontierDisplay.from_estimator(self, **kwargs)

    def _groups_seen(self) -> list[tuple[str, str]]:
        return [(str(label), "") for label in getattr(self, "z_labels_", ())]

    def _fit_table(self, table: Array, labels: tuple[Levels, ...]) -> Self:
        nats = unit(self.base)
        self.z_labels_, self.client_labels_, self.y_labels_ = labels
        mass, cost = masses_and_costs(table)
        self._rules = Rules(mass, cost, self.level)
        free = solve_frontier(
            self._rules, np.array([[np.inf, np.inf]]), tol=self.tol, max_iter=self.max_iter
        )
        self.max_global_, self.max_local_ = self._largest(table, free)
        grids = [
            np.linspace(0, top, self.n_grid)
            if isinstance(given, str)
            else np.asarray(given, dtype=float).ravel()
            for given, top in (
                (self.epsilon_global, self.max_global_),
                (self.epsilon_local, self.max_local_),
            )
        ]
        self.epsilon_global_, self.epsilon_local_ = grids
        shape = (len(grids[0]), len(grids[1]))
        budgets = check_budgets(grids[0].repeat(shape[1]), np.tile(grids[1], shape[0]), nats)
        found = self._solve(budgets)
        achieved = self._achieved(found)
        self.error_, self.lower_bound_ = found.error.reshape(shape), found.lower.reshape(shape)
        self.accuracy_ = 1 - self.error_
        self.multipliers_ = found.multipliers.reshape(*shape, 2)
        self.achieved_global_, self.achieved_local_ = (
            achieved[:, i].reshape(shape) for i in (0, 1)
        )
        x = found.joint.sum(3).transpose(0, 2, 1, 3)  # (g, z, s, y)
        self.solution_ = x.reshape(*shape, *x.shape[1:])
        self._constant_error = (self._rules.cost * self._rules.mass[:, None]).sum(0).min()
        if self.decompose:
            parts = pid_broja(x.transpose(0, 1, 3, 2), base=self.base)
            for name, value in (
                ("unique_", parts.unique1),
                ("redundant_", parts.redundant),
                ("masked_", parts.synergy),
            ):
                setattr(self, name, value.reshape(shape))
        return self

    def _largest(self, table: Array, free: Frontier) -> tuple[float, float]:
        """Disparities above which budgets do not bind."""
        if table.ndim == 3:
            x = (table / table.sum()).transpose(1, 0, 2)[None]
        else:
            x = free.joint.sum(3)
        overall, inside = informations(x)[:2]
        nats = unit(self.base)
        return max(float(overall[0]), 0.0) / nats, max(float(inside[0]), 0.0) / nats

    def _solve(self, budgets: Array) -> Frontier:
        if self.solver == "cvxpy":
            from fairgroup.information._cvxpy import frontier_cvxpy

            found = frontier_cvxpy(self._rules, budgets)
        else:
            found = solve_frontier(self._rules, budgets, tol=self.tol, max_iter=self.max_iter)
        if self.tie_break == "min_local":
            found = least_local(self._rules, budgets, found, self.tol, self.max_iter)
        found.multipliers *= unit(self.base)
        missed = found.error - found.lower > max(self.tol, 1e-15)
        if missed.any():
            warnings.warn(
                f"{int(missed.sum())} of {len(budgets)} budgets missed tol={self.tol:g}; the "
                "largest difference of the "
                f"bounds is {np.max(found.error - found.lower):.2g}.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return found

    def _achieved(self, found: Frontier) -> Array:
        overall, inside = informations(found.joint.sum(3))[:2]
        return np.maximum(np.stack([overall, inside], axis=1), 0.0) / unit(self.base)
