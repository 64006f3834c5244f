"""GroupEncoder against sets of tuples and pandas, and its policy for hard rows."""

from __future__ import annotations

import pickle
from itertools import product

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups import GroupCodes, GroupEncoder


def reference(rows):
    """Sorted distinct tuples, and the place of every row among them."""
    labels = sorted(set(rows))
    return labels, [labels.index(row) for row in rows]


def crossed(n_repeats: int = 3) -> pd.DataFrame:
    """12 intersecting groups of unequal size."""
    rows = [
        row
        for i, row in enumerate(product(["f", "m"], ["a", "b", "c"], [False, True]))
        for _ in range(n_repeats + i)
    ]
    return pd.DataFrame(rows, columns=["sex", "race", "old"])


text_or_number = st.one_of(
    st.lists(st.sampled_from(["a", "b", "ä", ""]), min_size=1, max_size=30),
    st.lists(st.integers(-2, 3), min_size=1, max_size=30),
    st.lists(st.booleans(), min_size=1, max_size=30),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(text_or_number, min_size=1, max_size=3))
def test_agrees_with_sets_of_tuples(columns):
    n = min(map(len, columns))
    frame = pd.DataFrame({f"c{j}": column[:n] for j, column in enumerate(columns)})
    rows = list(frame.itertuples(index=False, name=None))
    labels, codes = reference(rows)
    encoder = GroupEncoder()
    groups = encoder.fit_transform(frame)
    assert list(groups.labels) == labels
    assert groups.codes.tolist() == codes
    assert groups.counts.tolist() == [codes.count(g) for g in range(len(labels))]
    assert groups.codes.dtype == np.int32
    for column in frame:
        expected = frame.groupby(column, sort=True).size()
        marginal = groups.marginals[column]
        assert [label[0] for label in marginal.labels] == expected.index.tolist()
        assert marginal.counts.tolist() == expected.tolist()
        assert marginal.codes.tolist() == frame.groupby(column, sort=True).ngroup().tolist()
    again = encoder.transform(frame.iloc[::-1])
    assert again.codes.tolist() == codes[::-1]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, None])),
        min_size=1,
        max_size=25,
    )
)
def test_missing_values_agree_with_the_reference(rows):
    frame = pd.DataFrame(rows, columns=["x", "y"]).astype({"y": "Int64"})
    named = [tuple("(missing)" if v is None else v for v in row) for row in rows]
    groups = GroupEncoder(missing="group").fit_transform(frame)
    assert {groups.labels[code] for code in groups.codes} == set(named)
    assert [groups.labels[code] for code in groups.codes] == named

    whole = [None not in row for row in rows]
    if not any(whole):
        with pytest.raises(ValueError, match="No row"):
            GroupEncoder(missing="ignore").fit(frame)
        return
    encoder = GroupEncoder(missing="ignore").fit(frame)
    if not all(whole):
        with pytest.warns(FairnessWarning, match="missing protected attribute"):
            groups = encoder.transform(frame)
    else:
        groups = encoder.transform(frame)
    assert (groups.codes >= 0).tolist() == whole
    assert groups.n_ignored == len(rows) - sum(whole)
    kept = [row for row, ok in zip(rows, whole, strict=True) if ok]
    assert [groups.labels[c] for c in groups.codes if c >= 0] == kept


def test_twelve_intersecting_groups_and_their_margins():
    frame = crossed()
    groups = GroupEncoder().fit_transform(frame)
    assert groups.n_groups == 12
    assert groups.names[0] == "sex=f, race=a, old=False"
    sizes = frame.groupby(["sex", "race", "old"]).size()
    pd.testing.assert_index_equal(groups.index, sizes.index)
    assert groups.counts.tolist() == sizes.tolist()
    assert groups.marginals["race"].counts.tolist() == frame.groupby("race").size().tolist()
    assert groups.marginals["race"].index.name == "race"
    assert groups.columns == ("sex", "race", "old")


