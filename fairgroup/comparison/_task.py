"""What a command measures: target, predictions and protected columns, checked together."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fairgroup.comparison._source import Source
from fairgroup.groups._frame import MAX_FLOAT_LEVELS

__all__ = ["Task", "make_task", "pick"]


@dataclass(frozen=True)
class Task:
    """Target and protected columns of a table.

    Attributes
    ----------
    source : Source
        The table.
    target : str
        Name of the target.
    y : Series
        The target, without missing values.
    positive : label or None
        The positive label of two; None for other targets.
    sensitive : DataFrame
        The protected columns, as groups.
    notes : tuple of str
        What was chosen and was not asked for.
    """

    source: Source
    target: str
    y: pd.Series
    positive: Any
    sensitive: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def attributes(self) -> list[str]:
        """Names of the protected columns."""
        return self.sensitive.columns.to_list()

    def features(self, drop: Sequence[str], *, drop_sensitive: bool) -> pd.DataFrame:
        """Return the features: those of the data set without target and dropped columns."""
        out = {self.target, *pick(self.source, drop, "--drop")}
        if drop_sensitive:
            out |= set(self.attributes)
        names = [name for name in self.source.features if name not in out]
        if not names:
            raise ValueError("No feature is left to learn from.")
        return self.source.frame[names]

    def predictions(self, name: str) -> np.ndarray:
        """Return a column of predictions with the target's labels.

        Raises
        ------
        ValueError
            For the target itself, a protected column, missing values, or labels that the target
            does not have.
        """
        column = self._other_column(name, "--prediction")
        found = self.source.frame[column]
        if found.isna().any():
            raise ValueError(
                f"The prediction {column!r} has {int(found.isna().sum()):,} missing values; "
                "remove these rows."
            )
        if self.positive is None:
            return found.to_numpy()
        original = self.source.frame[self.target]
        known = set(original.unique())
        strange = sorted(map(str, set(found.unique()) - known))
        if strange:
            shown = ", ".join(strange[:5]) + (" ..." if len(strange) > 5 else "")
            raise ValueError(
                f"The prediction {column!r} has values that {self.target!r} never has ({shown}); "
                "both need the same labels. Of a score, make decisions first (--score takes the "
                "score itself)."
            )
        if len(known) == 2:
            return np.asarray(found, dtype=self.y.to_numpy().dtype)
        return (found == original[self.y == 1].iloc[0]).to_numpy(dtype=np.int64)

    def scores(self, name: str | None) -> np.ndarray | None:
        """Return a column of scores.

        Raises
        ------
        ValueError
            For text, missing values, the target, or a target that has no two labels.
        """
        if name is None:
            return None
        column = self._other_column(name, "--score")
        found = self.source.frame[column]
        if not pd.api.types.is_numeric_dtype(found) or found.isna().any():
            raise ValueError(f"--score: {column!r} must hold numbers in every row.")
        if self.positive is None:
            raise ValueError(
                f"--score: {self.target!r} has no two labels; name one by --positive."
            )
        return found.to_numpy(dtype=np.float64)

    def record(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "name": self.source.name,
            "rows": len(self.y),
            "target": self.target,
            "positive": None if self.positive is None else str(self.positive),
            "sensitive": self.attributes,
        }

    def _other_column(self, name: str, option: str) -> str:
        (column,) = pick(self.source, [name], option, single=True)
        if column == self.target:
            raise ValueError(f"{option} and --target both name {column!r}.")
        if column in self.sensitive:
            raise ValueError(f"{option} and --sensitive both name {column!r}.")
        return column


def make_task(
    source: Source,
    *,
    target: str | None,
    sensitive: Sequence[str],
    positive: str | None = None,
    bins: Mapping[str, Sequence[float]] | None = None,
) -> Task:
    """Choose and check the columns of a task.

    Parameters
    ----------
    source : Source
        The table.
    target : str or None
        The target; None for the one of a named data set.
    sensitive : sequence of str
        Protected columns. Empty: those that a named data set has and that make groups.
    positive : str or None, default=None
        The positive label as text; None for the last of two.
    bins : mapping of str to sequence of float, or None, default=None
        Edges by which a protected number is cut into groups.

    Returns
    -------
    task : Task

    Raises
    ------
    ValueError
        When a column is missing, has two roles, or does not fit its role.
    """
    name = _target_name(source, target)
    groups, left_out = _groups(source, pick(source, sensitive, "--sensitive"), bins or {})
    if name in groups:
        raise ValueError(f"--target and --sensitive both name {name!r}.")
    y, label, note = _target(source, name, positive)
    notes = [note] if note else []
    if label is not None and positive is None:
        notes.append(f"positive class of {name!r}: {label} (--positive changes it)")
    notes += [
        f"protected column {column!r} is continuous and was left out "
        f"(--sensitive {','.join([*groups, column])} --bin {column}=... takes it in)"
        for column in left_out
    ]
    return Task(source, name, y, label, groups, tuple(notes))


def pick(source: Source, names: Sequence[str], option: str, *, single: bool = False) -> list[str]:
    """Resolve columns given as ``A,B``; a name that holds a comma may stand on its own.

    Raises
    ------
    ValueError
        For a column that is not there, is named twice, or is not the only one of ``single``.
    """
    columns = source.frame.columns.to_list()
    chosen: list[str] = []
    for given in names:
        whole = single or given in columns
        chosen += [given] if whole else [p.strip() for p in given.split(",") if p.strip()]
    for name in chosen:
        if name not in columns:
            raise ValueError(f"{option}: the data have no column {name!r}; {_hint(name, columns)}")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{option}: a column is named twice in {','.join(chosen)!r}.")
    return chosen


def _hint(name: str, columns: list[str]) -> str:
    near = difflib.get_close_matches(name, columns, n=1, cutoff=0.7)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f" and {len(columns) - 15} more" if len(columns) > 15 else ""
    return f"columns: {', '.join(columns[:15])}{more}."


def _target_name(source: Source, given: str | None) -> str:
    if given is not None:
        return pick(source, [given], "--target", single=True)[0]
    if len(source.targets) != 1:
        choice = f", one of {', '.join(source.targets)}" if source.targets else ""
        raise ValueError(f"--target: name the column that is the truth{choice}.")
    return source.targets[0]


def _target(
    source: Source, column: str, positive: str | None
) -> tuple[pd.Series, Any, str | None]:
    """Return the target, its positive label, and a note if it is one label against the rest."""
    y = source.frame[column]
    n_missing = int(y.isna().sum())
    if n_missing:
        raise ValueError(
            f"The target {column!r} has {n_missing:,} missing values in {len(y):,} rows; "
            "remove these rows or fill them."
        )
    labels = _sorted(y.unique().tolist())
    if len(labels) == 1:
        raise ValueError(
            f"The target {column!r} has one value only ({labels[0]!r}); there is nothing to learn "
            "or to compare."
        )
    if positive is None:
        return _values(y), labels[-1] if len(labels) == 2 else None, None
    label = next((value for value in labels if _is_named(value, positive)), None)
    if label is None:
        shown = ", ".join(map(str, labels[:10])) + (" ..." if len(labels) > 10 else "")
        raise ValueError(
            f"--positive: {positive!r} is not a value of {column!r}; values: {shown}."
        )
    if len(labels) == 2:
        return _values(y), label, None
    return (y == label).astype("int64"), 1, f"target: 1 where {column} is {label}, else 0"


def _is_named(value: Any, text: str) -> bool:
    """Return whether the text means the value: 1 also means 1.0, and true means 1."""
    if str(value) == text:
        return True
    if not isinstance(value, int | float):
        return False
    try:
        return float({"true": "1", "false": "0"}.get(text.lower(), text)) == value
    except ValueError:
        return False


def _sorted(labels: list[Any]) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError:  # text and numbers in one column
        return sorted(labels, key=str)


def _values(column: pd.Series) -> pd.Series:
    """Categories as their values, so that labels are compared by value."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column
    return pd.Series(np.asarray(column, dtype=object), name=column.name, index=column.index)


