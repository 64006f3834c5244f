"""Every way to hand over protected attributes means the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fairgroup.groups._frame import frame_as_fitted, sensitive_frame

SEX = ["f", "m", "m", None, "f"]
AGE = [1, 2, 3, 2, 1]


def rows(frame):
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame.to_numpy(dtype=object)]


TABLES = {
    "pandas": pd.DataFrame({"sex": SEX, "age": AGE}, index=[9, 8, 7, 6, 5]),
    "pandas object": pd.DataFrame({"sex": SEX, "age": AGE}, dtype=object),
    "pandas arrow-like": pd.DataFrame({"sex": SEX, "age": AGE}).convert_dtypes(),
    "polars": pl.DataFrame({"sex": SEX, "age": AGE}),
    "polars lazy": pl.LazyFrame({"sex": SEX, "age": AGE}),
    "polars categorical": pl.DataFrame(
        {"sex": SEX, "age": AGE}, schema_overrides={"sex": pl.Categorical}
    ),
    "dict of lists": {"sex": SEX, "age": AGE},
    "dict of series": {"sex": pl.Series(SEX), "age": pd.Series(AGE)},
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_frames_of_all_kinds_agree(table):
    frame, named = sensitive_frame(table)
    assert named
    assert list(frame.columns) == ["sex", "age"]
    assert list(frame.index) == [0, 1, 2, 3, 4]
    assert rows(frame) == list(zip(SEX, AGE, strict=True))
    assert pd.api.types.is_integer_dtype(frame["age"].dtype)


@pytest.mark.parametrize(
    "table",
    [
        [["f", 1], ["m", 2]],
        (("f", 1), ("m", 2)),
        np.array([["f", 1], ["m", 2]], dtype=object),
    ],
)
def test_rows_of_values_keep_the_types_of_columns(table):
    frame, named = sensitive_frame(table)
    assert not named
    assert list(frame.columns) == ["sensitive_feature_0", "sensitive_feature_1"]
    assert rows(frame) == [("f", 1), ("m", 2)]
    assert frame["sensitive_feature_1"].dtype == np.int64


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (["f", "m"], None),
        (np.array(["f", "m"]), None),
        (np.array(["f", "m"], dtype=object), None),
        (np.array([["f"], ["m"]]), None),
        (pd.Series(["f", "m"]), None),
        (pd.Series(["f", "m"], name="sex"), "sex"),
        (pl.Series(["f", "m"]), None),
        (pl.Series("sex", ["f", "m"]), "sex"),
    ],
)
def test_one_column(column, name):
    frame, named = sensitive_frame(column)
    assert named == (name is not None)
    assert list(frame.columns) == [name or "sensitive_feature_0"]
    assert rows(frame) == [("f",), ("m",)]


def test_the_callers_frame_stays_as_it_is():
    table = pd.DataFrame({0: ["f", "m"]}, index=[5, 6])
    frame, _ = sensitive_frame(table)
    frame.iloc[0, 0] = "x"
    pd.testing.assert_frame_equal(table, pd.DataFrame({0: ["f", "m"]}, index=[5, 6]))


@pytest.mark.parametrize("width", [1, 7, 32, 33, 90])
def test_numpy_text_of_every_width(width):
    levels = np.array(["a" * width, "a" * (width - 1) + "é", "😀", ""])
    column = levels[np.random.default_rng(0).integers(0, 4, 500)]
    frame, _ = sensitive_frame(np.column_stack([column, column[::-1]]))
    assert frame.iloc[:, 0].tolist() == column.tolist()
    assert frame.iloc[:, 1].tolist() == column[::-1].tolist()


def test_text_with_equal_hashes_is_still_told_apart(monkeypatch):
    class Zeros:
        def integers(self, *args, **kwargs):
            return np.zeros(kwargs["size"], dtype=np.uint64)

    # With all multipliers equal to one, anagrams have the same hash.
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Zeros())
    frame, _ = sensitive_frame(np.array(["ab", "ba", "ab"]))
    assert frame.iloc[:, 0].tolist() == ["ab", "ba", "ab"]


def test_a_mask_means_missing():
    frame, _ = sensitive_frame(np.ma.array([1, 2, 3], mask=[False, True, False]))
    assert frame.iloc[:, 0].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("values", [pl.Enum(["low", "high"]), None])
def test_declared_order_is_kept(values):
    if values is None:
        column = pd.Categorical(["low", "high"], categories=["low", "high"], ordered=True)
        column = pd.Series(column)
    else:
        column = pl.Series(["low", "high"], dtype=values)
    frame, _ = sensitive_frame(column)
    assert frame.iloc[:, 0].cat.ordered
    assert list(frame.iloc[:, 0].cat.categories) == ["low", "high"]


@pytest.mark.parametrize("bad", [None, 3, "female", b"x"])
def test_what_is_no_table_is_refused(bad):
    with pytest.raises(TypeError, match="sensitive_features must be an array"):
        sensitive_frame(bad)


def test_sparse_matrices_are_refused():
    from scipy.sparse import csr_matrix

    with pytest.raises(TypeError, match="sensitive_features must be an array"):
        sensitive_frame(csr_matrix([[1]]))


@pytest.mark.parametrize("bad", [[{"sex": "f"}], [pd.Series(["f", "m"])], [pl.Series(["f"])]])
def test_lists_of_mappings_or_columns_are_refused_with_advice(bad):
    with pytest.raises(TypeError, match="give a DataFrame, or a dict"):
        sensitive_frame(bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((2, 2, 2)), "3 dimensions"),
        (np.zeros((4, 0)), "no column"),
        (pd.DataFrame(index=[1, 2]), "no column"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"same name: \['a'\]"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), r"same name: \['1'\]"),
    ],
)
def test_bad_tables_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        sensitive_frame(bad)


def test_a_wrong_number_of_rows_is_named():
    with pytest.raises(ValueError, match="has 2 rows, but X has 3"):
        sensitive_frame(["f", "m"], n_samples=3)


@pytest.mark.parametrize(
    "empty", [[], np.empty(0), np.empty((0, 1), dtype="U3"), np.empty(0, "U")]
)
def test_no_rows(empty):
    assert sensitive_frame(empty)[0].shape == (0, 1)


def test_columns_are_matched_by_name_then_by_position():
    table = pd.DataFrame({"age": [1, 2], "zip": [3, 4], "sex": ["f", "m"]})
    by_name = frame_as_fitted(table, ("sex", "age"), named=True)
    assert rows(by_name) == [("f", 1), ("m", 2)]
    by_place = frame_as_fitted([["f", 1]], ("sex", "age"), named=True)
    assert list(by_place.columns) == ["sex", "age"]
    assert rows(frame_as_fitted(table[["sex", "age"]], ("x", "y"), named=False)) == rows(by_name)


def test_lost_and_extra_columns_are_named():
    table = pd.DataFrame({"sex": ["f"], "race": ["a"]})
    with pytest.raises(ValueError, match=r"lacks the columns \['age'\].*found \['sex', 'race'\]"):
        frame_as_fitted(table, ("sex", "age"), named=True)
    with pytest.raises(ValueError, match="has 3 columns, but 2 in fit"):
        frame_as_fitted(np.zeros((1, 3)), ("sex", "age"), named=True)
