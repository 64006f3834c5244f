"""compare: the loop, the table, choosing, failures, tasks, bad input."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fairlearn.metrics import demographic_parity_difference
from fairlearn.reductions import DemographicParity, ExponentiatedGradient
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold

import fairgroup
from fairgroup.comparison._defaults import METHODS, default_methods, default_preprocessor
from fairgroup.exceptions import FairnessWarning

from .conftest import small_table

BINARY_METHODS = [method.name for method in METHODS if "binary" in method.tasks]


class Failing(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        raise RuntimeError("no luck today")

    def predict(self, X):
        raise AssertionError("never fitted")


class NeedsGroups(ClassifierMixin, BaseEstimator):
    """Learns and predicts the majority label of each group; needs the groups in both."""

    def fit(self, X, y, *, sensitive_features):
        labels = pd.Series(np.asarray(y))
        key = sensitive_features.reset_index(drop=True).agg("|".join, axis=1)
        self.classes_ = np.unique(y)
        self.majority_ = (labels.groupby(key).mean() > 0.5).astype(int)
        return self

    def predict(self, X, *, sensitive_features):
        return sensitive_features.agg("|".join, axis=1).map(self.majority_).to_numpy()


def test_every_default_method_takes_part_and_gives_a_curve(comparison):
    methods = comparison.table.index.get_level_values("method")
    assert set(methods) == set(BINARY_METHODS) - {"FairTTTS"}  # the base is linear
    assert (comparison.table["error"] == "").all()
    assert (comparison.table["n_folds"] == 3).all()
    counts = methods.value_counts()
    swept = [m.name for m in METHODS if m.grid and "binary" in m.tasks and m.name in counts]
    assert (counts[swept] >= 2).all()


@pytest.mark.parametrize("base", ["boosting", RandomForestClassifier(5, random_state=0)])
def test_a_method_that_changes_trees_shares_a_base_of_trees(table, base):
    X, y, A = table
    settings = {"sensitive_features": A["sex"], "base": base, "cv": 2, "random_state": 0}
    result = fairgroup.compare(X, y, methods=["FairTTTS"], verbose=False, **settings)
    fair = result._candidates[("FairTTTS", "tol=0.1")].estimator.estimator[-1]
    assert type(fair) is type(result._candidates[("unmitigated", "")].estimator[-1])
    assert not result.settings["notes"]


def test_a_method_that_cannot_share_the_base_says_so(table, comparison):
    X, y, A = table
    (note,) = comparison.settings["notes"]
    assert "FairTTTS is left out: it changes the splits of trees" in note
    assert "LogisticRegression" in note
    with pytest.raises(ValueError, match=r"'FairTTTS', which cannot take part.*boosting"):
        fairgroup.compare(X, y, sensitive_features=A["sex"], methods=["FairTTTS"], verbose=False)


def test_table_agrees_with_a_plain_loop(table):
    X, y, A = table
    splits = list(StratifiedKFold(3).split(X, y))
    model = RandomForestClassifier(5, random_state=0)
    numeric = X[["signal", "noise"]]
    result = fairgroup.compare(
        numeric,
        y,
        sensitive_features=A["sex"],
        estimators={"forest": model},
        cv=splits,
        verbose=False,
    )
    accuracy, disparity = [], []
    for train, test in splits:
        y_pred = clone(model).fit(numeric.iloc[train], y[train]).predict(numeric.iloc[test])
        accuracy.append(accuracy_score(y[test], y_pred))
        disparity.append(
            demographic_parity_difference(y[test], y_pred, sensitive_features=A["sex"].iloc[test])
        )
    row = result.table.loc[("forest", "")]
    assert_allclose(row["accuracy"], np.mean(accuracy))
    assert_allclose(row["demographic_parity_difference"], np.mean(disparity))
    half = 4.302652729911275 * np.std(accuracy, ddof=1) / np.sqrt(3)  # t quantile, 2 degrees
    assert_allclose(row["accuracy_high"] - row["accuracy"], half)


def test_reduction_lies_where_plain_fairlearn_puts_it(table):
    X, y, A = table
    splits = list(StratifiedKFold(3).split(X, y))
    result = fairgroup.compare(
        X,
        y,
        sensitive_features=A["sex"],
        methods=["exponentiated gradient"],
        cv=splits,
        random_state=0,
        verbose=False,
    )
    accuracy = []
    for train, test in splits:
        prepare = default_preprocessor(X).fit(X.iloc[train])
        plain = ExponentiatedGradient(
            LogisticRegression(max_iter=1000), DemographicParity(difference_bound=0.05)
        )
        with warnings.catch_warnings():  # deprecations inside fairlearn
            warnings.simplefilter("ignore", DeprecationWarning)
            plain.fit(
                prepare.transform(X.iloc[train]), y[train], sensitive_features=A["sex"].iloc[train]
            )
        y_pred = plain.predict(prepare.transform(X.iloc[test]), random_state=0)
        accuracy.append(accuracy_score(y[test], y_pred))
    ours = result.table.loc[("exponentiated gradient", "tolerance=0.05"), "accuracy"]
    assert_allclose(ours, np.mean(accuracy), atol=0.02)  # both randomise their decisions


def test_thresholds_reduce_the_disparity_that_one_attribute_hides(comparison):
    name = "demographic_parity_difference"
    unmitigated = comparison.table.loc[("unmitigated", ""), name]
    equal = comparison.table.loc[("threshold optimizer", "tolerance=None"), name]
    assert unmitigated > 0.3
    assert equal < unmitigated / 2


def test_same_seed_same_table_on_any_number_of_jobs(table):
    X, y, A = table
    keep = {"sensitive_features": A, "cv": 2, "random_state": 3, "verbose": False}
    one = fairgroup.compare(X, y, methods=["threshold optimizer"], **keep)
    two = fairgroup.compare(X, y, methods=["threshold optimizer"], n_jobs=2, **keep)
    drop = ["fit_seconds", "predict_seconds"]
    pd.testing.assert_frame_equal(one.table.drop(columns=drop), two.table.drop(columns=drop))


def test_groups_reach_fit_and_predict_of_those_that_take_them(table):
    X, y, A = table
    result = fairgroup.compare(
        X, y, sensitive_features=A, estimators={"majority": NeedsGroups()}, cv=2, verbose=False
    )
    assert result.table.loc[("majority", ""), "error"] == ""
    assert result.table.loc[("majority", ""), "accuracy"] > 0.5


def test_failing_estimator_is_a_row_with_its_error(table):
    X, y, A = table
    result = fairgroup.compare(
        X, y, sensitive_features=A, estimators={"bad": Failing()}, cv=2, verbose=False
    )
    row = result.table.loc[("bad", "")]
    assert row["error"] == "RuntimeError: no luck today"
    assert row["n_folds"] == 0
    assert np.isnan(row["accuracy"])
    assert result.choose() == ("unmitigated", "")


def test_user_grid_is_swept_and_the_references_are_added(table):
    X, y, A = table
    grid = {"C": [0.01, 1.0], "fit_intercept": [True, False]}
    result = fairgroup.compare(
        X[["signal"]].to_numpy(),
        y,
        sensitive_features=A,
        estimators={"logistic": (LogisticRegression(), grid)},
        cv=2,
        verbose=False,
    )
    assert len(result.table.loc["logistic"]) == 4
    assert "C=0.01, fit_intercept=True" in result.table.loc["logistic"].index
    assert {"unmitigated", "constant"} <= set(result.table.index.get_level_values(0))


def test_best_keeps_the_bound_and_is_fitted(comparison, table):
    X, _, A = table
    key = comparison.choose(max_unfairness=0.15)
    allowed = comparison.table[comparison.table[comparison.unfairness] <= 0.15]
    assert comparison.table.loc[key, "accuracy"] == allowed["accuracy"].max()
    model = comparison.best(max_unfairness=0.15)
    y_pred = model.predict(X, sensitive_features=A) if key[0] == "threshold optimizer" else None
    assert y_pred is None or set(np.unique(y_pred)) <= {0, 1}


def test_best_without_a_candidate_warns_and_takes_the_least_unfair(table):
    X, y, A = table
    result = fairgroup.compare(
        X, y, sensitive_features=A, methods=[], cv=2, verbose=False, random_state=0
    )
    with pytest.warns(FairnessWarning, match="least unfair is 'unmitigated'"):
        assert result.choose(max_unfairness=0.1) == ("unmitigated", "")  # and not the constant


def test_pareto_is_what_brute_force_finds(comparison):
    front = comparison.pareto()
    x, y = comparison.unfairness, comparison.score
    points = comparison.table[[x, y]]
    for key, point in points.iterrows():
        beaten = ((points[x] <= point[x]) & (points[y] >= point[y])).to_numpy() & (
            (points[x] < point[x]) | (points[y] > point[y])
        ).to_numpy()
        assert (key in front.index) == (not beaten.any())
    assert front[x].is_monotonic_increasing
    with pytest.raises(ValueError, match="x='speed'"):
        comparison.pareto("speed")


def test_audit_is_about_out_of_fold_predictions(comparison, table):
    _, y, A = table
    audit = comparison.audit(n_bootstrap=50)
    assert audit.by_group["count"].sum() == len(y)
    assert set(audit.marginals) == {"sex", "origin"}
    lower, upper = audit.intervals.overall.loc["accuracy", ["lower", "upper"]]
    assert lower <= audit.overall["accuracy"] <= upper
    assert_allclose(
        audit.overall["accuracy"],
        comparison.table.loc[("unmitigated", ""), "accuracy"],
        atol=1e-3,  # folds of 200 rows weigh the same
    )
    with pytest.raises(KeyError):
        comparison.audit("nobody")
    assert len(A) == len(y)


def test_small_groups_are_merged_for_the_comparison_and_named(table):
    X, y, A = table
    A = A.assign(origin=np.where(np.arange(len(A)) < 12, "rare", A["origin"]))
    with pytest.warns(FairnessWarning, match="origin=rare"):
        result = fairgroup.compare(
            X, y, sensitive_features=A["origin"], methods=[], cv=2, verbose=False
        )
    assert "rare" in result.audit(n_bootstrap=0).by_group.index


def test_missing_protected_values_form_a_group(table):
    X, y, A = table
    A = A["origin"].where(np.arange(len(A)) % 4 > 0)
    result = fairgroup.compare(
        X,
        y,
        sensitive_features=A,
        methods=["threshold optimizer", "exponentiated gradient"],
        cv=2,
        verbose=False,
    )
    assert (result.table["error"] == "").all()
    assert "(missing)" in result.audit(n_bootstrap=0).by_group.index


def test_unprocess_puts_score_models_at_the_same_disparity(table):
    X, y, A = table
    result = fairgroup.compare(
        X,
        y,
        sensitive_features=A,
        methods=["correlation remover"],
        cv=2,
        verbose=False,
        unprocess=True,
        random_state=0,
    )
    settings = result.table.loc["unmitigated"].index
    assert [s for s in settings if s] == [
        f"at disparity <= {v}" for v in ("0", "0.05", "0.1", "1")
    ]
    strict = result.table.loc[("unmitigated", "at disparity <= 0"), result.unfairness]
    free = result.table.loc[("unmitigated", "at disparity <= 1"), result.unfairness]
    assert strict < free
    assert "at disparity" not in result.choose(max_unfairness=0.3)[1]  # not an estimator to refit


def test_control_features_compare_within_levels(table):
    X, y, A = table
    stratum = np.where(X["signal"] > 0, "high", "low")
    keep = {"sensitive_features": A["sex"], "methods": [], "cv": 2, "random_state": 0}
    plain = fairgroup.compare(X, y, verbose=False, **keep)
    within = fairgroup.compare(X, y, control_features=stratum, verbose=False, **keep)
    name = "demographic_parity_difference"
    key = ("unmitigated", "")
    assert within.table.loc[key, name] != plain.table.loc[key, name]
    assert within.table.loc[key, "accuracy"] == plain.table.loc[key, "accuracy"]


def test_regression():
    X, _, A = small_table(400)
    y = X["signal"].to_numpy() + np.random.default_rng(1).normal(size=400)
    result = fairgroup.compare(
        X, y, sensitive_features=A, cv=2, verbose=False, random_state=0, min_group_size=50
    )
    assert result.settings["task"] == "regression"
    assert set(result.table.index.get_level_values(0)) == set(default_methods("regression"))
    assert (result.table["error"] == "").all()
    constant = result.table.loc[("constant", ""), "mean_prediction_difference"]
    assert_allclose(constant, 0, atol=1e-9)
    assert result.choose()[0] != "constant"  # the mean absolute error is to be small


def test_several_classes_and_text_labels():
    X, y, A = small_table(400)
    labels = np.array(["no", "yes", "maybe"])[y + (X["noise"] > 1).to_numpy()]
    result = fairgroup.compare(
        X, labels, sensitive_features=A, cv=2, verbose=False, min_group_size=50
    )
    assert result.settings["task"] == "multiclass"
    assert (result.table["error"] == "").all()
    keep = {"cv": 2, "verbose": False, "random_state": 0, "min_group_size": 50}
    keep["methods"] = ["threshold optimizer", "exponentiated gradient"]
    words = np.array(["no", "yes"])[y]
    text = fairgroup.compare(X, words, sensitive_features=A, **keep)
    number = fairgroup.compare(X, y, sensitive_features=A, **keep)
    assert (text.table["error"] == "").all()
    assert_allclose(text.table["accuracy"], number.table["accuracy"])


def test_polars_and_callable_metrics(table):
    X, y, A = table
    result = fairgroup.compare(
        pl.from_pandas(X),
        y,
        sensitive_features=pl.from_pandas(A),
        metrics={
            "agreement": lambda y_true, y_pred: float(np.mean(y_true == y_pred)),
            "gap": "demographic_parity_difference[sex]",
        },
        methods=[],
        cv=2,
        verbose=False,
    )
    # A mapping names the columns; the name of a comparison must say what it is for ranking.
    assert list(result.metrics) == ["agreement", "gap"]
    assert result.unfairness == "gap"


def test_record_is_json(comparison):
    record = json.loads(json.dumps(comparison.to_dict()))
    assert record["unfairness"] == "demographic_parity_difference"
    assert len(record["table"]) == len(comparison.table)


def test_display_shows_all_methods(comparison):
    display = comparison.plot()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert {"unmitigated model", "constant model", "threshold optimizer"} <= set(texts)
    again = comparison.plot("equalized_odds_difference", "balanced_accuracy", ax=display.ax_)
    assert again.ax_ is display.ax_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(600)}, "one class only"),
        ({"y": np.full(600, np.nan)}, "missing values"),
        ({"y": np.zeros((600, 2))}, "one-dimensional"),
        ({"A": np.arange(3)}, "3 rows"),
        ({"cv": 1}, "cv=1"),
        ({"methods": ["magic"]}, r"\['magic'\] are not known"),
        ({"metrics": ["accuracy"]}, "comparison of"),
        ({"metrics": ["acuracy", "demographic_parity_difference"]}, "acuracy"),
        ({"base": "quadratic"}, "base='quadratic'"),
        ({"pos_label": 7}, "pos_label=7"),
        ({"estimators": {"l": (LogisticRegression(), {"D": [1]})}}, r"estimators\['l'\]"),
        ({"A": np.random.default_rng(0).normal(size=600)}, "continuous"),
    ],
)
def test_bad_input_names_the_argument(table, change, message):
    X, y, A = table
    keywords = {"cv": 2, "verbose": False, "methods": []} | change
    y, A = keywords.pop("y", y), keywords.pop("A", A)
    with pytest.raises((ValueError, TypeError), match=message):
        fairgroup.compare(X, y, sensitive_features=A, **keywords)


def test_estimator_class_instead_of_instance(table):
    X, y, A = table
    with pytest.raises(TypeError, match="must be an estimator"):
        fairgroup.compare(X, y, sensitive_features=A, estimators={"l": LogisticRegression})
