"""A fitted encoder as text, so that the state of an estimator can be saved without pickle."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np
from sklearn.base import clone

from fairgroup.groups._group_encoder import GroupEncoder
from fairgroup.groups._levels import Levels
from fairgroup.groups._partition import Partition

__all__ = ["encoder_from_text", "encoder_to_text"]


def encoder_to_text(encoder: GroupEncoder | None) -> str:
    """Write what an encoder has learned as JSON.

    Parameters
    ----------
    encoder : GroupEncoder or None
        Fitted; its levels are text, whole numbers, booleans or floats.

    Returns
    -------
    text : str

    Raises
    ------
    TypeError
        For levels of another type, such as intervals or dates.
    """
    if encoder is None:
        return "null"
    parts = [_plain(part) for part in (*encoder._by_column, encoder._joint)]
    learned = {
        "columns": encoder.columns_,
        "named": encoder._named,
        "levels": encoder.levels_,
        "labels": encoder.labels_,
        "counts": encoder.counts_.tolist(),
        "merged": encoder.merged_,
        "parts": parts,
    }
    try:
        return json.dumps(learned, default=_builtin)
    except TypeError as error:
        raise TypeError(
            "The levels of sensitive_features can be saved as arrays only if they are text, "
            f"numbers or booleans ({error}). Convert them with astype(str), or use pickle."
        ) from error


def encoder_from_text(text: str, settings: GroupEncoder | None) -> GroupEncoder | None:
    """Read what `encoder_to_text` wrote.

    Parameters
    ----------
    text : str
    settings : GroupEncoder or None
        Whose parameters the encoder has; None: the defaults.

    Returns
    -------
    encoder : GroupEncoder or None
        Fitted.
    """
    learned = json.loads(text)
    if learned is None:
        return None
    inside = getattr(settings, "estimator", settings)  # of a FrozenEstimator
    encoder = GroupEncoder() if inside is None else clone(inside)
    encoder.columns_, encoder._named = tuple(learned["columns"]), learned["named"]
    encoder.levels_, encoder.labels_ = _tuples(learned["levels"]), _tuples(learned["labels"])
    encoder.counts_ = np.array(learned["counts"], dtype=np.int64)
    encoder.merged_ = _tuples(learned["merged"])
    *by_column, joint = [_partition(part) for part in learned["parts"]]
    encoder._by_column, encoder._joint = by_column, joint
    return encoder


def _plain(part: Partition) -> dict[str, Any]:
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def _partition(values: dict[str, Any]) -> Partition:
    arrays = {k: np.array(values[k], dtype=np.int64) for k in ("keys", "group_of_key", "counts")}
    labels, merged = _tuples(values["labels"]), _tuples(values["merged"])
    return Partition(sizes=tuple(values["sizes"]), labels=labels, merged=merged, **arrays)


def _tuples(rows: list[list[Any]]) -> tuple[Levels, ...]:
    return tuple(tuple(row) for row in rows)


def _builtin(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"found a {type(value).__name__}")
