"""Many fairness weights and seeds over the same stream: the trade-off curve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import clone

from fairgroup.forest._aranyani import AranyaniBase
from fairgroup.forest._classifier import AranyaniClassifier

if TYPE_CHECKING:
    from fairgroup.forest._display import AranyaniPathDisplay

__all__ = ["AranyaniPath", "aranyani_path"]

WEIGHTS = (0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0)
SHARED = ("n_features_in_", "feature_names_in_", "classes_")


@dataclass(frozen=True, eq=False)
class AranyaniPath:
    """What `aranyani_path` found.

    Parameters
    ----------
    runs : DataFrame
        One row per run: ``fairness_weight``, ``random_state``, ``accuracy`` (classes only),
        ``loss``, ``parity`` and ``soft_parity`` of all decisions, each taken before its row was
        learned.
    majority_share : float
        Share of the most frequent label in the whole stream; NaN for numbers.
    curves : DataFrame or None
        The running numbers of each run over time, if asked for.
    models : dict
        ``models[fairness_weight, random_state]``, if asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.forest import aranyani_path
    >>> rng = np.random.default_rng(0)
    >>> sex = rng.choice(["f", "m"], size=3000)
    >>> X = np.column_stack([rng.normal(size=3000), rng.normal(size=3000) + (sex == "m")])
    >>> y = X.sum(axis=1) + rng.normal(size=3000) > 0.5
    >>> path = aranyani_path(
    ...     X, y, sensitive_features=sex, fairness_weights=[0, 2], random_states=[0, 1]
    ... )
    >>> path.summary().shape
    (2, 8)
    """

    runs: pd.DataFrame
    majority_share: float
    curves: pd.DataFrame | None = None
    models: dict[tuple[float, int], AranyaniBase] = field(default_factory=dict, repr=False)

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation over seeds.

        Returns
        -------
        summary : DataFrame, index ``fairness_weight``
            Columns ``NAME`` and ``NAME_std`` for every number of ``runs``.
        """
        numbers = self.runs.drop(columns="random_state").groupby("fairness_weight")
        spread = numbers.std().add_suffix("_std")
        return pd.concat([numbers.mean(), spread], axis=1)

    def majority_line(self, n_points: int = 2) -> pd.DataFrame:
        """What anybody gets for nothing: each decision is the least constrained model's with
        probability p, else the most frequent label.

        Parameters
        ----------
        n_points : int, default=2
            Values of p, from 0 to 1.

        Returns
        -------
        line : DataFrame of shape (n_points, 3)
            ``p``, expected ``accuracy`` and expected ``parity``. A method is of use above it.
        """
        if np.isnan(self.majority_share):
            raise ValueError("There is a majority line for classes only, not for numbers.")
        first = self.summary().iloc[0]
        p = np.linspace(0.0, 1.0, n_points)
        accuracy = p * first["accuracy"] + (1.0 - p) * self.majority_share
        return pd.DataFrame({"p": p, "accuracy": accuracy, "parity": p * first["parity"]})

    def plot(self, *, ax: Any = None) -> AranyaniPathDisplay:
        """Draw the trade-off.

        Parameters
        ----------
        ax : Axes, default=None
            None: a new figure.

        Returns
        -------
        display : AranyaniPathDisplay
        """
        from fairgroup.forest._display import AranyaniPathDisplay

        return AranyaniPathDisplay.from_path(self, ax=ax)