def _groups(
    source: Source, names: Sequence[str], bins: Mapping[str, Sequence[float]]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the protected columns as groups, and the data set's own ones that make none."""
    left_out: list[str] = []
    chosen = list(names)
    if not chosen:
        chosen = [c for c in source.sensitive if c in bins or not _continuous(source.frame[c])]
        left_out = [c for c in source.sensitive if c not in chosen]
    if not chosen:
        raise ValueError("--sensitive: name the protected columns, such as --sensitive sex,race.")
    astray = [name for name in bins if name not in chosen]
    if astray:
        raise ValueError(
            f"--bin: {astray[0]!r} is not one of the protected columns ({', '.join(chosen)})."
        )
    columns = {}
    for name in chosen:
        column = source.frame[name]
        if name in bins:
            column = _cut(column, bins[name])
        elif _continuous(column):
            raise ValueError(_how_to_bin(column))
        columns[name] = column
    return pd.DataFrame(columns), left_out


def _continuous(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and column.nunique() > MAX_FLOAT_LEVELS


def _how_to_bin(column: pd.Series) -> str:
    quarters = np.unique(column.quantile([0.25, 0.5, 0.75]))
    edges = ",".join(f"{edge:.3g}" for edge in quarters)
    return (
        f"--sensitive: {column.name!r} has {column.nunique():,} distinct numbers, which make no "
        f"groups; cut it, for example --bin {column.name}={edges}."
    )


def _cut(column: pd.Series, edges: Sequence[float]) -> pd.Series:
    """Cut numbers into ordered groups, each from an edge to below the next one."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise ValueError(f"--bin: {column.name!r} holds no numbers; there is nothing to cut.")
    if list(edges) != sorted(set(edges)) or not np.isfinite(edges).all():
        shown = ",".join(f"{edge:g}" for edge in edges)
        raise ValueError(f"--bin: the edges of {column.name!r} must increase; found {shown}.")
    whole = bool((column.dropna() % 1 == 0).all()) and all(float(e).is_integer() for e in edges)
    labels = [f"under {edges[0]:g}"]
    for low, high in itertools.pairwise(edges):
        labels.append(f"{low:g} to {high - 1:g}" if whole else f"{low:g} to under {high:g}")
    labels.append(f"{edges[-1]:g} and over")
    cut = pd.cut(column, [-np.inf, *edges, np.inf], right=False, labels=labels)
    return cut.cat.remove_unused_categories()
