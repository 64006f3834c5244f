"""Which inputs of the trees are protected, and which groups are at a disadvantage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.groups import GroupCodes

__all__ = ["Protected", "find_protected", "groups_of", "unprivileged_groups"]

Array = NDArray[Any]


@dataclass(eq=False)
class Protected:
    """Attribute of each column of the tree's input, -1 for none.

    ``names`` holds one protected column per attribute, or (None,) where all inputs belong to the
    groups as a whole.
    """

    of_input: NDArray[np.int32]
    names: tuple[str | None, ...]

    @property
    def found(self) -> bool:
        """Whether any column is protected."""
        return bool((self.of_input >= 0).any())


def find_protected(
    protected_inputs: Any,
    n_inputs: int,
    *,
    input_names: Sequence[str] | None,
    source_names: Sequence[str] | None,
    group_columns: Sequence[str],
) -> Protected:
    """Resolve ``protected_inputs`` to columns of the tree's input.

    ``input_names`` are the columns that the tree sees, ``source_names`` those that enter the
    pipeline, ``group_columns`` the columns of the sensitive features.
    """

    def columns(keys: Any) -> list[int]:
        listed = [keys] if isinstance(keys, str | int | np.integer) else list(keys)
        return [c for key in listed for c in _columns(key, n_inputs, input_names, source_names)]

    if protected_inputs is None:
        named = {c: _by_name(c, input_names or (), source_names or ()) for c in group_columns}
        wanted: Mapping[Any, list[int]] = {c: at for c, at in named.items() if at}
        if len(group_columns) == 1:
            wanted = dict.fromkeys([None] if wanted else [], next(iter(wanted.values()), []))
    elif isinstance(protected_inputs, Mapping):
        unknown = [key for key in protected_inputs if key not in group_columns]
        if unknown and group_columns:
            raise ValueError(
                f"protected_inputs names the attributes {unknown}, but sensitive_features has "
                f"{list(group_columns)}; the keys must be columns of sensitive_features."
            )
        wanted = {key: columns(keys) for key, keys in protected_inputs.items()}
    else:
        wanted = {None: columns(protected_inputs)}
    of_input = np.full(n_inputs, -1, np.int32)
    for attribute, at in enumerate(wanted.values()):
        of_input[at] = attribute
    return Protected(of_input, tuple(wanted) or (None,))


def _columns(
    key: Any, n_inputs: int, names: Sequence[str] | None, sources: Sequence[str] | None
) -> list[int]:
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        if not -n_inputs <= key < n_inputs:
            raise ValueError(f"protected_inputs: column {key} of {n_inputs} does not exist.")
        return [int(key) % n_inputs]
    if names is None:
        raise ValueError(
            f"protected_inputs={key!r} is a name, but the tree's input has no column names; give "
            "positions, or fit on a frame."
        )
    found = _by_name(key, names, sources or ())
    if not found:
        raise ValueError(f"protected_inputs: the tree has no input {key!r}; it has {list(names)}.")
    return found


def _by_name(key: str, names: Sequence[str], sources: Sequence[str]) -> list[int]:
    """The column of that name, or the columns that a pipeline has made of it.

    scikit-learn calls these ``step__column`` and ``column_level``; a column belongs to the longest
    source name that fits, so that ``age`` does not claim ``age_cat_old``.
    """
    exact = [i for i, name in enumerate(names) if name == key]
    if exact:
        return exact
    plain = [str(name).split("__", 1)[-1] for name in names]
    return [i for i, name in enumerate(plain) if _source(name, {*sources, key}) == key]


def _source(name: str, sources: set[str]) -> str:
    fits = [s for s in sources if name == s or name.startswith(f"{s}_")]
    return max(fits, key=len, default="")


def groups_of(groups: GroupCodes, protected: Protected) -> list[GroupCodes]:
    """The groups that each attribute looks at."""
    return [groups if name is None else groups.marginals[name] for name in protected.names]


def unprivileged_groups(
    unprivileged: Any, groups: GroupCodes, outcome: Array, weights: Array
) -> NDArray[np.bool_]:
    """Which groups get the amplified probability.

    Parameters
    ----------
    unprivileged : level, tuple, list of these, mapping of column to levels, or None
        None: those with a smaller mean outcome than all.
    groups : GroupCodes
    outcome : ndarray of shape (n_samples,)
        Large is favourable.
    weights : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        For a group that does not exist.
    """
    if unprivileged is None:
        return _below_average(groups, outcome, weights)
    if isinstance(unprivileged, Mapping):
        return _by_level(unprivileged, groups)
    listed = unprivileged if isinstance(unprivileged, list | np.ndarray | set) else [unprivileged]
    wanted = [item if isinstance(item, tuple) else (item,) for item in listed]
    lost = [item for item in wanted if item not in groups.labels]
    if lost:
        raise ValueError(
            f"unprivileged={unprivileged!r}: there is no group {lost}; the groups are "
            f"{[label if len(label) > 1 else label[0] for label in groups.labels]}."
        )
    return np.array([label in wanted for label in groups.labels])


def _by_level(unprivileged: Mapping[Any, Any], groups: GroupCodes) -> NDArray[np.bool_]:
    chosen = np.zeros(groups.n_groups, bool)
    for column, levels in unprivileged.items():
        if column not in groups.columns:
            continue
        place = groups.columns.index(column)
        listed = list(levels) if isinstance(levels, list | tuple | set) else [levels]
        known = {label[place] for label in groups.labels}
        lost = [level for level in listed if level not in known]
        if lost:
            raise ValueError(
                f"unprivileged: {column} has no level {lost}; it has {sorted(known, key=str)}."
            )
        chosen |= np.array([label[place] in listed for label in groups.labels])
    if not any(column in groups.columns for column in unprivileged):
        raise ValueError(
            f"unprivileged names the columns {list(unprivileged)}; sensitive_features has "
            f"{list(groups.columns)}."
        )
    return chosen


def _below_average(groups: GroupCodes, outcome: Array, weights: Array) -> NDArray[np.bool_]:
    inside = groups.codes >= 0
    codes, weight = groups.codes[inside], weights[inside]
    total = np.bincount(codes, weight, minlength=groups.n_groups)
    sums = np.bincount(codes, weight * outcome[inside], minlength=groups.n_groups)
    mean = np.divide(sums, total, out=np.full(groups.n_groups, np.nan), where=total > 0)
    overall = sums.sum() / max(total.sum(), np.finfo(float).tiny)
    return mean < overall - 1e-12 * max(abs(overall), 1.0)
