"""What a client sends, and what the server makes of it: integer tables, optionally with noise.

The functions know nothing of any engine; :func:`aggregate_counts` also takes the replies of Flower
clients as they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.information._counts import count_cells, encode
from fairgroup.utils._validation import as_generator

__all__ = ["aggregate_counts", "client_counts", "privacy_noise"]

COUNTS, SHAPE, CLIENT = "pid-counts", "pid-shape", "client-id"


def client_counts(
    y_pred: Any,
    *,
    sensitive_features: Any,
    z_values: Sequence[Hashable],
    y_values: Sequence[Hashable],
    y_true: Any = None,
    privacy_epsilon: float | None = None,
    random_state: Any = None,
) -> NDArray[np.int64]:
    """Count a client's rows; the only thing that leaves it.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,)
        Decisions.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes; the levels of several columns are their combinations, as tuples.
    z_values, y_values : sequence
        Levels of group and decision, in the order that all clients share.
    y_true : array-like of shape (n_samples,), default=None
        True labels; adds a third axis.
    privacy_epsilon : float, default=None
        Adds discrete Laplace noise of scale 2 / epsilon to every cell, which makes the table
        differentially private with this epsilon when one row is replaced by another. Cells are
        then clipped at zero.
    random_state : int, RandomState, Generator or None, default=None
        Randomness of the noise.

    Returns
    -------
    table : ndarray of int64, shape (n_groups, n_levels) or (n_groups, n_levels, n_levels)
        Axes group, decision (, true label). Integers, so that a secure sum can add them.

    Raises
    ------
    ValueError
        For values that are not among the agreed levels, missing values or different lengths.

    Examples
    --------
    >>> from fairgroup.information import client_counts
    >>> client_counts(
    ...     [1, 0, 1], sensitive_features=["f", "f", "m"], z_values=["f", "m"], y_values=[0, 1]
    ... )
    array([[1, 1],
           [0, 1]])
    """
    if privacy_epsilon is not None and not privacy_epsilon > 0:
        raise ValueError(f"privacy_epsilon must be above 0; found {privacy_epsilon}.")
    groups, _ = encode(sensitive_features, name="sensitive_features", levels=z_values)
    decisions, _ = encode(y_pred, name="y_pred", levels=y_values)
    codes, sizes = [groups, decisions], [len(z_values), len(y_values)]
    if y_true is not None:
        labels, _ = encode(y_true, name="y_true", levels=y_values)
        codes, sizes = [*codes, labels], [*sizes, len(y_values)]
    table = count_cells(codes, sizes).astype(np.int64)
    if privacy_epsilon is None:
        return table
    noise = privacy_noise(table.shape, privacy_epsilon, as_generator(random_state))
    return np.maximum(table + noise, 0)


def privacy_noise(
    shape: tuple[int, ...], epsilon: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Discrete Laplace noise of scale 2 / epsilon: a difference of geometric variables."""
    stop = -np.expm1(-epsilon / 2)
    return rng.geometric(stop, shape) - rng.geometric(stop, shape)


def aggregate_counts(
    tables: Sequence[Any] | Mapping[Hashable, Any],
) -> tuple[NDArray[np.float64], tuple[Hashable, ...]]:
    """Stack the clients' tables for ``DisparityDecomposition.fit_counts``.

    Parameters
    ----------
    tables : sequence or mapping
        One table per client: arrays of the same shape, a mapping of client to array, or Flower
        ``RecordDict`` replies that carry one metric record with ``"pid-counts"`` (flat list of
        integers), ``"pid-shape"`` and, if clients have names, ``"client-id"``.

    Returns
    -------
    table : ndarray of shape (n_groups, n_levels, n_clients)
        With true labels in the clients' tables (n_groups, n_levels, n_labels, n_clients).
    clients : tuple
        Names of the clients, in the order of the last axis; the tables of a client that occurs
        twice are added.

    Raises
    ------
    ValueError
        For no table, tables of different shapes, or negative counts.

    Examples
    --------
    >>> from fairgroup.information import aggregate_counts
    >>> table, clients = aggregate_counts({"north": [[3, 1], [2, 2]], "south": [[0, 5], [1, 1]]})
    >>> table.shape, clients
    ((2, 2, 2), ('north', 'south'))
    """
    named = list(tables.items()) if isinstance(tables, Mapping) else list(enumerate(tables))
    if not named:
        raise ValueError("tables is empty; at least one client must send its counts.")
    parts: dict[Hashable, NDArray[np.float64]] = {}
    for default, sent in named:
        name, table = _read(sent, default)
        if table.ndim < 2 or not np.isfinite(table).all() or (table < 0).any():
            raise ValueError(
                f"The table of client {name!r} must have at least two axes and no negative or "
                "missing entry."
            )
        first = next(iter(parts.values()), table)
        if table.shape != first.shape:
            raise ValueError(
                f"Client {name!r} sent a table of shape {table.shape}, others {first.shape}; "
                "agree on z_values and "
                "y_values first."
            )
        parts[name] = parts.get(name, 0) + table
    names = tuple(sorted(parts, key=lambda name: (type(name).__name__, name)))
    return np.stack([parts[name] for name in names], axis=-1), names


def _read(sent: Any, default: Hashable) -> tuple[Hashable, NDArray[np.float64]]:
    """Name and table of one client: an array, or a Flower reply."""
    if not hasattr(sent, "metric_records"):
        return default, np.asarray(sent, dtype=np.float64)
    for record in sent.metric_records.values():
        if COUNTS in record:
            shape = tuple(int(size) for size in record[SHAPE])
            table = np.asarray(record[COUNTS], dtype=np.float64).reshape(shape)
            return record.get(CLIENT, default), table
    raise ValueError(f"A reply has no metric record with {COUNTS!r}.")
