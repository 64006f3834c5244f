"""Base cells of rows, and the views (overall, by group, by attribute) made of them.

A base cell is one level of the control features and one combination of joint group and attribute
levels. Rows are counted by base cell once; every view adds up cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.groups import GroupCodes, GroupEncoder

OVERALL, BY_GROUP = "overall", "by_group"
# An attribute may be called "overall"; views of attributes are therefore keyed by ("marginal",
# name).
ViewKey = str | tuple[str, str]


@dataclass(frozen=True)
class View:
    """A partition: the group of each base cell (-1: none), over control levels x groups."""

    key: ViewKey
    group_of_cell: NDArray[np.intp]
    n_groups: int
    index: pd.Index

    def labels(self) -> list[str]:
        """Return a readable name of each group."""
        names = [str(name) for name in self.index.names]
        return [
            ", ".join(f"{n}={v}" for n, v in zip(names, as_tuple(level), strict=True))
            for level in self.index
        ]


@dataclass(frozen=True)
class Layout:
    """Base cell of each row, and the views."""

    cells: NDArray[np.intp]
    n_cells: int
    views: dict[ViewKey, View]
    controls: GroupCodes | None
    groups: GroupCodes
    joint: bool
    n_ignored: int

    @property
    def n_controls(self) -> int:
        """Number of control levels, 1 without control features."""
        return 1 if self.controls is None else self.controls.n_groups

    def without_rows(self) -> Layout:
        """Return the same groups and views without the arrays of n rows, for keeping."""
        none = np.empty(0, dtype=np.intp)
        controls = None if self.controls is None else self.controls.take(none)
        return replace(self, cells=none, groups=self.groups.take(none), controls=controls)


def encode(data: Any, encoder: GroupEncoder | None, n_samples: int, name: str) -> GroupCodes:
    """Encode protected attributes or control features, with a fitted or a fresh encoder."""
    if isinstance(data, GroupCodes):
        groups = data
    elif encoder is not None and hasattr(encoder, "labels_"):
        groups = encoder.transform(data)
    else:
        groups = (
            GroupEncoder().fit_transform(data) if encoder is None else encoder.fit_transform(data)
        )
    if len(groups) != n_samples:
        raise ValueError(f"{name} has {len(groups)} rows, but y_true has {n_samples}.")
    return groups


def make_layout(groups: GroupCodes, controls: GroupCodes | None) -> Layout:
    """Number the base cells and describe the views.

    Parameters
    ----------
    groups : GroupCodes
        Protected attributes; with overlapping groups (``intersections=False``) the joint view is
        left out and the result stacks the attributes instead.
    controls : GroupCodes or None
        Control features.

    Returns
    -------
    layout : Layout
    """
    joint = groups.codes.ndim == 1
    partitions: dict[ViewKey, GroupCodes] = {BY_GROUP: groups} if joint else {}
    partitions |= {("marginal", name): codes for name, codes in groups.marginals.items()}
    base, n_base, members = _base_cells(partitions)
    n_controls = 1
    if controls is not None:
        n_controls = controls.n_groups
        if controls.codes.min(initial=0) < 0:
            raise ValueError("control_features has missing values; fill them or drop these rows.")
        base = np.multiply(controls.codes, n_base, dtype=np.intp) + base
    views: dict[ViewKey, View] = {
        OVERALL: _view(OVERALL, np.zeros(n_base, np.intp), 1, pd.Index(["all"]), n_controls)
    }
    for key, codes in partitions.items():
        views[key] = _view(key, members[key], codes.n_groups, codes.index, n_controls)
    return Layout(base, n_controls * n_base, views, controls, groups, joint, groups.n_ignored)


def _view(
    key: ViewKey, member: NDArray[np.intp], n_groups: int, index: pd.Index, n_controls: int
) -> View:
    start = np.arange(n_controls)[:, None] * n_groups
    return View(key, np.where(member < 0, -1, start + member).ravel(), n_groups, index)


def _base_cells(
    partitions: dict[ViewKey, GroupCodes],
) -> tuple[NDArray[np.intp], int, dict[ViewKey, NDArray[np.intp]]]:
    """Return each row's base cell, their number, and each cell's group in every partition."""
    quick = _joint_cells(partitions)
    if quick is not None:
        return quick
    key: NDArray[np.int64] = np.zeros(len(next(iter(partitions.values()))), dtype=np.int64)
    for codes in partitions.values():
        key = key * (codes.n_groups + 1) + codes.codes + 1
        _, key = np.unique(key, return_inverse=True)  # renumbered, so that the key never overflows
    n_base = int(key.max(initial=-1)) + 1
    members = {}
    for name, codes in partitions.items():
        member = np.full(n_base, -1, dtype=np.intp)
        member[key] = codes.codes
        members[name] = member
    return key.astype(np.intp, copy=False), n_base, members


def _joint_cells(
    partitions: dict[ViewKey, GroupCodes],
) -> tuple[NDArray[np.intp], int, dict[ViewKey, NDArray[np.intp]]] | None:
    """Use the joint groups as cells where they tell all: no ignored rows, no merged groups."""
    joint = partitions.get(BY_GROUP)
    if joint is None or (len(joint.codes) and joint.codes.min() < 0):
        return None
    members: dict[ViewKey, NDArray[np.intp]] = {BY_GROUP: np.arange(joint.n_groups)}
    for key, codes in partitions.items():
        if key == BY_GROUP:
            continue
        position = {label[0]: j for j, label in enumerate(codes.labels)}
        column = joint.columns.index(codes.columns[0])
        member = [position.get(label[column]) for label in joint.labels]
        if None in member or len(set(joint.labels)) < joint.n_groups:
            return None
        members[key] = np.array(member, dtype=np.intp)
        if (np.bincount(members[key], joint.counts, codes.n_groups) != codes.counts).any():
            return None
    return joint.codes.astype(np.intp), joint.n_groups, members


def as_tuple(level: Any) -> tuple[Any, ...]:
    """Return the levels of an index entry."""
    return level if isinstance(level, tuple) else (level,)


def index_product(outer: pd.Index, inner: pd.Index) -> pd.MultiIndex:
    """Return every combination of two indices, the first one outside."""
    tuples = [(*as_tuple(a), *as_tuple(b)) for a in outer for b in inner]
    return pd.MultiIndex.from_tuples(tuples, names=[*outer.names, *inner.names])