@pytest.mark.parametrize(
    "table",
    [
        crossed(),
        crossed().astype("category"),
        crossed().convert_dtypes(),
        pl.DataFrame(crossed().to_dict("list")),
        crossed().to_dict("list"),
    ],
    ids=["pandas", "category", "nullable", "polars", "dict"],
)
def test_all_tables_give_the_same_groups(table):
    expected = GroupEncoder().fit_transform(crossed())
    groups = GroupEncoder().fit_transform(table)
    assert groups.names == expected.names
    np.testing.assert_array_equal(groups.codes, expected.codes)


def test_arrays_and_lists_have_numbered_columns():
    rows = [["f", "b"], ["m", "a"], ["f", "b"]]
    for table in (rows, np.array(rows), np.array(rows, dtype=object)):
        groups = GroupEncoder().fit_transform(table)
        assert groups.names == (
            "sensitive_feature_0=f, sensitive_feature_1=b",
            "sensitive_feature_0=m, sensitive_feature_1=a",
        )
        assert groups.codes.tolist() == [0, 1, 0]


def test_one_column_has_a_plain_index():
    groups = GroupEncoder().fit_transform(pd.Series([3, 1, 3], name="region"))
    pd.testing.assert_index_equal(groups.index, pd.Index([1, 3], name="region"))
    assert groups.marginals["region"].codes.tolist() == [1, 0, 1]


def test_ordered_categories_keep_their_order_and_unused_ones_are_no_group():
    column = pd.Series(
        pd.Categorical(["low", "high", "low"], ["low", "mid", "high"], ordered=True), name="grade"
    )
    groups = GroupEncoder().fit_transform(column)
    assert groups.labels == (("low",), ("high",))
    ages = pd.cut(pd.Series([30, 70, 20]), [0, 25, 45, 120])
    assert GroupEncoder().fit_transform(ages).codes.tolist() == [1, 2, 0]


def test_levels_of_several_types_are_told_apart():
    groups = GroupEncoder().fit_transform(pd.Series([1, "1", "a", 1], dtype=object))
    assert groups.codes.tolist() == [0, 1, 2, 0]
    assert groups.labels == ((1,), ("1",), ("a",))


def test_columns_in_another_order_are_matched_by_name():
    frame = crossed()
    encoder = GroupEncoder().fit(frame)
    expected = encoder.transform(frame).codes
    shuffled = frame[["old", "sex", "race"]].assign(extra=1)
    np.testing.assert_array_equal(encoder.transform(shuffled).codes, expected)
    with pytest.raises(ValueError, match=r"lacks the columns \['race'\]"):
        encoder.transform(frame.drop(columns="race"))


def test_without_intersections_each_column_has_its_groups():
    frame = crossed()
    groups = GroupEncoder(intersections=False).fit_transform(frame)
    assert groups.codes.shape == (len(frame), 3)
    assert groups.names == (
        "sex=f",
        "sex=m",
        "race=a",
        "race=b",
        "race=c",
        "old=False",
        "old=True",
    )
    expected = pd.get_dummies(frame.astype(str)).to_numpy(dtype=float)
    np.testing.assert_array_equal(groups.membership(), expected)
    np.testing.assert_array_equal(groups.counts, expected.sum(axis=0))


