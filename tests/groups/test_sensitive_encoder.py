"""SensitiveEncoder: kinds, scales and cells, against the specification and O(n^2) sums."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from fairgroup.exceptions import FairgroupWarning, UnseenGroupError
from fairgroup.groups import SensitiveEncoder
from fairgroup.groups._distance_variance import distance_variance, distance_variance_one_hot


def dvar_reference(rows: np.ndarray) -> float:
    """U-centre the matrix of distances and average its squares."""
    n = len(rows)
    a = np.sqrt(((rows[:, None, :] - rows[None, :, :]) ** 2).sum(axis=2))
    sums = a.sum(axis=1)
    u = a - sums[:, None] / (n - 2) - sums[None, :] / (n - 2) + a.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(u, 0)
    return float((u**2).sum() / (n * (n - 3)))


numbers = st.lists(st.floats(-50, 50), min_size=4, max_size=25)


@settings(deadline=None, max_examples=60)
@given(numbers)
def test_distance_variance_of_numbers(values):
    x = np.array(values)
    expected = dvar_reference(x[:, None])
    assert distance_variance(x) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=4, max_size=25))
def test_distance_variance_of_levels(values):
    one_hot = np.eye(4)[values]
    expected = dvar_reference(one_hot)
    counts = np.bincount(values, minlength=4)
    assert distance_variance_one_hot(counts) == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_distance_variance_is_exact_beyond_the_range_of_int64():
    n = 60_000  # n (n-1) (n-2) (n-3) overflows int64 from about 55,110 rows on
    half = np.repeat([0.0, 1.0], n // 2)
    one_hot = distance_variance_one_hot(np.array([n // 2, n // 2]))
    # Two levels at distance d have dVar^2 -> d^2 / 4 for equal shares.
    assert distance_variance(half) == pytest.approx(0.25, rel=1e-4)
    assert one_hot == pytest.approx(2 * distance_variance(half), rel=1e-12)


def test_distance_variance_needs_four_rows():
    with pytest.raises(ValueError, match='scale="dvar" needs at least 4 rows; found 3'):
        SensitiveEncoder(scale="dvar").fit(["a", "b", "a"])


PEOPLE = pd.DataFrame(
    {
        "sex": ["f", "m", "m", "f", "f", "m"],
        "region": ["n", "s", "w", "w", "s", "n"],
        "grade": pd.Categorical(list("abcacb"), ["c", "b", "a"], ordered=True),
        "age": [20.0, 70.0, 45.0, 20.0, 30.0, 32.5],
    }
)
KINDS = {"age": "continuous"}


def test_kinds_are_recognised():
    encoder = SensitiveEncoder(kinds=KINDS).fit(PEOPLE)
    kinds = {block.name: block.kind for block in encoder.blocks_}
    assert kinds == {
        "sex": "binary",
        "region": "categorical",
        "grade": "ordinal",
        "age": "continuous",
    }
    assert [block.width for block in encoder.blocks_] == [1, 3, 1, 1]
    assert encoder.n_blocks_ == 4
    assert encoder.columns_ == ("sex", "region", "grade", "age")
    names = ["sex", "region=n", "region=s", "region=w", "grade", "age"]
    assert encoder.get_feature_names_out().tolist() == names
    assert encoder.blocks_[2].levels == ("c", "b", "a")


def test_numbers_are_recognised():
    table = pd.DataFrame({"b": [0, 5] * 10, "age": np.arange(20.0), "many": np.arange(20) % 11})
    kinds = [block.kind for block in SensitiveEncoder().fit(table).blocks_]
    assert kinds == ["binary", "continuous", "continuous"]
    assert SensitiveEncoder().fit([True, False]).blocks_[0].kind == "binary"


def test_few_numbers_are_ordinal_with_a_warning_that_says_what_to_do():
    with pytest.warns(FairgroupWarning, match=r"ordinal.*kinds=\{'c': \"categorical\"\}"):
        encoder = SensitiveEncoder().fit(pd.DataFrame({"c": [1, 2, 5]}))
    np.testing.assert_array_equal(
        encoder.transform(pd.DataFrame({"c": [5, 1, 2]})).ravel(), [1, 0, 0.5]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder = SensitiveEncoder(kinds={"c": "categorical"}).fit(pd.DataFrame({"c": [1, 2, 5]}))
    np.testing.assert_array_equal(encoder.transform([[2]]), [[0, 1, 0]])


def expected(one_hot=1.0):
    region = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0]])
    return {
        "sex": np.array([[0, 1, 1, 0, 0, 1]]).T,
        "region": region * one_hot,
        "grade": np.array([[1, 0.5, 0, 1, 0, 0.5]]).T,
        "age": (PEOPLE[["age"]].to_numpy() - 20) / 50,
    }


def test_scale_paper():
    encoded = SensitiveEncoder(kinds=KINDS).fit_transform(PEOPLE)
    np.testing.assert_allclose(encoded, np.hstack([*expected().values()]), atol=1e-15)


def test_scale_unit_makes_every_mismatch_cost_one():
    encoded = SensitiveEncoder(kinds=KINDS, scale="unit").fit_transform(PEOPLE)
    np.testing.assert_allclose(encoded, np.hstack([*expected(0.5**0.5).values()]), atol=1e-15)
    regions = encoded[:, 1:4]
    assert np.linalg.norm(regions[0] - regions[1]) == pytest.approx(1)


def test_scale_none_leaves_numbers_and_codes():
    encoded = SensitiveEncoder(kinds=KINDS, scale="none").fit_transform(PEOPLE)
    np.testing.assert_array_equal(encoded[:, -1], PEOPLE["age"])
    np.testing.assert_array_equal(encoded[:, -2], [2, 1, 0, 2, 0, 1])


def test_scale_dvar_gives_every_block_distance_variance_one():
    encoder = SensitiveEncoder(kinds=KINDS, scale="dvar")
    encoded = encoder.fit_transform(PEOPLE)
    for block in encoder.blocks_:
        assert dvar_reference(encoded[:, block.columns]) == pytest.approx(1, rel=1e-12)


def test_weights_multiply_blocks():
    plain = SensitiveEncoder(kinds=KINDS).fit_transform(PEOPLE)
    weighted = SensitiveEncoder(kinds=KINDS, weights={"region": 2, "age": 0}).fit_transform(PEOPLE)
    np.testing.assert_allclose(weighted, plain * [1, 2, 2, 2, 1, 0])


def test_rows_beyond_the_range_of_fit_are_scaled_alike():
    encoder = SensitiveEncoder(kinds=KINDS).fit(PEOPLE[["age"]])
    np.testing.assert_allclose(encoder.transform(pd.DataFrame({"age": [120.0]})), [[2.0]])


def test_renaming_levels_keeps_distances():
    from scipy.spatial.distance import pdist

    renamed = PEOPLE.replace({"region": {"n": "z", "s": "a", "w": "m"}, "sex": {"f": "x"}})
    encode = SensitiveEncoder(kinds=KINDS).fit_transform
    np.testing.assert_allclose(pdist(encode(renamed)), pdist(encode(PEOPLE)))


def test_tables_of_all_kinds_agree():
    table = PEOPLE[["sex", "region", "age"]]
    expected = SensitiveEncoder(kinds=KINDS).fit_transform(table)
    polars = pl.DataFrame(table.to_dict("list"))
    np.testing.assert_array_equal(SensitiveEncoder(kinds=KINDS).fit_transform(polars), expected)
    kinds = {"sensitive_feature_2": "continuous"}
    array = table.to_numpy(dtype=object)
    np.testing.assert_array_equal(SensitiveEncoder(kinds=kinds).fit_transform(array), expected)


class TestCells:
    def test_cells_are_the_distinct_rows_in_order(self):
        encoder = SensitiveEncoder(kinds=KINDS).fit(PEOPLE)
        encoded = encoder.transform(PEOPLE)
        np.testing.assert_array_equal(encoder.cells_, np.unique(encoded, axis=0))
        np.testing.assert_array_equal(encoder.cells_[encoder.cell_of(PEOPLE)], encoded)

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=30))
    def test_cells_of_any_table(self, rows):
        table = pd.DataFrame(rows, columns=["x", "y"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encoder = SensitiveEncoder().fit(table)
        cells, cell_of = np.unique(encoder.transform(table), axis=0, return_inverse=True)
        np.testing.assert_array_equal(encoder.cells_, cells)
        np.testing.assert_array_equal(encoder.cell_of(table), cell_of)

    def test_an_unseen_combination_is_named(self):
        encoder = SensitiveEncoder().fit([["f", "a"], ["m", "b"]])
        with pytest.raises(UnseenGroupError, match=r"Row 1 .* has a combination"):
            encoder.cell_of([["m", "b"], ["f", "b"]])
        assert encoder.cell_of(np.empty((0, 2), dtype=object)).shape == (0,)


class TestBadInput:
    def test_unseen_level(self):
        encoder = SensitiveEncoder().fit(PEOPLE[["region"]])
        with pytest.raises(
            UnseenGroupError, match=r"'x' in row 1.*known levels: \['n', 's', 'w'\]"
        ):
            encoder.transform(pd.DataFrame({"region": ["n", "x"]}))

    @pytest.mark.parametrize("kind", ["auto", "categorical"])
    def test_missing_values(self, kind):
        table = pd.DataFrame({"sex": ["f", None, "m"]})
        kinds = kind if kind == "auto" else {"sex": kind}
        with pytest.raises(ValueError, match=r"'sex'.*1 missing values \(first in row 1\)"):
            SensitiveEncoder(kinds=kinds).fit(table)
        fitted = SensitiveEncoder(kinds=kinds).fit(table.drop(1))
        with pytest.raises(ValueError, match="1 missing values") as caught:
            fitted.transform(table)
        assert not isinstance(caught.value, UnseenGroupError)
        grouped = SensitiveEncoder(kinds=kinds, missing="group").fit(table)
        assert grouped.blocks_[0].levels == ("f", "m", "(missing)")
        np.testing.assert_array_equal(grouped.transform(table), [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
        complete = SensitiveEncoder(kinds=kinds, missing="group").fit(table.drop(1))
        with pytest.raises(UnseenGroupError, match="in row 1"):
            complete.transform(table)

    @pytest.mark.parametrize("missing", ["error", "group"])
    def test_missing_and_infinite_numbers(self, missing):
        encoder = SensitiveEncoder(missing=missing)
        ages = np.arange(20.0)
        for bad, message in ((np.nan, "1 missing values"), (np.inf, "must be finite; row 3")):
            column = ages.copy()
            column[3] = bad
            with pytest.raises(ValueError, match=message):
                encoder.fit(column)
            with pytest.raises(ValueError, match="must be finite; row 3"):
                clone(encoder).fit(ages).transform(column)

    @pytest.mark.parametrize(
        ("kinds", "message"),
        [
            ({"sex": "nominal"}, "kinds must be among"),
            ({"gender": "binary"}, r"kinds names \['gender'\], but the columns are"),
            ({"region": "binary"}, "'region' is not binary, it has 3 levels"),
            ({"sex": "continuous"}, "'sex' cannot be continuous"),
            ({"region": "ordinal"}, r"cannot be ordinal.*ordered=True"),
        ],
    )
    def test_kinds_that_do_not_fit(self, kinds, message):
        with pytest.raises(ValueError, match=message):
            SensitiveEncoder(kinds=kinds).fit(PEOPLE[["sex", "region"]])

    def test_identifiers_and_continuous_categories_are_refused(self):
        with pytest.raises(ValueError, match="looks like an identifier"):
            SensitiveEncoder().fit([f"person {i}" for i in range(30)])
        with pytest.raises(ValueError, match="continuous"):
            SensitiveEncoder(kinds={"age": "categorical"}).fit({"age": np.arange(50) / 7})

    @pytest.mark.parametrize("weight", [-1, np.nan, np.inf])
    def test_weights(self, weight):
        with pytest.raises(ValueError, match="weights must be finite and at least 0"):
            SensitiveEncoder(weights={"sex": weight}).fit(PEOPLE[["sex"]])
        with pytest.raises(ValueError, match="weights names"):
            SensitiveEncoder(weights={"age": 1}).fit(PEOPLE[["sex"]])

    def test_a_constant_column_warns(self):
        with pytest.warns(FairgroupWarning, match="'sex'.*one value only"):
            encoder = SensitiveEncoder().fit(PEOPLE[["sex"]].iloc[[0, 0]])
        np.testing.assert_array_equal(encoder.transform(PEOPLE[["sex"]].iloc[[0]]), [[0]])

    def test_no_rows_and_other_columns(self):
        with pytest.raises(ValueError, match="no rows"):
            SensitiveEncoder().fit([])
        encoder = SensitiveEncoder(kinds=KINDS).fit(PEOPLE)
        assert encoder.transform(PEOPLE[:0]).shape == (0, 6)
        with pytest.raises(ValueError, match=r"lacks the columns \['age'\]"):
            encoder.transform(PEOPLE.drop(columns="age"))
        with pytest.raises(ValueError, match="has 1 columns, but 4 in fit"):
            encoder.transform(["f"])


def test_set_output_pickle_and_clone():
    encoder = SensitiveEncoder(kinds=KINDS).fit(PEOPLE)
    loaded = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(loaded.transform(PEOPLE), encoder.transform(PEOPLE))
    assert clone(encoder).get_params() == encoder.get_params()
    frame = encoder.set_output(transform="pandas").transform(PEOPLE)
    assert frame.columns.tolist() == encoder.get_feature_names_out().tolist()
