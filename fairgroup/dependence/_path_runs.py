"""Fits and measurements along a path of strengths, one split at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    mean_tweedie_deviance,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from fairgroup.dependence._penalty import DependencePenalty
from fairgroup.groups import GroupEncoder, SensitiveEncoder
from fairgroup.metrics import js_divergence
from fairgroup.metrics._distances import group_scores
from fairgroup.utils._sklearn import rows_of

__all__ = [
    "CRITERIA",
    "Measure",
    "Rows",
    "Seen",
    "fit_with_groups",
    "knee",
    "run_split",
    "summary",
]

CRITERIA = ("dcor", "jsd", "gap")
_POWERS = {"poisson": 1.0, "gamma": 2.0}


@dataclass(frozen=True)
class Rows:
    """A training table with everything that has one entry per row."""

    X: Any
    y: NDArray[Any]
    groups: pd.DataFrame
    params: dict[str, Any]

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """Return a selection of the rows."""
        params = {name: rows_of(value, rows) for name, value in self.params.items()}
        return Rows(rows_of(self.X, rows), self.y[rows], self.groups.iloc[rows], params)


@dataclass(frozen=True)
class Seen:
    """How the estimator sees fairness, None where it has no such parameter."""

    constraint: str | None = None
    encoder: SensitiveEncoder | None = None
    penalise: str | None = None


class Measure:
    """Dependence of predictions on protected attributes, by the name of a criterion.

    Parameters
    ----------
    criterion : {"dcor", "jsd", "gap"} or callable
        See `FairnessPath`.
    groups : DataFrame of shape (n_samples, n_attributes)
        All rows, which the encoders learn from.
    bandwidth : float or str
        Of "jsd".
    seen_by : Seen
        Notion and encoder for "dcor"; whether exposure is part of the predictions.
    """

    def __init__(
        self,
        criterion: str | Callable[..., float],
        groups: pd.DataFrame,
        *,
        bandwidth: float | str,
        seen_by: Seen,
    ) -> None:
        self.criterion, self.bandwidth = criterion, bandwidth
        self.with_exposure = seen_by.penalise in (None, "response")
        if criterion == "dcor":
            encoder = clone(seen_by.encoder) if seen_by.encoder is not None else SensitiveEncoder()
            self.penalty = DependencePenalty(
                "dcor",
                constraint=seen_by.constraint or "demographic_parity",
                encoder=encoder.fit(groups),
            )
        elif not callable(criterion):
            self.encoder = GroupEncoder().fit(groups)

    def __call__(self, predictions: NDArray[np.float64], rows: Rows) -> float:
        """Measure predictions (probabilities, of shape (n, n_classes)) of some rows."""
        if callable(self.criterion):
            return float(self.criterion(predictions, rows.groups))
        if self.criterion == "dcor":
            given = rows.params.get("control_features")
            prepared = self.penalty.prepare(rows.groups, y=rows.y, control_features=given)
            return prepared.value_and_grad(_columns(predictions))[0]
        if self.criterion == "jsd":
            return max(
                js_divergence(column, rows.groups, encoder=self.encoder, bandwidth=self.bandwidth)
                for column in _columns(predictions).T.reshape(-1, len(rows.y))
            )
        return max(
            float(np.ptp(group_scores(column, rows.groups, encoder=self.encoder).means))
            for column in _decisions(predictions).T.reshape(-1, len(rows.y))
        )


def run_split(
    model: Any,
    data: Rows,
    measure: Measure,
    strength: str | None,
    weights: list[float],
    split: tuple[float, int, int],
) -> list[dict[str, float]]:
    """Fit and measure one split at growing strengths.

    Parameters
    ----------
    model : estimator
        Set up; starts from its previous fit where it can.
    data : Rows
        All rows.
    measure : Measure
        The criterion.
    strength : str
        Name of the parameter.
    weights : list of float
        Strengths, growing.
    split : tuple of float, int, int
        Share of rows held out, seed, and the seed's number.

    Returns
    -------
    rows : list of dict
    """
    share, seed, number = split
    classes = is_classifier(model)
    labels = np.unique(data.y, return_inverse=True)[1] if classes else None
    if labels is not None and np.bincount(labels).min() < 2:
        labels = None
    train, valid = train_test_split(
        np.arange(len(data.y)), test_size=share, stratify=labels, random_state=seed
    )
    fitted_on, held_out = data.take(np.sort(train)), data.take(np.sort(valid))
    rows = []
    for weight in weights:
        model.set_params(**{str(strength): weight})
        fit_with_groups(model, fitted_on.X, fitted_on.y, fitted_on.groups, fitted_on.params)
        predictions, loss = _judge(model, held_out, classifies=classes)
        if not measure.with_exposure:
            predictions = predictions / np.asarray(held_out.params.get("exposure", 1.0))
        rows.append(
            {
                "fairness_weight": weight,
                "seed": number,
                "loss": loss,
                "criterion": measure(predictions, held_out),
            }
        )
    return rows


def fit_with_groups(model: Any, X: Any, y: Any, groups: Any, params: dict[str, Any]) -> Any:
    """Fit; a Pipeline hands groups on only through metadata routing."""
    routed = isinstance(model, Pipeline)
    with config_context(enable_metadata_routing=True) if routed else nullcontext():
        return model.fit(X, y, sensitive_features=groups, **params)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard error over seeds for each strength."""
    grouped = rows.groupby("fairness_weight")[["loss", "criterion"]]
    path, error = grouped.mean(), grouped.sem().fillna(0.0)
    path["loss_se"], path["criterion_se"] = error["loss"], error["criterion"]
    return path[["loss", "loss_se", "criterion", "criterion_se"]]


def knee(path: pd.DataFrame) -> float:
    """Return the strength nearest to the best loss and criterion, both scaled to their range."""
    values = path[["loss", "criterion"]].to_numpy()
    span = np.ptp(values, axis=0)
    scaled = (values - values.min(axis=0)) / np.where(span > 0, span, 1.0)
    return float(path.index.to_numpy()[np.argmin((scaled**2).sum(axis=1))])


def _judge(model: Any, data: Rows, *, classifies: bool) -> tuple[NDArray[np.float64], float]:
    weights = data.params.get("sample_weight")
    if classifies:
        probabilities = model.predict_proba(data.X)
        loss = log_loss(data.y, probabilities, sample_weight=weights, labels=model.classes_)
        return probabilities, float(loss)
    exposure = data.params.get("exposure")
    with config_context(enable_metadata_routing=True) if exposure is not None else nullcontext():
        params = {} if exposure is None else {"exposure": exposure}
        predictions = model.predict(data.X, **params)
    inner = model[-1] if isinstance(model, Pipeline) else model
    name = getattr(inner, "loss", "squared")
    if name == "absolute":
        loss = mean_absolute_error(data.y, predictions, sample_weight=weights)
    elif name in ("poisson", "gamma", "tweedie"):
        power = _POWERS.get(name, getattr(inner, "power", 1.5))
        loss = mean_tweedie_deviance(data.y, predictions, sample_weight=weights, power=power)
    else:
        loss = mean_squared_error(data.y, predictions, sample_weight=weights)
    return predictions, float(loss)


def _columns(predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of the last of two classes, or all columns of more."""
    two = predictions.ndim == 2 and predictions.shape[1] == 2
    return np.ascontiguousarray(predictions[:, 1]) if two else predictions


def _decisions(predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an indicator for each class that is decided for; numbers as they are."""
    if predictions.ndim == 1:
        return predictions
    decided = predictions.argmax(axis=1)
    return (decided[:, None] == np.arange(predictions.shape[1])).astype(np.float64)
