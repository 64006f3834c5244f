"""Which groups a stream has, and who is in them: names first, because groups may appear later."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups import MembershipEncoder
from fairgroup.groups._frame import MAX_FLOAT_LEVELS, sensitive_frame
from fairgroup.groups._membership_encoder import EVERYONE, check_memberships

__all__ = ["EVERYONE", "GroupBook"]

Floats = NDArray[np.float64]


class GroupBook:
    """Turn ``memberships`` or ``sensitive_features`` into columns of known groups.

    Groups are known by name. Each batch is encoded by itself and matched by name, so that it does
    not matter in which batch a group appears: it becomes a group in the row in which it has been
    seen ``min_group_size`` times (levels of one column: at once), and is inactive before.

    Parameters
    ----------
    encoder : MembershipEncoder or None
        Its settings are used; it is cloned.
    always_on : bool
        Whether the first group is everyone.
    unseen : {"add", "ignore", "error"}
        What a group means that appears after the first rows.
    """

    def __init__(self, encoder: MembershipEncoder | None, *, always_on: bool, unseen: str) -> None:
        self.encoder = MembershipEncoder() if encoder is None else encoder
        self.always_on = always_on or self.encoder.everyone
        self.unseen = unseen
        self.names: list[str] = [EVERYONE] if self.always_on else []
        self.waiting: dict[str, int] = {}  # intersections below the minimum size, with counts
        self.source = ""
        self._known: dict[tuple[Any, ...], NDArray[np.intp]] = {}

    def learn(
        self, n_rows: int, memberships: Any, sensitive_features: Any, known: Any = None
    ) -> Floats:
        """Memberships (n, G) of rows to learn from; new groups are appended to ``names``."""
        first = not self.source
        if known is not None:
            self._declare(known, sensitive_features is not None)
            first = False
        blocks = self._read(n_rows, memberships, sensitive_features, learning=True)
        if blocks is None:
            return self._everyone(n_rows)
        matrix, names, small = blocks
        matrix, new = self._appearing(matrix, names, small)
        late = [name for name in new if name not in small]
        if late and not first and self.unseen != "add":
            self._refuse(late)
            new = [name for name in new if name in small]
        self.names += new
        return self._place(matrix, names)

    def predict(self, n_rows: int, memberships: Any, sensitive_features: Any) -> Floats:
        """Memberships (n, G) of rows to predict; unknown groups are inactive, with a warning."""
        blocks = self._read(n_rows, memberships, sensitive_features, learning=False)
        if blocks is None:
            return self._everyone(n_rows)
        matrix, names, small = blocks
        unknown = [name for name in names if name not in self.names and name not in small]
        if unknown:
            self._refuse(unknown)
        return self._place(matrix, names)

    def _read(
        self, n_rows: int, memberships: Any, sensitive_features: Any, *, learning: bool
    ) -> tuple[Floats, list[str], set[str]] | None:
        """Matrix, names of its columns, and which of them may wait for a minimum size."""
        if memberships is not None and sensitive_features is not None:
            raise ValueError(
                "Both memberships and sensitive_features were given; give one of them."
            )
        if memberships is None and sensitive_features is None:
            self._without_groups(learning, n_rows)
            return None
        self.source = "memberships" if memberships is not None else "sensitive_features"
        if memberships is not None:
            matrix, names = self._check_memberships(memberships, n_rows)
            return matrix, names, set()
        if n_rows == 0:
            return np.empty((0, 0)), [], set()
        return self._encode(sensitive_features, n_rows)

    def _without_groups(self, learning: bool, n_rows: int) -> None:
        if not self.always_on:
            raise ValueError(
                "Neither memberships nor sensitive_features was given, and always_on=False: no "
                "row is in any group. Give one of them or use always_on=True."
            )
        if n_rows == 0:
            return
        if learning and not self.source:
            warnings.warn(
                "Fitted without memberships or sensitive_features: everyone is one group, and "
                "nothing is guaranteed for any other.",
                FairnessWarning,
                stacklevel=5,
            )
            self.source = "nothing"
        elif self.source != "nothing" and len(self.names) > 1:
            warnings.warn(
                "No memberships or sensitive_features were given: these rows count as members of "
                f"{EVERYONE!r} only.",
                FairnessWarning,
                stacklevel=5,
            )

    def _check_memberships(self, memberships: Any, n_rows: int) -> tuple[Floats, list[str]]:
        if isinstance(memberships, np.ndarray) and memberships.shape[:1] == (0,):
            width = memberships.shape[1] if memberships.ndim == 2 else 0
            matrix, names = np.empty((0, width)), [f"group_{j}" for j in range(width)]
        else:
            matrix, names = _matrix(memberships, n_rows)
        anonymous = names == [f"group_{j}" for j in range(len(names))]
        own = [name for name in self.names if name != EVERYONE or not self.always_on]
        if anonymous and own:
            if len(own) != len(names):
                raise ValueError(
                    f"memberships has {len(names)} columns, but there are {len(own)} groups: "
                    f"{own}. Use add_group(name) before a column is added."
                )
            names = own
        return matrix, names

    def row(self, key: tuple[Any, ...]) -> Floats | None:
        """Memberships (1, G) of an individual by its attributes; None for new attributes."""
        names = self._known.get(key)
        if names is None:
            return None
        placed = np.zeros((1, len(self.names)))
        placed[0, names] = 1.0
        return placed

    def note(self, key: tuple[Any, ...], placed: Floats) -> None:
        """Remember the memberships of these attributes, if nothing can change about them."""
        if not self.encoder.intersections and not len(self.encoder.fractional):
            self._known[key] = np.flatnonzero(placed[0])

    def _encode(self, sensitive_features: Any, n_rows: int) -> tuple[Floats, list[str], set[str]]:
        frame, _ = sensitive_frame(sensitive_features, n_samples=n_rows)
        self._refuse_continuous(frame)
        settings = {"min_group_size": 0, "everyone": False}
        encoder = clone(self.encoder).set_params(**settings)
        matrix = encoder.fit_transform(frame)
        names = list(encoder.names_)
        if not encoder.intersections:
            return matrix, names, set()
        single = clone(encoder).set_params(intersections=False).fit(frame).names_
        return matrix, names, set(names) - set(single)

    def _refuse_continuous(self, frame: pd.DataFrame) -> None:
        for column in frame.columns.difference(list(self.encoder.fractional)):
            if not pd.api.types.is_float_dtype(frame[column].dtype):
                continue
            levels = sum(name.startswith(f"{column}=") for name in self.names)
            if levels > MAX_FLOAT_LEVELS:
                raise ValueError(
                    f"Column {column!r} of sensitive_features is continuous: {levels} values "
                    "have become groups by now. Bin it first, for example with pandas.cut."
                )

    def _appearing(
        self, matrix: Floats, names: list[str], small: set[str]
    ) -> tuple[Floats, list[str]]:
        """Find new groups in order of appearance, inactive before they have their least size."""
        appearing: list[tuple[int, str]] = []
        matrix = matrix.copy()
        for j, name in enumerate(names):
            if name in self.names:
                continue
            if self.source == "memberships":  # a column is a group, with or without members yet
                appearing.append((0, name))
                continue
            least = self.encoder.min_group_size if name in small else 0
            seen = self.waiting.get(name, 0) + np.cumsum(matrix[:, j] > 0)
            if len(seen) and seen[-1] >= least:
                start = int(np.argmax(seen >= max(least, 1))) if seen[-1] else 0
                matrix[:start, j] = 0.0
                appearing.append((start, name))
                self.waiting.pop(name, None)
            elif len(seen):
                self.waiting[name] = int(seen[-1])
        order = sorted(range(len(appearing)), key=lambda i: appearing[i][0])
        return matrix, [appearing[i][1] for i in order]

    def _place(self, matrix: Floats, names: list[str]) -> Floats:
        placed = np.zeros((len(matrix), len(self.names)))
        position = {name: g for g, name in enumerate(self.names)}
        for j, name in enumerate(names):
            if name in position:
                placed[:, position[name]] = matrix[:, j]
        if self.always_on:
            placed[:, 0] = 1.0
        return placed

    def _everyone(self, n_rows: int) -> Floats:
        placed = np.zeros((n_rows, len(self.names)))
        placed[:, 0] = 1.0
        return placed

    def _refuse(self, unknown: Sequence[str]) -> None:
        found = f"Groups that were not there before: {', '.join(map(repr, unknown))}"
        if self.unseen == "error":
            raise UnseenGroupError(
                f'{found}. Use unseen="add" to start a learner for them, or "ignore".'
            )
        warnings.warn(
            f"{found}. Their rows are predicted by the other groups they are in.",
            FairnessWarning,
            stacklevel=5,
        )

    def _declare(self, known: ArrayLike, attributes: bool) -> None:
        """Groups announced ahead: names, or rows of attributes whose levels are to be known."""
        plain = isinstance(known, list | tuple) and all(isinstance(name, str) for name in known)
        if plain and not attributes:
            names, self.source = list(map(str, known)), "memberships"  # type: ignore[arg-type]
        else:
            frame, _ = sensitive_frame(known, name="sensitive_groups")
            encoder = clone(self.encoder).set_params(min_group_size=0, everyone=False)
            names, self.source = list(encoder.fit(frame).names_), "sensitive_features"
        self.names += [name for name in names if name not in self.names]

    def state(self) -> dict[str, NDArray]:
        """Names and counts as arrays."""
        return {
            "group_names": np.array(self.names, dtype=str),
            "waiting_names": np.array(list(self.waiting), dtype=str),
            "waiting_counts": np.array(list(self.waiting.values()), dtype=np.int64),
            "group_source": np.array(self.source),
        }

    def load(self, state: dict[str, NDArray]) -> None:
        """Take over what `state` returned."""
        self.names = [str(name) for name in state["group_names"]]
        counts = np.asarray(state["waiting_counts"]).tolist()
        self.waiting = dict(zip(map(str, state["waiting_names"]), counts, strict=True))
        self.source = str(state["group_source"])


def _matrix(memberships: Any, n_rows: int) -> tuple[Floats, list[str]]:
    """Check a matrix of memberships; plain arrays, as one row at a time, without a frame."""
    plain = isinstance(memberships, np.ndarray) and memberships.dtype.kind in "fbiu"
    if plain and memberships.shape[:1] == (n_rows,) and memberships.ndim == 2:
        matrix = memberships.astype(np.float64)
        if ((matrix >= 0) & (matrix <= 1)).all():
            return matrix, [f"group_{j}" for j in range(matrix.shape[1])]
    matrix, names = check_memberships(memberships, n_samples=n_rows)
    return matrix, list(names)
