"""MembershipEncoder against get_dummies, and overlapping groups of every kind."""

from __future__ import annotations

import pickle
import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups import MembershipEncoder
from fairgroup.groups._membership_encoder import check_memberships


def reference(frame: pd.DataFrame, max_arity: int) -> pd.DataFrame:
    """One column per combination of levels of every set of columns, by comparing row by row."""
    blocks = {}
    for arity in range(1, max_arity + 1):
        for columns in combinations(frame.columns, arity):
            rows = list(frame[list(columns)].itertuples(index=False, name=None))
            for label in sorted(set(rows)):
                name = ", ".join(f"{c}={v}" for c, v in zip(columns, label, strict=True))
                blocks[name] = [float(row == label) for row in rows]
    return pd.DataFrame(blocks)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.booleans()), min_size=1, max_size=20
    ),
    st.integers(1, 4),
    st.integers(0, 4),
    st.booleans(),
)
def test_agrees_with_comparison_row_by_row(rows, max_arity, min_group_size, everyone):
    frame = pd.DataFrame(rows, columns=["x", "y", "z"])
    encoder = MembershipEncoder(
        intersections=True,
        max_arity=max_arity,
        min_group_size=min_group_size,
        everyone=everyone,
    )
    memberships = encoder.fit_transform(frame)
    expected = reference(frame, min(max_arity, 3))
    small = [name for name in expected if "," in name and expected[name].sum() < min_group_size]
    expected = expected.drop(columns=small)
    if everyone:
        expected.insert(0, "everyone", 1.0)
    assert encoder.left_out_ == tuple(small)
    assert encoder.names_ == tuple(expected.columns)
    np.testing.assert_array_equal(memberships, expected.to_numpy())
    np.testing.assert_array_equal(encoder.counts_, expected.sum())
    np.testing.assert_array_equal(encoder.transform(frame[::-1]), expected.to_numpy()[::-1])


PEOPLE = pd.DataFrame(
    {
        "sex": ["f", "f", "m", "m", "m"],
        "race": ["a", "b", "a", "a", "a"],
        "p_poor": [0.1, 0.9, 0.5, 0.0, 1.0],
    }
)


def test_levels_of_single_columns_are_the_default():
    table = PEOPLE[["sex", "race"]]
    encoder = MembershipEncoder().fit(table)
    assert encoder.get_feature_names_out().tolist() == ["sex=f", "sex=m", "race=a", "race=b"]
    np.testing.assert_array_equal(encoder.transform(table).sum(axis=1), 2)
    polars = pl.DataFrame(table.to_dict("list"))
    np.testing.assert_array_equal(
        MembershipEncoder().fit_transform(polars), encoder.transform(table)
    )


def test_everyone_and_fractional_columns():
    encoder = MembershipEncoder(everyone=True, fractional=["p_poor"])
    memberships = encoder.fit_transform(PEOPLE)
    assert encoder.names_ == ("everyone", "sex=f", "sex=m", "race=a", "race=b", "p_poor")
    np.testing.assert_array_equal(memberships[:, 0], 1)
    np.testing.assert_array_equal(memberships[:, -1], PEOPLE["p_poor"])
    np.testing.assert_allclose(encoder.counts_, [5, 2, 3, 4, 1, 2.5])
    only = MembershipEncoder(fractional=["sensitive_feature_0"]).fit_transform([0.2, 0.4])
    np.testing.assert_array_equal(only, [[0.2], [0.4]])


def test_fractional_columns_take_no_part_in_intersections():
    encoder = MembershipEncoder(intersections=True, fractional=["p_poor"]).fit(PEOPLE)
    assert encoder.names_[4:] == ("sex=f, race=a", "sex=f, race=b", "sex=m, race=a", "p_poor")


@pytest.mark.parametrize("bad", [1.2, -0.1, np.nan, np.inf])
def test_memberships_outside_the_unit_interval_are_named(bad):
    table = PEOPLE.assign(p_poor=[0.1, bad, 0, 0, 0])
    with pytest.raises(ValueError, match=r"'p_poor'.*must be in \[0, 1\]; row 1"):
        MembershipEncoder(fractional=["p_poor"]).fit(table)
    with pytest.raises(ValueError, match="must be in"):
        MembershipEncoder(fractional=["p_poor"]).fit(PEOPLE).transform(table)


def test_fractional_names_what_is_not_there():
    with pytest.raises(ValueError, match=r"fractional names \['age'\], but the columns are"):
        MembershipEncoder(fractional=["age"]).fit(PEOPLE)