class TestPolicy:
    @pytest.mark.parametrize("absent", [None, np.nan, pd.NA, pd.NaT])
    def test_missing_is_an_error_that_says_what_to_do(self, absent):
        column = pd.Series(["f", absent, "m"], name="sex", dtype=object)
        with pytest.raises(ValueError, match=r"'sex'.*1 missing.*row 1.*missing=\"group\""):
            GroupEncoder().fit(column)
        encoder = GroupEncoder().fit(column.drop(1))
        with pytest.raises(ValueError, match="1 missing"):
            encoder.transform(column)

    def test_missing_in_transform_only(self):
        column = pd.Series(["f", "m"], name="sex")
        with_missing = pd.Series(["m", None], name="sex")
        with pytest.raises(UnseenGroupError, match="1 rows belong to groups"):
            GroupEncoder(missing="group").fit(column).transform(with_missing)
        with pytest.warns(FairnessWarning, match="1 rows have a missing"):
            groups = GroupEncoder(missing="ignore").fit(column).transform(with_missing)
        assert groups.codes.tolist() == [1, -1]

    def test_unseen_level(self):
        encoder = GroupEncoder().fit(["f", "m"])
        with pytest.raises(UnseenGroupError, match=r"2 rows .*sensitive_feature_0=x.*ignore"):
            encoder.transform(["f", "x", "x"])
        with pytest.warns(FairnessWarning, match="unmitigated"):
            groups = (
                clone(encoder).set_params(unseen="ignore").fit(["f", "m"]).transform(["x", "m"])
            )
        assert groups.codes.tolist() == [-1, 1]
        assert groups.membership().tolist() == [[0, 0], [0, 1]]

    def test_unseen_combination_of_known_levels(self):
        fitted = GroupEncoder(unseen="ignore").fit([["f", "a"], ["m", "b"]])
        with pytest.warns(FairnessWarning, match="sensitive_feature_0=m, sensitive_feature_1=a"):
            groups = fitted.transform([["m", "a"], ["m", "b"]])
        assert groups.codes.tolist() == [-1, 1]
        assert groups.marginals["sensitive_feature_0"].codes.tolist() == [1, 1]

    def test_many_levels_take_the_sparse_way(self):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.integers(0, 100, (300, 4)), columns=list("abcd"))
        encoder = GroupEncoder(unseen="ignore").fit(frame)
        groups = encoder.transform(frame)
        labels, codes = reference(list(frame.itertuples(index=False, name=None)))
        assert list(groups.labels) == labels
        assert groups.codes.tolist() == codes
        mixed = frame.assign(d=frame["d"].to_numpy()[::-1])
        rows = mixed.itertuples(index=False, name=None)
        expected = [labels.index(row) if row in labels else -1 for row in rows]
        with pytest.warns(FairnessWarning, match=f"{expected.count(-1)} rows belong"):
            strange = encoder.transform(mixed)
        assert strange.codes.tolist() == expected

    def test_more_combinations_than_can_be_numbered(self):
        frame = pd.DataFrame(np.tile(np.arange(100) % 50, (12, 1)).T)
        with pytest.raises(ValueError, match="too many levels for intersections"):
            GroupEncoder().fit(frame)
        assert GroupEncoder(intersections=False).fit(frame).labels_[0] == (0, *["*"] * 11)

    def test_small_groups(self):
        column = ["a"] * 5 + ["b"] * 2 + ["c"] * 2
        kept = GroupEncoder(min_group_size=4).fit(column)
        assert len(kept.labels_) == 3
        merged = GroupEncoder(min_group_size=4, small="merge").fit(column)
        assert merged.labels_ == (("a",), ("(small groups)",))
        assert merged.merged_ == (("b",), ("c",))
        assert merged.transform(["c", "a", "b"]).codes.tolist() == [1, 0, 1]
        with pytest.raises(ValueError, match=r"min_group_size=4 rows: b \(2\), c \(2\)"):
            GroupEncoder(min_group_size=4, small="error").fit(column)
        with pytest.warns(FairnessWarning, match=r"after merging: \(small groups\) \(4\)"):
            GroupEncoder(min_group_size=5, small="merge").fit(column)

    def test_small_intersections(self):
        encoder = GroupEncoder(min_group_size=7, small="merge")
        groups = encoder.fit_transform(crossed())
        assert groups.labels[-1] == ("(small groups)",) * 3
        assert groups.counts.tolist() == [*range(7, 15), 3 + 4 + 5 + 6]
        assert len(encoder.merged_) == 4
        apart = GroupEncoder(intersections=False, min_group_size=33, small="merge")
        with pytest.warns(FairnessWarning, match=r"'\(small groups\)', '\*'\) \(26\)"):
            groups = apart.fit_transform(crossed())
        assert groups.counts.sum() == 3 * len(crossed())
        assert apart.merged_ == (("*", "a", "*"),)

    @pytest.mark.parametrize("n_levels", [21, 90])
    def test_a_continuous_column_is_refused_with_advice(self, n_levels):
        age = pd.Series(np.resize(np.linspace(20, 60, n_levels), 900), name="age")
        for column in (age, age.astype(object), age.astype("float32"), age.astype("Float64")):
            with pytest.raises(ValueError, match=r"'age'.*continuous.*pandas.cut\(age"):
                GroupEncoder().fit(column)
        assert len(GroupEncoder().fit(np.resize(np.arange(20.0), 50)).labels_) == 20

    def test_an_identifier_is_refused(self):
        names = [f"person {i}" for i in range(30)]
        with pytest.raises(ValueError, match="30 levels in 30 rows; it looks like an identifier"):
            GroupEncoder().fit(names)
        assert len(GroupEncoder().fit(names * 2).labels_) == 30


