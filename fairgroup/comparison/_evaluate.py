"""The metrics of a comparison: which ones, which direction, and their values on a fold."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning

from fairgroup.comparison._defaults import BINARY, MULTICLASS
from fairgroup.groups import GroupCodes
from fairgroup.metrics import GroupMetrics, group_metrics

__all__ = ["Metrics", "default_metrics", "is_unfairness", "lower_is_better"]

_GAPS = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "predictive_parity": ("precision",),
}
_NEEDS_SCORE = ("roc_auc", "brier_score", "calibration_error")
_LOWER = ("error", "deviance", "brier", "bias", "probability_score")
_NAME = re.compile(r"(?P<name>[^\[]+?)(_(?P<kind>difference|ratio))?(\[(?P<attribute>.+)\])?$")


def default_metrics(task: str, attributes: Sequence[str]) -> list[str]:
    """Return the metrics of the table: performance, unfairness, unfairness per attribute."""
    if task == BINARY:
        performance = ["accuracy", "balanced_accuracy", "roc_auc"]
        unfairness = ["demographic_parity_difference", "equalized_odds_difference"]
    elif task == MULTICLASS:
        performance = ["accuracy"]
        unfairness = ["demographic_parity_difference", "accuracy_difference"]
    else:
        performance = ["mean_absolute_error", "r2"]
        unfairness = ["mean_prediction_difference", "mean_absolute_error_difference"]
    single = [f"{unfairness[0]}[{name}]" for name in attributes] if len(attributes) > 1 else []
    return [*performance, *unfairness, *single]


def is_unfairness(name: str) -> bool:
    """Return whether a metric compares groups."""
    match = _NAME.match(name)
    return match is not None and match["kind"] is not None


def lower_is_better(name: str) -> bool:
    """Return whether smaller values of a metric are the better ones."""
    match = _NAME.match(name)
    if match is not None and match["kind"] is not None:
        return match["kind"] == "difference"
    return any(part in name for part in _LOWER)


class Metrics:
    """Named metrics, evaluated together from one pass of counting.

    Parameters
    ----------
    metrics : sequence of str, or mapping of name to str or callable
        Names are metrics of `group_metrics` ("accuracy"), a comparison of groups
        ("accuracy_difference", "demographic_parity_difference", "selection_rate_ratio"), or that
        for one attribute ("demographic_parity_difference[sex]"). A callable takes
        ``(y_true, y_pred)`` and gives a number, the higher the better.
    pos_label : label or None
        The positive class.
    """

    def __init__(
        self, metrics: Sequence[str] | Mapping[str, str | Callable[..., float]], pos_label: Any
    ) -> None:
        named = metrics if isinstance(metrics, Mapping) else {name: name for name in metrics}
        self.callables = {name: m for name, m in named.items() if callable(m)}
        self.parsed = {
            name: _parse(metric) for name, metric in named.items() if not callable(metric)
        }
        self.names = tuple(named)
        strings = {name: str(m) for name, m in named.items() if not callable(m)}
        unfair = {name for name, metric in strings.items() if is_unfairness(metric)}
        self.unfairness = tuple(name for name in named if name in unfair)
        self.performance = tuple(name for name in named if name not in unfair)
        self.lower = frozenset(name for name, m in strings.items() if lower_is_better(m))
        self.pos_label = pos_label
        bases = [base for parts in self.parsed.values() for base in _bases(*parts[:2])]
        self._bases = tuple(dict.fromkeys(bases))
        if not self.unfairness or not self.performance:
            raise ValueError(
                "metrics needs at least one performance (such as 'accuracy') and one comparison "
                f"of groups (such as 'demographic_parity_difference'); found {list(self.names)}."
            )

    def check(self, y: NDArray[Any], groups: GroupCodes) -> None:
        """Raise for a name that is not known or does not fit the task, before any fit."""
        self.evaluate(y, y, None, groups)

    def evaluate(
        self,
        y_true: NDArray[Any],
        y_pred: NDArray[Any],
        y_score: NDArray[np.float64] | None,
        groups: GroupCodes,
        controls: GroupCodes | None = None,
    ) -> dict[str, float]:
        """Return the value of each metric; NaN where it is undefined or needs missing scores.

        With control features the worst level counts where groups are compared.
        """
        usable = [name for name in self._bases if y_score is not None or name not in _NEEDS_SCORE]
        plain = controlled = None
        if usable:
            plain = controlled = self._measure(usable, y_true, y_pred, y_score, groups, None)
        if usable and controls is not None:
            controlled = self._measure(usable, y_true, y_pred, y_score, groups, controls)
        values = {name: float(f(y_true, y_pred)) for name, f in self.callables.items()}
        for name, parts in self.parsed.items():
            missing = any(base not in usable for base in _bases(*parts[:2]))
            measured = plain if parts[1] is None else controlled
            values[name] = np.nan if missing else _read(measured, *parts)
        return {name: values[name] for name in self.names}

    def _measure(
        self,
        names: list[str],
        y_true: NDArray[Any],
        y_pred: NDArray[Any],
        y_score: NDArray[np.float64] | None,
        groups: GroupCodes,
        controls: GroupCodes | None,
    ) -> GroupMetrics:
        with warnings.catch_warnings():  # an undefined value is NaN in the table and said there
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            return group_metrics(
                y_true,
                y_pred,
                sensitive_features=groups,
                control_features=controls,
                metrics=names,
                y_score=y_score,
                pos_label=self.pos_label,
            )


def _parse(metric: str) -> tuple[str, str | None, str | None]:
    match = _NAME.match(metric)
    if match is None:
        raise ValueError(
            f"metrics has {metric!r}, which is no metric's name; see the names under metrics of "
            "fairgroup.metrics.group_metrics."
        )
    return match["name"], match["kind"], match["attribute"]


def _bases(name: str, kind: str | None) -> tuple[str, ...]:
    return _GAPS.get(name, (name,)) if kind else (name,)


def _read(measured: Any, name: str, kind: str | None, attribute: str | None) -> float:
    if kind is None:
        return float(measured.overall[name])
    if name in _GAPS:
        value = measured.gaps(attribute=attribute)[f"{name}_{kind}"]
    else:
        value = getattr(measured, kind)(attribute=attribute)[name]
    return float(np.max(value) if kind == "difference" else np.min(value))