def aranyani_path(
    X: ArrayLike,
    y: ArrayLike,
    *,
    sensitive_features: Any,
    fairness_weights: Sequence[float] = WEIGHTS,
    random_states: Iterable[int] = range(5),
    estimator: AranyaniBase | None = None,
    curves: bool = False,
    keep_models: bool = False,
    n_jobs: int | None = None,
) -> AranyaniPath:
    """Run a grid of fairness weights and seeds over one stream, as independent models.

    The rows are validated and the groups encoded once; each run then is one pass of the compiled
    loop on a thread of its own, the same as fitting a model with these settings.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        In time order.
    y : array-like of shape (n_samples,)
        Labels or targets.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, k)
        Protected attributes; their combinations are the groups.
    fairness_weights : sequence of float, default=(0, 0.1, 0.3, 0.5, 1, 2, 5)
        Weights of the penalty; 0 is no penalty.
    random_states : iterable of int, default=range(5)
        One run for each, for every weight.
    estimator : AranyaniClassifier or AranyaniRegressor, default=None
        All other settings. None: ``AranyaniClassifier()``.
    curves : bool, default=False
        Whether to return the running numbers over time.
    keep_models : bool, default=False
        Whether to return the fitted models.
    n_jobs : int, default=None
        Threads. The result does not depend on it.

    Returns
    -------
    path : AranyaniPath

    Raises
    ------
    ValueError
        For an empty grid, and for an estimator whose fairness weight means nothing
        (``constraint=None``) or moves (``max_unfairness``).

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.forest import AranyaniClassifier, aranyani_path
    >>> rng = np.random.default_rng(0)
    >>> X, sex = rng.normal(size=(500, 3)), rng.choice(["f", "m"], size=500)
    >>> y = X[:, 0] + (sex == "m") > 0.5
    >>> path = aranyani_path(
    ...     X,
    ...     y,
    ...     sensitive_features=sex,
    ...     fairness_weights=[0, 1],
    ...     random_states=[0],
    ...     estimator=AranyaniClassifier.published(),
    ... )
    >>> path.runs[["fairness_weight", "random_state"]].to_numpy().tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    grid = _grid(fairness_weights, random_states)
    first = clone(AranyaniClassifier() if estimator is None else estimator)
    first.set_params(fairness_weight=max(w for w, _ in grid))._validate_params()
    if first.constraint is None and first.fairness_weight > 0:
        raise ValueError(
            "estimator has constraint=None, under which fairness_weights have no effect: name a "
            "constraint."
        )
    if first.max_unfairness is not None:
        raise ValueError(
            f"estimator has max_unfairness={first.max_unfairness}, under which the weight moves: "
            "a grid of fairness_weights needs max_unfairness=None."
        )
    features, labels = first._check_batch(X, y, first=True, least=1)
    encoder, codes = first._encode(sensitive_features, len(features), None)

    def run(weight: float, seed: int) -> AranyaniBase:
        model = clone(first).set_params(fairness_weight=weight, random_state=seed)
        model._validate_params()
        for name in SHARED:
            if hasattr(first, name):
                setattr(model, name, getattr(first, name))
        model._fit_checked(features, labels, encoder, codes)
        return model

    models = Parallel(n_jobs=n_jobs, prefer="threads")(delayed(run)(w, s) for w, s in grid)
    runs = pd.DataFrame([_numbers(*at, model) for at, model in zip(grid, models, strict=True)])
    share = float("nan")
    if hasattr(first, "classes_"):
        share = float(np.bincount(labels.astype(np.int64)).max() / len(labels))
    named = dict(zip(grid, models, strict=True))
    over_time = None
    if curves:
        names = ["fairness_weight", "random_state"]
        over_time = pd.concat({at: model.history() for at, model in named.items()}, names=names)
    return AranyaniPath(runs, share, over_time, named if keep_models else {})


def _grid(
    fairness_weights: Sequence[float], random_states: Iterable[int]
) -> list[tuple[float, int]]:
    given = {"fairness_weights": fairness_weights, "random_states": random_states}
    for name, values in given.items():
        if not isinstance(values, Iterable):
            raise TypeError(
                f"{name} must be a sequence of numbers, such as [0, 1]; got {values!r}."
            )
    grid = [(float(w), int(s)) for w, s in product(fairness_weights, random_states)]
    if not grid:
        raise ValueError("fairness_weights and random_states must each have at least one value.")
    return grid


def _numbers(weight: float, seed: int, model: AranyaniBase) -> dict[str, float]:
    numbers: dict[str, float] = {"fairness_weight": weight, "random_state": seed}
    if hasattr(model, "classes_"):
        numbers["accuracy"] = model.running_accuracy_
    return numbers | {
        "loss": model.running_loss_,
        "parity": model.running_parity_,
        "soft_parity": model.running_soft_parity_,
    }