def test_no_rows():
    with pytest.raises(ValueError, match="no rows"):
        GroupEncoder().fit([])
    groups = GroupEncoder().fit(crossed()).transform(crossed()[:0])
    assert len(groups) == 0
    assert groups.counts.tolist() == [0] * 12
    assert groups.membership().shape == (0, 12)


def test_one_row_and_one_group():
    groups = GroupEncoder().fit_transform([["f", 1]])
    assert groups.n_groups == 1
    assert groups.codes.tolist() == [0]


def test_before_fit_and_after_a_fit_that_failed():
    encoder = GroupEncoder()
    with pytest.raises(NotFittedError):
        encoder.transform(["f"])
    with pytest.raises(ValueError, match="missing"):
        encoder.fit(["f", None])
    with pytest.raises(NotFittedError):
        encoder.transform(["f"])


@pytest.mark.parametrize("wrong", [{"missing": "drop"}, {"small": 3}, {"min_group_size": -1}])
def test_wrong_parameters_are_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"'{name}' parameter of GroupEncoder"):
        GroupEncoder(**wrong).fit(["f", "m"])


def copies(encoder, folder):
    import skops.io

    yield pickle.loads(pickle.dumps(encoder))
    joblib.dump(encoder, folder / "encoder.joblib")
    yield joblib.load(folder / "encoder.joblib")
    skops.io.dump(encoder, folder / "encoder.skops")
    trusted = skops.io.get_untrusted_types(file=folder / "encoder.skops")
    assert all(name.startswith("fairgroup.groups.") for name in trusted)
    yield skops.io.load(folder / "encoder.skops", trusted=trusted)


def test_saving_and_loading(tmp_path):
    frame = crossed()
    encoder = GroupEncoder(missing="group").fit(frame)
    for copy in copies(encoder, tmp_path):
        groups = copy.transform(frame)
        np.testing.assert_array_equal(groups.codes, encoder.transform(frame).codes)
        assert groups.names == encoder.transform(frame).names
    groups = pickle.loads(pickle.dumps(encoder.transform(frame)))
    assert groups.names == encoder.transform(frame).names


def test_clone_forgets():
    encoder = GroupEncoder(small="merge", min_group_size=2).fit(crossed())
    assert clone(encoder).get_params() == encoder.get_params()
    assert not hasattr(clone(encoder), "labels_")


def test_refitting_forgets():
    encoder = GroupEncoder().fit(crossed())
    groups = encoder.fit(pd.Series(["x", "y"], name="z")).transform(["y"])
    assert groups.names == ("z=x", "z=y")
    assert groups.codes.tolist() == [1]


class TestGroupCodes:
    def test_take(self):
        groups = GroupEncoder().fit_transform(crossed())
        rows = np.array([0, 0, 50])
        taken = groups.take(rows)
        assert taken.names == groups.names
        np.testing.assert_array_equal(taken.codes, groups.codes[rows])
        assert taken.counts.sum() == 3
        assert taken.marginals["sex"].counts.tolist() == [2, 1]
        one = groups.marginals["sex"].take(np.arange(len(groups)) < 2)
        assert one.marginals["sex"] is one

    def test_membership_is_one_hot(self):
        groups = GroupEncoder().fit_transform(crossed())
        membership = groups.membership()
        assert membership.dtype == np.float64
        np.testing.assert_array_equal(membership.argmax(axis=1), groups.codes)
        np.testing.assert_array_equal(membership.sum(axis=1), 1)

    def test_everyone(self):
        groups = GroupCodes.everyone(3)
        assert groups.n_groups == 1
        assert groups.codes.tolist() == [0, 0, 0]
        assert groups.counts.tolist() == [3]
