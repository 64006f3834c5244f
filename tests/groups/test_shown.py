"""What a notebook shows of an estimator: parameters and, once fitted, the groups it has seen."""

from __future__ import annotations

import pandas as pd
import pytest
from _estimators import (
    OTHER_INPUT,
    on_other_input,
    on_tables,
    table_for,
    takes,
)
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.groups import GroupEncoder, MembershipEncoder, SensitiveColumns, SensitiveEncoder
from fairgroup.groups._shown import MOST_SHOWN, groups_table, rows_text

# The table of fitted attributes, above which ours stands, exists since scikit-learn 1.9.
pytest.importorskip("sklearn.utils._repr_html.fitted_attributes")

WITH_GROUPS = [e for e in on_tables() if takes(e, "fit")]
AUDITS = [e for e in on_other_input() if type(e).__name__ != "VarianceAwareReranker"]


def name_of(estimator):
    return repr(estimator).replace("\n", "")[:60]


def html(estimator):
    return estimator._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("estimator", WITH_GROUPS, ids=name_of)
def test_parameters_then_groups(estimator):
    X, y, groups = table_for(estimator)
    estimator = clone(estimator)
    before = html(estimator)
    assert all(name in before for name in estimator.get_params(deep=False))
    assert "Groups seen" not in before
    after = html(estimator.fit(X, y, sensitive_features=groups[["sex"]]))
    assert "Groups seen" in after
    assert "female" in after
    assert "male" in after


@pytest.mark.parametrize("estimator", AUDITS, ids=name_of)
def test_audits_and_encoders(estimator):
    assert "Groups seen" not in html(clone(estimator))
    fitted = OTHER_INPUT[type(estimator).__name__].fit(clone(estimator))
    assert "Groups seen" in html(fitted)
    assert "female" in html(fitted)


def test_encoders_say_who_and_how_many():
    people = pd.DataFrame({"sex": ["f", "m", "m"], "old": [True, True, False]})
    assert list(GroupEncoder().fit(people)._groups_seen()) == [
        ("sex=f, old=True", "1 row"),
        ("sex=m, old=False", "1 row"),
        ("sex=m, old=True", "1 row"),
    ]
    assert MembershipEncoder().fit(people)._groups_seen()[1] == ("sex=m", "2 rows")
    people["age"] = [20.0, 30.5, 41.25]
    encoder = SensitiveEncoder(kinds={"age": "continuous"}).fit(people)
    assert encoder._groups_seen()[::2] == [("sex", "binary: f, m"), ("age", "continuous")]


def test_inside_a_pipeline_and_behind_columns():
    estimator = next(e for e in WITH_GROUPS if type(e).__name__ == "ReweighedLogistic")
    X, y, groups = table_for(estimator)
    table = pd.concat([X, groups["sex"]], axis=1)
    inner = make_pipeline(StandardScaler(), estimator)
    model = SensitiveColumns(inner, "sex", drop=True)
    assert "Groups seen" not in html(model)
    shown = html(model.fit(table, y))
    assert "Groups seen (2)" in shown
    assert "sex=female" in shown
    assert "StandardScaler" in shown


def test_without_groups_there_is_no_table():
    X, y, groups = table_for(LogisticRegression())
    table = pd.concat([X, groups["sex"]], axis=1)
    model = SensitiveColumns(LogisticRegression(), "sex", drop=True).fit(table, y)
    assert "Groups seen" not in html(model)
    assert groups_table([]) == ""


def test_many_groups_are_cut_and_names_escaped():
    table = groups_table([(f"<b>{i}", "1 row") for i in range(MOST_SHOWN + 5)])
    assert "and 5 more" in table
    assert f"Groups seen ({MOST_SHOWN + 5})" in table
    assert "<b>" not in table
    assert "&lt;b&gt;0" in table


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1 row"), (1234, "1,234 rows"), (0.25, "0.2 rows"), (0, "0 rows")]
)
def test_rows_text(count, text):
    assert rows_text(count) == text
