"""What predictions are compared given: strata of a discrete variable, anchors of a number."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fairgroup.groups._frame import sensitive_frame
from fairgroup.groups._sensitive_encoder import MAX_ORDINAL_LEVELS

__all__ = ["CONSTRAINTS", "Anchors", "Strata", "condition_of"]

Floats = NDArray[np.float64]

CONSTRAINTS = (
    "demographic_parity",
    "equal_opportunity",
    "equalized_odds",
    "conditional_parity",
)


@dataclass(frozen=True)
class Strata:
    """Rows that are compared with each other only: the stratum of each row, -1 for none."""

    codes: NDArray[np.int64]
    names: tuple[str, ...]

    def take(self, rows: Any) -> Strata:
        """Return a selection of the rows."""
        return Strata(self.codes[rows], self.names)


@dataclass(frozen=True)
class Anchors:
    """Values near which rows are compared with each other, with Gaussian weights."""

    values: Floats
    points: Floats
    width: float

    def take(self, rows: Any) -> Anchors:
        """Return a selection of the rows."""
        return Anchors(self.values[rows], self.points, self.width)

    def weights(self) -> Floats:
        """Return the weight of every row at every anchor, shape (n_anchors, n_samples)."""
        distance = (self.values - self.points[:, None]) / self.width
        nearest = np.min(np.abs(distance), axis=1, keepdims=True)
        # Relative to the nearest row, so that an anchor far from a batch has weights all the same.
        return np.exp(0.5 * (nearest**2 - distance**2))


def condition_of(
    constraint: str,
    *,
    y: ArrayLike | None,
    control_features: Any,
    n_samples: int,
    n_anchors: int,
) -> Strata | Anchors | None:
    """Return what predictions are compared given, or None for demographic parity.

    Parameters
    ----------
    constraint : {"demographic_parity", "equal_opportunity", "equalized_odds", \
            "conditional_parity"}
        The notion of fairness.
    y : array-like of shape (n_samples,) or None
        Target, for equal opportunity and equalized odds.
    control_features : array-like of shape (n_samples,) or (n_samples, n_columns), or None
        Legitimate factors, for conditional parity.
    n_samples, n_anchors : int
        Number of rows and of anchors.

    Returns
    -------
    condition : Strata, Anchors or None

    Raises
    ------
    ValueError
        For an unknown constraint, what it needs and is not there, other than two classes with
        equal opportunity, or several control features of which one is continuous.
    """
    if constraint not in CONSTRAINTS:
        raise ValueError(f"constraint must be one of {list(CONSTRAINTS)}; got {constraint!r}.")
    if constraint == "demographic_parity":
        return None
    if constraint == "conditional_parity":
        if control_features is None:
            raise ValueError('constraint="conditional_parity" needs control_features.')
        frame = sensitive_frame(control_features, name="control_features", n_samples=n_samples)[0]
        return _condition(frame, n_anchors)
    if y is None:
        raise ValueError(f'constraint="{constraint}" needs y.')
    frame = sensitive_frame(y, name="y", n_samples=n_samples)[0].set_axis(["y"], axis=1)
    if constraint == "equalized_odds":
        return _condition(frame, n_anchors)
    classes = np.unique(frame["y"])
    if len(classes) != 2:
        raise ValueError(
            f'constraint="equal_opportunity" needs a target of two classes; y has {len(classes)}.'
        )
    favourable = frame["y"].to_numpy() == classes[1]
    return Strata(np.where(favourable, 0, -1), (f"y={classes[1]}",))


def _condition(frame: pd.DataFrame, n_anchors: int) -> Strata | Anchors:
    if frame.isna().to_numpy().any():
        raise ValueError(f"{list(frame.columns)} must not have missing values.")
    continuous = [name for name in frame if _is_continuous(frame[name])]
    if not continuous:
        # ngroup numbers the combinations in sorted order.
        groups = frame.groupby(list(frame.columns), observed=True, sort=True)
        names = [", ".join(f"{c}={v}" for c, v in row.items()) for row in _levels(frame)]
        return Strata(groups.ngroup().to_numpy().astype(np.int64), tuple(names))
    if frame.shape[1] > 1:
        raise ValueError(
            f"control_features has the continuous column {continuous[0]!r} beside others; bin it, "
            "or give it alone."
        )
    values = frame.iloc[:, 0].to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{continuous[0]} must be finite.")
    points = np.quantile(values, (np.arange(n_anchors) + 0.5) / n_anchors)
    # Scott's rule
    return Anchors(values, points, float(values.std()) * len(values) ** -0.2)


def _levels(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return frame.drop_duplicates().sort_values(list(frame.columns)).to_dict("records")


def _is_continuous(column: pd.Series) -> bool:
    """Whether a column is numeric with more values than an ordinal attribute may have."""
    numeric = pd.api.types.is_numeric_dtype(column.dtype)
    return bool(numeric and column.nunique() > MAX_ORDINAL_LEVELS)
