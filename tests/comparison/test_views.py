"""Group metrics as plain rows: the values of the metrics, none lost and none added."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fairgroup.comparison._report_groups import (
    STRIP_WIDTH,
    Model,
    disparity_table,
    group_tables,
)
from fairgroup.comparison._text import comparison_text, group_text, text_table
from fairgroup.comparison._views import Cell, disparities, number, plain_name, record, views
from fairgroup.metrics import group_metrics


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    n = 500
    # Attributes may be called like the views, and a combination need not occur.
    people = pd.DataFrame({"overall": rng.choice([*"ab"], n), "by_group": rng.choice([*"xyz"], n)})
    people.loc[people["overall"] == "b", "by_group"] = "x"
    return rng.integers(0, 2, n), rng.integers(0, 2, n), people


@pytest.fixture(scope="module")
def result(rows):
    y, p, people = rows
    return group_metrics(y, p, sensitive_features=people, n_bootstrap=300, random_state=0)


def test_views_hold_every_group_that_occurs(result, rows):
    found = {view.title: view for view in views(result)}
    assert list(found) == ["none", "overall", "by_group", "overall × by_group"]
    assert [row.name for row in found["overall"].rows] == ["a", "b"]
    assert [row.name for row in found["overall × by_group"].rows] == [
        "a, x",
        "a, y",
        "a, z",
        "b, x",
    ]
    counts = {row.name: row.count for row in found["by_group"].rows}
    assert counts == rows[2]["by_group"].value_counts().to_dict()


def test_cells_are_values_and_intervals(result):
    joint = views(result)[-1]
    row = next(row for row in joint.rows if row.name == "a, z")
    for metric in ("selection_rate", "accuracy"):
        bounds = result.intervals.by_group.loc[("a", "z"), metric]
        expected = (result.by_group.loc[("a", "z"), metric], *bounds)
        assert (row.cells[metric].value, row.cells[metric].low, row.cells[metric].high) == expected
    overall = views(result)[0].rows[0].cells["accuracy"]
    assert overall.value == result.overall["accuracy"]
    assert overall.low == result.intervals.overall.loc["accuracy", "lower"]


def test_disparities_are_gaps_and_differences(result):
    found = disparities(result)
    assert list(found["equalized_odds_difference"]) == [
        "overall",
        "by_group",
        "overall × by_group",
    ]
    gap = found["equalized_odds_difference"]["by_group"]
    assert gap.value == result.gaps(attribute="by_group")["equalized_odds_difference"]
    limits = result.intervals.gaps(attribute="by_group").loc["equalized_odds_difference"]
    assert [gap.low, gap.high] == limits.tolist()
    accuracy = found["accuracy_difference"]["overall × by_group"]
    assert accuracy.value == result.difference()["accuracy"]
    # The same difference does not stand there under two names, nor one of the data.
    assert not {"selection_rate_difference", "base_rate_difference"} & set(found)


def test_controls_make_lines_of_their_own(rows):
    y, p, people = rows
    city = pd.Series(np.arange(len(y)) % 2, name="city").map({0: "n", 1: "s"})
    controlled = group_metrics(
        y, p, sensitive_features=people["overall"], control_features=city, n_bootstrap=50
    )
    overall, marginal = views(controlled)
    assert [row.name for row in overall.rows] == ["n", "s"]
    assert [row.name for row in marginal.rows] == ["n, a", "n, b", "s, a", "s, b"]
    found = disparities(controlled)["demographic_parity_difference (s)"]["overall"]
    assert found.value == controlled.gaps().loc["s", "demographic_parity_difference"]
    (table,) = group_tables([Model("m", "after", controlled)])
    assert all(mark.reference is None for row in table.rows for c in row.cells for mark in c.marks)


def test_a_single_attribute_and_no_draws(rows):
    y, p, people = rows
    plain = group_metrics(y, p, sensitive_features=people["overall"])
    assert [view.kind for view in views(plain)] == ["overall", "marginal"]
    assert not views(plain)[1].rows[0].cells["accuracy"].bounded
    assert record(plain)["groups"][0]["metrics"]["accuracy"]["low"] is None
    assert "In brackets" not in "\n".join(group_text(plain))


def test_numbers_without_gaps_have_differences_only(rows):
    y, p, people = rows
    errors = group_metrics(
        y * 1.5,
        p * 1.5,
        sensitive_features=people,
        metrics=["mean_absolute_error"],
        n_bootstrap=20,
    )
    assert list(disparities(errors)) == ["mean_absolute_error_difference"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("true_positive_rate", "true positive rate"),
        ("demographic_parity_difference[my_sex]", "demographic parity difference by my_sex"),
        ("selection_rate[high_risk]", "selection rate of high_risk"),
        ("selection_rate[a]_difference", "selection rate of a difference"),
    ],
)
def test_names_for_readers(name, expected):
    assert plain_name(name) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.12345, "0.123"),
        (-12.3456, "-12.35"),
        (123.456, "123.5"),
        (12345.6, "12,346"),
        (math.nan, "–"),
    ],
)
def test_numbers_for_readers(value, expected):
    assert number(value) == expected


def test_strips_lie_on_one_scale(result):
    tables = group_tables([Model("m", "after", result)])
    for table in tables:
        low, high = map(float, table.columns[1].ends)
        assert low <= result.by_group[result.metrics[1]].min()
        for row in (*table.overall, *table.rows):
            for mark in row.cells[1].marks:
                share = (float(mark.text) - low) / (high - low)
                assert mark.at == pytest.approx(4 + share * (STRIP_WIDTH - 8), abs=0.1)
                assert 0 <= mark.low <= mark.at <= mark.high <= STRIP_WIDTH


def test_two_models_stand_in_one_cell_and_the_base_rate_once(result, rows):
    y, p, people = rows
    other = group_metrics(y, 1 - p, sensitive_features=people, n_bootstrap=50)
    tables = group_tables([Model("old", "before", result), Model("new", "after", other)])
    titles = [column.title for column in tables[0].columns]
    row = tables[0].rows[0]
    assert titles[0] == "base rate"
    assert [mark.role for mark in row.cells[0].marks] == ["data"]
    rate = row.cells[titles.index("selection rate")]
    assert [mark.role for mark in rate.marks] == ["before", "after"]
    assert float(rate.sort) == pytest.approx(
        other.marginals["overall"].loc["a", "selection_rate"], rel=1e-6
    )


def test_strips_of_differences_begin_at_equality(result):
    table = disparity_table([Model("m", "after", result)])
    assert table.titles[-1] == "overall × by_group"
    for _, cells in table.rows:
        ends = [mark.high for cell in cells for mark in cell.marks]
        assert max(ends) == pytest.approx(STRIP_WIDTH - 4)
        assert all(mark.low >= 4 for cell in cells for mark in cell.marks)


def test_a_table_of_text_is_aligned():
    lines = text_table(["name", "a long heading of words"], [["x", "1.5"], ["longer", "22.5"]])
    assert lines == [
        "        a long heading",
        "name          of words",
        "------  --------------",
        "x                  1.5",
        "longer            22.5",
    ]


def test_a_narrow_terminal_keeps_what_the_comparison_is_about(comparison):
    wide = comparison_text(comparison)
    narrow = comparison_text(comparison, width=100)
    assert max(map(len, narrow[: len(comparison.table) + 3])) <= 100
    head = " ".join(" ".join(narrow[:6]).split())
    assert "accuracy" in head
    assert any("Not shown for lack of width: " in line for line in narrow)
    assert not any("Not shown" in line for line in wide)
    assert Cell(1.0).defined
