"""Plot of the regret of every group over time, with its bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from fairgroup.online._regret import groupwise_regret
from fairgroup.utils._optional import require

if TYPE_CHECKING:
    from fairgroup.online._groupwise import GroupwiseBase

__all__ = ["GroupRegretDisplay"]

Floats = NDArray[np.float64]


class GroupRegretDisplay:
    """Cumulative regret of every group, one panel each.

    Use `from_estimator` or `from_predictions`.

    Parameters
    ----------
    curves : dict
        ``curves[group][label] = (rows, values)``: the group's own rows so far, and a number.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (n_groups,)
    figure_ : Figure

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.online import GroupRegretDisplay, GroupwiseRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, sex = rng.normal(size=(300, 2)), rng.choice(["f", "m"], size=300)
    >>> y = np.where(sex == "f", X[:, 0], -X[:, 0])
    >>> model = GroupwiseRegressor().fit(X, y, sensitive_features=sex)
    >>> GroupRegretDisplay.from_estimator(model).axes_.shape
    (3,)
    """

    def __init__(self, curves: Mapping[str, Mapping[str, tuple[Floats, Floats]]]) -> None:
        self.curves = curves

    @classmethod
    def from_estimator(
        cls,
        estimator: GroupwiseBase,
        *,
        groups: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Plot what a fitted estimator has recorded.

        Shown are the regret to the group's own learner with its bound, and, where the base learner
        knows it, the regret to the best ridge model for the group in hindsight.

        Parameters
        ----------
        estimator : GroupwiseRegressor or GroupwiseClassifier
            Fitted.
        groups : sequence of str, default=None
            Which groups. None: all (at most the 12 largest).
        ax : Axes, default=None
            One axes for a single group. None: a new figure with a panel per group.

        Returns
        -------
        display : GroupRegretDisplay
        """
        check_is_fitted(estimator, "_core")
        core, names = estimator._core, estimator.group_names_
        _, course = core.history()
        chosen = _choose(names, course["size"][-1:].sum(axis=0), groups)
        curves: dict[str, dict[str, tuple[Floats, Floats]]] = {}
        for name in chosen:
            g = names.index(name)
            size = course["size"][:, g]
            here = size > 0
            lines = {
                "to own learner": course["loss"][:, g] - course["expert_loss"][:, g],
                "bound": course["bound"][:, g],
            }
            if core.bank.has_hindsight:
                lines["to best model in hindsight"] = (
                    course["loss"][:, g] - course["hindsight"][:, g]
                )
            curves[name] = {label: (size[here], line[here]) for label, line in lines.items()}
        return cls(curves).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike | Mapping[str, ArrayLike],
        *,
        X: ArrayLike | None = None,
        sensitive_features: Any = None,
        memberships: Any = None,
        comparator: Any = "ols",
        groups: Sequence[str] | None = None,
        checkpoints: int = 60,
        ax: Any = None,
    ) -> Self:
        """Plot the regret of predictions of any models, in time order.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
        y_pred : array-like of shape (n_samples,), or dict of such by name
            Several models are drawn into the same panels.
        X, sensitive_features, memberships, comparator
            As in `groupwise_regret`.
        groups : sequence of str, default=None
            Which groups. None: all (at most the 12 largest).
        checkpoints : int, default=60
            Points per curve.
        ax : Axes, default=None
            One axes for a single group. None: a new figure with a panel per group.

        Returns
        -------
        display : GroupRegretDisplay
        """
        models = y_pred if isinstance(y_pred, Mapping) else {"regret": y_pred}
        tables = {
            label: groupwise_regret(
                y_true,
                values,
                X=X,
                sensitive_features=sensitive_features,
                memberships=memberships,
                comparator=comparator,
                checkpoints=checkpoints,
            )
            for label, values in models.items()
        }
        first = next(iter(tables.values()))
        names = list(dict.fromkeys(first.index.get_level_values("group")))
        size = first.groupby(level="group", sort=False)["size"].last()
        chosen = _choose(names, size.to_numpy(), groups)
        curves = {
            name: {label: _course(table, name) for label, table in tables.items()}
            for name in chosen
        }
        return cls(curves).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, default=None
            One axes for a single group. None: a new figure with a panel per group.

        Returns
        -------
        display : GroupRegretDisplay
        """
        plt = require("matplotlib.pyplot", extra="report")
        names = list(self.curves)
        if ax is not None:
            if len(names) != 1:
                raise ValueError(f"ax shows one group, but {len(names)} are chosen; name one.")
            self.figure_, self.axes_ = ax.figure, np.array([ax], dtype=object)
        else:
            n_columns = min(3, len(names))
            n_rows = -(-len(names) // n_columns)
            self.figure_, grid = plt.subplots(
                n_rows,
                n_columns,
                figsize=(3.6 * n_columns, 2.7 * n_rows + 0.5),
                squeeze=False,
                layout="constrained",
            )
            self.axes_ = grid.ravel()[: len(names)]
            for unused in grid.ravel()[len(names) :]:
                unused.set_visible(False)
        for axis, name in zip(self.axes_, names, strict=True):
            _panel(axis, name, self.curves[name])
        self._legend()
        return self

    def _legend(self) -> None:
        handles, labels = self.axes_[0].get_legend_handles_labels()
        if len(self.axes_) == 1:
            self.axes_[0].legend(frameon=False, fontsize="small")
        else:
            self.figure_.legend(
                handles, labels, loc="outside upper center", ncols=len(labels), frameon=False
            )


def _course(table: pd.DataFrame, name: str) -> tuple[Floats, Floats]:
    rows = table.xs(name, level="group")
    return rows["size"].to_numpy(), rows["regret"].to_numpy()


def _choose(names: list[str], size: Floats, groups: Sequence[str] | None) -> list[str]:
    if groups is None:
        largest = np.argsort(-np.asarray(size), kind="stable")[:12]
        return [names[g] for g in sorted(largest) if size[g] > 0]
    unknown = [name for name in groups if name not in names]
    if unknown:
        raise ValueError(f"There are no groups {unknown}; known are {names}.")
    return list(groups)


def _panel(axis: Any, name: str, curves: Mapping[str, tuple[Floats, Floats]]) -> None:
    styles = {"bound": {"color": "0.45", "linestyle": "--", "linewidth": 1.2}}
    for label, (rows, values) in curves.items():
        axis.plot(rows, values, label=label, **styles.get(label, {"linewidth": 1.6}))
    axis.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
    axis.set_title(name, fontsize="medium")
    axis.set_xlabel("rows of the group")
    axis.set_ylabel("cumulative regret")