def test_small_intersections_are_left_out_and_listed_and_single_levels_kept():
    encoder = MembershipEncoder(intersections=True, min_group_size=2)
    memberships = encoder.fit_transform(PEOPLE[["sex", "race"]])
    assert encoder.names_ == ("sex=f", "sex=m", "race=a", "race=b", "sex=m, race=a")
    assert encoder.left_out_ == ("sex=f, race=a", "sex=f, race=b")
    np.testing.assert_array_equal(memberships[:, -1], [0, 0, 1, 1, 1])


def test_unseen_levels_and_combinations():
    table = PEOPLE[["sex", "race"]]
    new = pd.DataFrame({"sex": ["m", "x"], "race": ["b", "a"]})
    encoder = MembershipEncoder(intersections=True).fit(table)
    with pytest.raises(UnseenGroupError, match="2 rows belong to groups"):
        encoder.transform(new)
    ignoring = clone(encoder).set_params(unseen="ignore").fit(table)
    with pytest.warns(FairnessWarning, match="sex=m, race=b; sex=x, race=a") as record:
        memberships = ignoring.transform(new)
    assert len(record) == 1
    np.testing.assert_array_equal(memberships, [[0, 1, 0, 1, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0]])
    with pytest.raises(UnseenGroupError, match="1 rows"):  # all levels of the first row are known
        MembershipEncoder().fit(table).transform(new)


def test_missing_values():
    table = pd.DataFrame({"sex": ["f", None, "m"], "race": ["a", "b", "b"]})
    with pytest.raises(ValueError, match=r"'sex'.*1 missing"):
        MembershipEncoder().fit(table)
    grouped = MembershipEncoder(missing="group", intersections=True).fit(table)
    assert "sex=(missing), race=b" in grouped.names_
    with pytest.warns(FairnessWarning, match="1 rows have a missing") as record:
        memberships = MembershipEncoder(missing="ignore").fit_transform(table)
    assert len(record) == 1
    np.testing.assert_array_equal(memberships, [[1, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 1]])


def test_other_columns_than_in_fit():
    encoder = MembershipEncoder().fit(PEOPLE[["sex", "race"]])
    expected = encoder.transform(PEOPLE[["sex", "race"]])
    np.testing.assert_array_equal(encoder.transform(PEOPLE[["race", "p_poor", "sex"]]), expected)
    with pytest.raises(ValueError, match=r"lacks the columns \['race'\]"):
        encoder.transform(PEOPLE[["sex", "p_poor"]])
    with pytest.raises(ValueError, match="has 1 columns, but 2 in fit"):
        encoder.transform(["f", "m"])


def test_continuous_columns_and_no_rows_are_refused():
    with pytest.raises(ValueError, match="continuous"):
        MembershipEncoder().fit(np.linspace(0, 1, 50))
    with pytest.raises(ValueError, match="no rows"):
        MembershipEncoder().fit([])
    encoder = MembershipEncoder(everyone=True).fit(["a", "b"])
    assert encoder.transform([]).shape == (0, 3)


def test_set_output_pickle_and_clone():
    table = PEOPLE[["sex", "race"]]
    encoder = MembershipEncoder(intersections=True).fit(table)
    loaded = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(loaded.transform(table), encoder.transform(table))
    assert not hasattr(clone(encoder), "names_")
    frame = encoder.set_output(transform="pandas").transform(table)
    assert frame.columns.tolist() == list(encoder.names_)


def test_encoding_warns_of_nothing_without_a_cause():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MembershipEncoder(intersections=True, everyone=True).fit_transform(PEOPLE[["sex", "race"]])


class TestCheckMemberships:
    def test_names_and_shape(self):
        matrix, names = check_memberships([[1, 0.5], [0, 0]], n_samples=2)
        assert matrix.dtype == np.float64
        assert names == ("group_0", "group_1")
        assert check_memberships(pd.DataFrame({"a": [1]}))[1] == ("a",)

    def test_what_is_wrong_is_named(self):
        with pytest.raises(ValueError, match="memberships has 1 rows, but X has 2"):
            check_memberships([[1, 0]], n_samples=2)
        with pytest.raises(ValueError, match="found text"):
            check_memberships(["a"])
        with pytest.raises(ValueError, match=r"row 1, column 'b' is 2\.0"):
            check_memberships(pd.DataFrame({"a": [0, 1], "b": [0, 2]}))
