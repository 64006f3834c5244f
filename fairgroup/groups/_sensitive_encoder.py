"""Protected attributes -> typed numeric blocks, for measures that need distances between people.

Kinds and scales suit the distance-covariance regularisation of Lee, Antonio, Avanzi, Marchi and
Zhou (2025): 0/1 for a binary attribute and full one-hot for a categorical one, as in their motor
insurance application; min-max codes for an ordered one and min-max for a number.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import FairgroupWarning, UnseenGroupError
from fairgroup.groups._distance_variance import distance_variance, distance_variance_one_hot
from fairgroup.groups._frame import frame_as_fitted, frame_to_fit
from fairgroup.groups._levels import (
    ABSENT,
    MISSING,
    UNSEEN,
    Codes,
    Levels,
    check_discrete,
    factorize,
    look_up,
)
from fairgroup.groups._shown import GroupsShown
from fairgroup.utils._sklearn import StrOptions, fit_context

MAX_ORDINAL_LEVELS = 10
KINDS = ("binary", "categorical", "ordinal", "continuous")


@dataclass(frozen=True)
class SensitiveBlock:
    """One protected attribute as columns of numbers: how it is coded and where it lies."""

    name: str
    kind: str
    columns: slice
    levels: Levels
    offset: float
    factor: float

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.columns.stop - self.columns.start


class SensitiveEncoder(GroupsShown, TransformerMixin, BaseEstimator):
    """Encode protected attributes of any type as numeric blocks.

    Parameters
    ----------
    kinds : "auto" or mapping of column to {"binary", "categorical", "ordinal", "continuous"}, \
            default="auto"
        How each column is read; columns that a mapping leaves out are read as with "auto": text,
        booleans and categories are binary or categorical (ordered categories ordinal), numbers
        with two values are binary, with up to 10 values ordinal (with a warning that says so,
        since they may be codes of categories), with more continuous. "ordinal" needs numbers or
        ordered categories, because text has no order.
    scale : {"paper", "unit", "dvar", "none"}, default="paper"
        "paper": binary 0/1, categorical one-hot (two people of different levels are sqrt(2)
        apart), ordinal and continuous min-max scaled to [0, 1] with the range seen in `fit`.
        "unit": the same with one-hot divided by sqrt(2), so that every mismatch costs 1. "dvar":
        every block divided by the square root of its distance variance (U-statistic), so that
        all attributes count alike. "none": ordinal codes and continuous numbers as they are.
    weights : mapping of column to float, or None, default=None
        Factors of the blocks, at least 0; 1 where a column is not named.
    missing : {"error", "group"}, default="error"
        "group": missing values of a binary or categorical column form a level of their own. In
        an ordinal or continuous column they are always an error.

    Attributes
    ----------
    columns_ : tuple of str
        Names of the attributes.
    blocks_ : tuple of SensitiveBlock
        For each attribute its ``name``, ``kind``, ``columns`` (a slice of the encoded matrix),
        ``levels``, ``offset`` and ``factor``.
    n_blocks_ : int
        Number of attributes.
    cells_ : ndarray of shape (n_cells, n_columns_out)
        The distinct encoded rows seen in `fit`, in lexicographic order.

    See Also
    --------
    GroupEncoder : Groups that do not overlap.

    References
    ----------
    Lee, H. M., Antonio, K., Avanzi, B., Marchi, L. and Zhou, R. (2025). Machine Learning with
    Multitype Protected Attributes: Intersectional Fairness through Regularisation.
    arXiv:2509.08163.

    Examples
    --------
    >>> import pandas as pd
    >>> from fairgroup.groups import SensitiveEncoder
    >>> people = pd.DataFrame({"sex": ["f", "m", "m"], "age": [20.0, 70.0, 45.0]})
    >>> encoder = SensitiveEncoder(kinds={"age": "continuous"}).fit(people)
    >>> [block.kind for block in encoder.blocks_]
    ['binary', 'continuous']
    >>> encoder.transform(people)
    array([[0. , 0. ],
           [1. , 1. ],
           [1. , 0.5]])
    """

    _parameter_constraints = {
        "kinds": [StrOptions({"auto"}), Mapping],
        "scale": [StrOptions({"paper", "unit", "dvar", "none"})],
        "weights": [Mapping, None],
        "missing": [StrOptions({"error", "group"})],
    }

    def __init__(
        self,
        *,
        kinds: str | Mapping[str, str] = "auto",
        scale: str = "paper",
        weights: Mapping[str, float] | None = None,
        missing: str = "error",
    ) -> None:
        self.kinds = kinds
        self.scale = scale
        self.weights = weights
        self.missing = missing

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, sensitive_features: Any, y: Any = None) -> Self:
        """Learn kinds, levels and ranges.

        Parameters
        ----------
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Protected attributes of any type.
        y : None
            Ignored.

        Returns
        -------
        self : SensitiveEncoder

        Raises
        ------
        ValueError
            For no rows, missing or infinite values, a kind that does not fit its column, or
            ``kinds`` and ``weights`` that name columns which are not there.

        Warns
        -----
        FairgroupWarning
            When a column of few numbers is read as ordinal without being told, or a column holds
            one value only.
        """
        frame, named = frame_to_fit(sensitive_features)
        self._check_arguments(tuple(frame.columns))
        blocks: list[SensitiveBlock] = []
        for column in frame:
            start = blocks[-1].columns.stop if blocks else 0
            blocks.append(self._fit_block(frame[column], start))
        self.columns_, self._named = tuple(frame.columns), named
        self.blocks_ = tuple(blocks)
        self.n_blocks_ = len(blocks)
        encoded = self._encode(frame)
        cells = encoded[distinct_rows(encoded)[1]]
        self.cells_ = cells[np.lexsort(cells.T[::-1])]
        return self

    def transform(self, sensitive_features: Any) -> NDArray[np.float64]:
        """Encode rows.

        Parameters
        ----------
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            The columns that `fit` has seen.

        Returns
        -------
        encoded : ndarray of float64, shape (n_samples, n_columns_out)
            The blocks side by side, as ``blocks_`` says.

        Raises
        ------
        UnseenGroupError
            For a level that `fit` has not seen.
        ValueError
            For other columns than in `fit`, and missing or infinite values.
        """
        check_is_fitted(self)
        return self._encode(frame_as_fitted(sensitive_features, self.columns_, named=self._named))

    def cell_of(self, sensitive_features: Any) -> NDArray[np.int64]:
        """Return for each row its position in ``cells_``.

        Parameters
        ----------
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Rows whose combination of values was there in `fit`.

        Returns
        -------
        cell : ndarray of int64, shape (n_samples,)

        Raises
        ------
        UnseenGroupError
            For a combination of values that `fit` has not seen.
        """
        check_is_fitted(self)
        frame = frame_as_fitted(sensitive_features, self.columns_, named=self._named)
        cell, first = distinct_rows(np.vstack([self.cells_, self._encode(frame)]))
        position = cell[len(self.cells_) :]
        known = first[position] < len(self.cells_)
        if not known.all():
            raise UnseenGroupError(
                f"Row {int(np.argmin(known))} of sensitive_features has a combination of "
                "protected attributes that was not there in fit; fit on rows that have it."
            )
        return position

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the encoded columns.

        Parameters
        ----------
        input_features : None
            Ignored; the columns are those seen in `fit`.

        Returns
        -------
        names : ndarray of object, shape (n_columns_out,)
        """
        check_is_fitted(self)
        names = [
            f"{block.name}={level}" if block.kind == "categorical" else block.name
            for block in self.blocks_
            for level in (block.levels if block.kind == "categorical" else (None,))
        ]
        return np.array(names, dtype=object)

    def _groups_seen(self) -> list[tuple[str, str]]:
        """Attributes rather than groups: with continuous ones there are no groups to count."""
        return [
            (block.name, f"{block.kind}: {', '.join(map(str, block.levels))}".removesuffix(": "))
            for block in getattr(self, "blocks_", ())
        ]

    def _check_arguments(self, columns: tuple[str, ...]) -> None:
        kinds = {} if isinstance(self.kinds, str) else self.kinds
        for argument, named in (("kinds", kinds), ("weights", self.weights or {})):
            lost = [column for column in named if column not in columns]
            if lost:
                raise ValueError(f"{argument} names {lost}, but the columns are {list(columns)}.")
        wrong = {column: kind for column, kind in kinds.items() if kind not in KINDS}
        if wrong:
            raise ValueError(f"kinds must be among {KINDS}; found {wrong}.")
        if any(not 0 <= weight < np.inf for weight in (self.weights or {}).values()):
            raise ValueError(
                f"weights must be finite and at least 0; found {dict(self.weights or {})}."
            )

    def _fit_block(self, column: pd.Series, start: int) -> SensitiveBlock:
        codes, levels = factorize(column)
        kind = self._kind(column, len(levels))
        absent = codes == ABSENT
        if absent.any():
            self._refuse_missing(column, kind, absent)
            codes, levels = np.where(absent, len(levels), codes), (*levels, MISSING)
            kind = "categorical" if len(levels) > 2 else kind
        _check_kind(column, kind, levels)
        width = len(levels) if kind == "categorical" else 1
        values = codes if kind != "continuous" else _numbers(column)
        offset, factor = self._affine(kind, values)
        factor *= float((self.weights or {}).get(str(column.name), 1.0))
        levels = () if kind == "continuous" else levels
        return SensitiveBlock(
            str(column.name), kind, slice(start, start + width), levels, offset, factor
        )

    def _refuse_missing(self, column: pd.Series, kind: str, absent: NDArray[np.bool_]) -> None:
        if self.missing == "error" or kind in ("ordinal", "continuous"):
            raise ValueError(
                f"Column {column.name!r} of sensitive_features has {int(absent.sum())} missing "
                f"values (first in row {int(absent.argmax())}). Fill them or leave the rows out; "
                'for binary and categorical columns there is missing="group".'
            )

    def _kind(self, column: pd.Series, n_levels: int) -> str:
        if not isinstance(self.kinds, str) and column.name in self.kinds:
            return self.kinds[str(column.name)]
        ordered = isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered
        if n_levels <= 2:
            return "binary"
        if ordered:
            return "ordinal"
        if not pd.api.types.is_numeric_dtype(column.dtype):
            return "categorical"
        if n_levels > MAX_ORDINAL_LEVELS:
            return "continuous"
        warnings.warn(
            f"Column {column.name!r} of sensitive_features holds {n_levels} distinct numbers and "
            "is read as ordinal. If they are codes of categories, say "
            f'kinds={{{column.name!r}: "categorical"}}.',
            FairgroupWarning,
            stacklevel=5,
        )
        return "ordinal"

    def _affine(self, kind: str, values: NDArray[Any]) -> tuple[float, float]:
        """Return what is subtracted from the codes or numbers, and what they are multiplied by."""
        low, high = float(values.min()), float(values.max())
        span = high - low if high > low else 1.0
        one_hot = kind == "categorical"
        if self.scale == "dvar":
            variance = (
                distance_variance_one_hot(np.bincount(values))
                if one_hot
                else distance_variance(np.asarray(values, dtype=float))
            )
            return (0.0 if one_hot else low), 1 / np.sqrt(variance) if variance > 0 else 1.0
        if one_hot:
            return 0.0, 1 / np.sqrt(2) if self.scale == "unit" else 1.0
        if self.scale == "none" or kind == "binary":
            return 0.0, 1.0
        return low, 1 / span

    def _encode(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        encoded = np.zeros((len(frame), self.blocks_[-1].columns.stop))
        for block in self.blocks_:
            column = frame[block.name]
            if block.kind == "continuous":
                values = (_numbers(column) - block.offset) * block.factor
                encoded[:, block.columns.start] = values
                continue
            codes = self._codes(column, block)
            if block.kind == "categorical":
                encoded[np.arange(len(frame)), block.columns.start + codes] = block.factor
            else:
                encoded[:, block.columns.start] = (codes - block.offset) * block.factor
        return encoded

    def _codes(self, column: pd.Series, block: SensitiveBlock) -> Codes:
        codes = look_up(column, block.levels, "ignore")
        absent = codes == ABSENT
        if absent.any():
            self._refuse_missing(column, block.kind, absent)
            codes[absent] = block.levels.index(MISSING) if MISSING in block.levels else UNSEEN
        if codes.min(initial=0) < 0:
            row = int(np.argmax(codes < 0))
            raise UnseenGroupError(
                f"Column {block.name!r} of sensitive_features has {column.iloc[row]!r} in row "
                f"{row}, which was not there in fit; known levels: {list(block.levels)}."
            )
        return codes


def _check_kind(column: pd.Series, kind: str, levels: Levels) -> None:
    if len(levels) == 1:
        warnings.warn(
            f"Column {column.name!r} of sensitive_features holds one value only: "
            "it says nothing about anybody.",
            FairgroupWarning,
            stacklevel=5,
        )
    if kind == "binary" and len(levels) > 2:
        raise ValueError(
            f"kinds: column {column.name!r} is not binary, it has {len(levels)} levels; say "
            '"categorical" or "ordinal".'
        )
    if kind == "categorical":
        check_discrete(column, len(levels))
    is_category = isinstance(column.dtype, pd.CategoricalDtype)
    ordered = column.cat.ordered if is_category else pd.api.types.is_numeric_dtype(column.dtype)
    if kind == "ordinal" and not ordered:
        raise ValueError(
            f"kinds: column {column.name!r} cannot be ordinal, because its values "
            f"{list(levels)[:5]} have no declared order. Make it pandas.Categorical(values, "
            "categories=[...], ordered=True)."
        )


def distinct_rows(matrix: NDArray[np.float64]) -> tuple[Codes, NDArray[np.intp]]:
    """Number equal rows alike, in order of appearance; return also where each is first."""
    codes = np.zeros(len(matrix), dtype=np.int64)
    for column in matrix.T:
        values, found = pd.factorize(column)
        codes = pd.factorize(codes * len(found) + values)[0]
    first = np.empty(codes.max(initial=-1) + 1, dtype=np.intp)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return codes, first


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    try:
        values = column.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"kinds: column {column.name!r} cannot be continuous, because it holds no numbers; "
            'say "categorical".'
        ) from error
    if not np.isfinite(values).all():
        row = int(np.argmax(~np.isfinite(values)))
        raise ValueError(
            f"Column {column.name!r} of sensitive_features must be finite; "
            f"row {row} is {values[row]}."
        )
    return values


__all__: Sequence[str] = ["SensitiveBlock", "SensitiveEncoder", "distinct_rows"]
