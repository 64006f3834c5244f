"""Label metrics as functions of counts.

Every function takes arrays whose last axes may hold bootstrap draws, and returns NaN where its
denominator is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Confusion(NamedTuple):
    """Counts (or weights) of one class against the rest, each of shape (n_groups, ...)."""

    tp: Array
    fp: Array
    fn: Array
    tn: Array


def divide(numerator: Array, denominator: Array) -> NDArray[np.float64]:
    """Divide, NaN where the denominator is not positive."""
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def one_vs_rest(table: Array, positive: int) -> Confusion:
    """Reduce (n_groups, true, predicted, ...) to the confusion of one class."""
    tp = table[:, positive, positive]
    actual, predicted = table[:, positive].sum(axis=1), table[:, :, positive].sum(axis=1)
    return Confusion(
        tp, predicted - tp, actual - tp, table.sum(axis=(1, 2)) - actual - predicted + tp
    )


def selection_rate(c: Confusion) -> Array:
    """P(prediction positive)."""
    return divide(c.tp + c.fp, c.tp + c.fp + c.fn + c.tn)


def base_rate(c: Confusion) -> Array:
    """P(label positive)."""
    return divide(c.tp + c.fn, c.tp + c.fp + c.fn + c.tn)


def true_positive_rate(c: Confusion) -> Array:
    """P(prediction positive | label positive)."""
    return divide(c.tp, c.tp + c.fn)


def false_negative_rate(c: Confusion) -> Array:
    """P(prediction negative | label positive)."""
    return divide(c.fn, c.tp + c.fn)


def false_positive_rate(c: Confusion) -> Array:
    """P(prediction positive | label negative)."""
    return divide(c.fp, c.fp + c.tn)


def true_negative_rate(c: Confusion) -> Array:
    """P(prediction negative | label negative)."""
    return divide(c.tn, c.fp + c.tn)


def precision(c: Confusion) -> Array:
    """P(label positive | prediction positive)."""
    return divide(c.tp, c.tp + c.fp)


def f1(c: Confusion) -> Array:
    """Harmonic mean of precision and true positive rate."""
    return divide(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def accuracy(table: Array) -> Array:
    """P(prediction = label)."""
    return divide(np.einsum("gkk...->g...", table), table.sum(axis=(1, 2)))


def balanced_accuracy(table: Array) -> Array:
    """Mean over the classes of P(prediction = class | label = class)."""
    hits = np.einsum("gkk...->gk...", table)
    return divide(hits, table.sum(axis=2)).mean(axis=1)


# Metrics of one class against the rest, and when each is undefined.
CLASS_METRICS: dict[str, tuple[Callable[[Confusion], Array], str]] = {
    "selection_rate": (selection_rate, "no weight"),
    "base_rate": (base_rate, "no weight"),
    "true_positive_rate": (true_positive_rate, "no row with a positive label"),
    "false_positive_rate": (false_positive_rate, "no row with a negative label"),
    "true_negative_rate": (true_negative_rate, "no row with a negative label"),
    "false_negative_rate": (false_negative_rate, "no row with a positive label"),
    "precision": (precision, "no row with a positive prediction"),
    "f1": (f1, "no row with a positive label or prediction"),
}
# The rows of which a class metric is a proportion.
DENOMINATORS: dict[str, Callable[[Confusion], Array]] = {
    "selection_rate": lambda c: c.tp + c.fp + c.fn + c.tn,
    "base_rate": lambda c: c.tp + c.fp + c.fn + c.tn,
    "true_positive_rate": lambda c: c.tp + c.fn,
    "false_negative_rate": lambda c: c.tp + c.fn,
    "false_positive_rate": lambda c: c.fp + c.tn,
    "true_negative_rate": lambda c: c.fp + c.tn,
    "precision": lambda c: c.tp + c.fp,
}
# Metrics of all classes together.
TABLE_METRICS: dict[str, tuple[Callable[[Array], Array], str]] = {
    "accuracy": (accuracy, "no weight"),
    "balanced_accuracy": (balanced_accuracy, "a label does not occur"),
}
