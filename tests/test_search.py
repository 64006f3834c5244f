"""Every estimator with groups inside scikit-learn's searches, ensembles and parallel backends.

The estimators are found by looking. A search tunes the parameter that says how much fairness is
asked. Two ways lead there: metadata routing, which reaches ``fit`` and our scorers, and
``SensitiveColumns``, which also reaches ``predict``. Where scikit-learn makes a combination
impossible, a test shows the obstacle and the way round it.
"""

from __future__ import annotations

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from _estimators import on_tables, table_for, takes
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.groups import SensitiveColumns
from fairgroup.metrics import best_under_constraint, demographic_parity_gap, fairness_scorer

# The parameter that says how much fairness is asked, where it is not ``fairness_weight``.
STRENGTHS = {
    "AdaptiveGroupSampler": {"rho": [1.0, 2.0]},
    "FairTTTS": {"p_max": [0.0, 0.2]},
    "FairTTTSCV": {"tol": [0.9, 1.0]},
    # Searches the strength itself; what it judges by is left.
    "FairnessPath": {"criterion": ["dcor", "gap"]},
    "FrontierPostProcessor": {"epsilon_global": [0.0005, 0.1]},
    # The regret bound holds for every group at once: there is nothing to trade, only to fit.
    "GroupwiseClassifier": {"alpha": [0.5, 2.0]},
    "GroupwiseRegressor": {"alpha": [0.5, 2.0]},
}
ASKED = {"fairness_weight": [0.0, 0.5]}
# Settings that make a slow estimator quick.
QUICK = {"AdaptiveGroupSampler": {"batch": 60, "pilot": 10, "curve_points": 3}}
# Take groups at predict, but do without them in their default form.
WITHOUT_AT_PREDICT = {"AdaptiveGroupSampler"}


def instances(toys):
    for estimator in on_tables(toys=toys):
        if takes(estimator, "fit"):
            seed = {"random_state": 0} if hasattr(estimator, "random_state") else {}
            yield estimator.set_params(**QUICK.get(type(estimator).__name__, {}), **seed)


WITH_GROUPS = list(instances(toys=False))
AT_PREDICT = [e for e in WITH_GROUPS if takes(e, "predict")]
NEED_AT_PREDICT = [e for e in AT_PREDICT if type(e).__name__ not in WITHOUT_AT_PREDICT]
IN_FIT_ONLY = [e for e in instances(toys=True) if not takes(e, "predict")]


def name_of(estimator):
    return repr(estimator).replace("\n", "")[:60]


def each(estimators):
    return pytest.mark.parametrize("estimator", estimators, ids=name_of)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def dask_client():
    """Two worker processes on this machine; its threads end with the module."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


def pipeline(estimator):
    return Pipeline([("scale", StandardScaler()), ("model", clone(estimator))])


def grid_of(estimator, prefix="model__"):
    asked = STRENGTHS.get(type(estimator).__name__, ASKED)
    return {prefix + name: values for name, values in asked.items()}


def scoring_of(estimator, *, plain=True):
    """Two scorers of fairness and, where groups are not needed at predict, one of quality."""
    if is_regressor(estimator):
        quality, gap = "r2", "mean_absolute_error_difference"
    else:
        quality, gap = "accuracy", "demographic_parity_difference"
    worst = fairness_scorer(f"{quality}_group_min")
    return {
        "quality": quality if plain else worst,
        "worst": worst,
        "gap": fairness_scorer(gap),
    }


RULE = best_under_constraint("quality", "gap", at_most=10.0)


def one_table(estimator, n=240):
    """Features, target and sex: apart, and with sex as a column of the features."""
    X, y, groups = table_for(estimator, n)
    return X, y, groups["sex"], pd.concat([X, groups["sex"]], axis=1)


def from_columns(estimator):
    """The estimator in a Pipeline, behind the scaler that sees no groups."""
    return SensitiveColumns(pipeline(estimator), "sex", drop=True)


def assert_searched(search, X, estimator, grid):
    """All candidates have finite scores, and the chosen one is fitted and usable."""
    scores = [v for k, v in search.cv_results_.items() if k.startswith("mean_test_")]
    assert np.isfinite(scores).all()
    assert len(scores[0]) >= 2
    assert search.best_params_.keys() == grid.keys()
    predictions = search.predict(X)
    assert predictions.shape == (len(X),)
    if is_classifier(estimator):
        assert set(predictions) <= {0, 1}


def assert_says_what_is_missing(call):
    """An error or a warning names ``sensitive_features``; nothing is guessed in silence."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        try:
            call()
        except (TypeError, ValueError) as error:
            assert "sensitive_features" in str(error)
            return
    assert any("sensitive_features" in str(w.message) for w in record)


@each(WITH_GROUPS)
def test_there_is_a_strength_to_search(estimator):
    """A new method has ``fairness_weight``, or an entry in STRENGTHS."""
    assert grid_of(estimator, prefix="").keys() <= estimator.get_params(deep=False).keys()


class TestGridSearch:
    @each(WITH_GROUPS)
    def test_routing_reaches_fit_and_our_scorers(self, estimator, routing):
        """Our scorers hand groups to ``predict`` where it asks for them."""
        X, y, sex, _ = one_table(estimator)
        search = GridSearchCV(
            pipeline(estimator),
            grid_of(estimator),
            scoring=scoring_of(estimator, plain=not takes(estimator, "predict")),
            refit=RULE,
            cv=2,
            error_score="raise",
        ).fit(X, y, sensitive_features=sex)
        assert np.isfinite(search.cv_results_["mean_test_gap"]).all()
        handed = {"sensitive_features": sex} if takes(estimator, "predict") else {}
        assert search.best_estimator_.predict(X, **handed).shape == y.shape

    @each(WITH_GROUPS)
    @pytest.mark.parametrize("routed", [False, True])
    def test_columns_reach_predict_with_any_scorer(self, estimator, routed):
        _, y, _, table = one_table(estimator)
        grid = grid_of(estimator, "estimator__model__")
        search = GridSearchCV(
            from_columns(estimator),
            grid,
            scoring=scoring_of(estimator),
            refit=RULE,
            cv=2,
            error_score="raise",
        )
        with config_context(enable_metadata_routing=routed):
            search.fit(table, y)
        assert_searched(search, table, estimator, grid)

    @each(IN_FIT_ONLY)
    def test_both_ways_give_the_same_figures(self, estimator, routing):
        X, y, sex, table = one_table(estimator)
        settings = {"scoring": scoring_of(estimator), "refit": RULE, "cv": 2}
        routed = GridSearchCV(pipeline(estimator), grid_of(estimator), **settings)
        routed.fit(X, y, sensitive_features=sex)
        columns = GridSearchCV(
            from_columns(estimator), grid_of(estimator, "estimator__model__"), **settings
        ).fit(table, y)
        for name in ("quality", "worst", "gap"):
            key = f"mean_test_{name}"
            np.testing.assert_allclose(columns.cv_results_[key], routed.cv_results_[key])

    @each(AT_PREDICT)
    def test_own_score_with_routing(self, estimator, routing):
        """Without ``scoring`` a search asks the estimator, whose ``score`` takes the groups."""
        X, y, sex, _ = one_table(estimator)
        search = GridSearchCV(pipeline(estimator), grid_of(estimator), cv=2, error_score="raise")
        search.fit(X, y, sensitive_features=sex)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    @each([e for e in NEED_AT_PREDICT if is_classifier(e)])
    def test_plain_scorers_cannot_hand_groups_to_predict(self, estimator, routing):
        """scikit-learn's scorers call ``predict(X)``: an error, never a silent guess."""
        X, y, sex, _ = one_table(estimator)
        search = GridSearchCV(
            pipeline(estimator), grid_of(estimator), scoring="accuracy", cv=2, error_score="raise"
        )
        assert_says_what_is_missing(lambda: search.fit(X, y, sensitive_features=sex))


class TestCrossValidate:
    @each(WITH_GROUPS)
    def test_with_routing(self, estimator, routing):
        X, y, sex, _ = one_table(estimator)
        result = cross_validate(
            pipeline(estimator),
            X,
            y,
            scoring=scoring_of(estimator, plain=not takes(estimator, "predict")),
            params={"sensitive_features": sex},
            cv=2,
            error_score="raise",
        )
        assert all(np.isfinite(result[f"test_{name}"]).all() for name in ("worst", "gap"))

    @each(WITH_GROUPS)
    def test_with_columns(self, estimator):
        _, y, _, table = one_table(estimator)
        result = cross_validate(
            from_columns(estimator),
            table,
            y,
            scoring=scoring_of(estimator),
            cv=2,
            error_score="raise",
        )
        for name in ("quality", "worst", "gap"):
            assert np.isfinite(result[f"test_{name}"]).all()


def accuracy_if_fair(y_true, y_pred, *, sensitive_features, at_most=0.1):
    """Accuracy, less ten times what the gap is over the bound: one number for halving."""
    gap = demographic_parity_gap(y_pred, sensitive_features=sensitive_features)
    return accuracy_score(y_true, y_pred) - 10 * max(0.0, gap - at_most)


def single_score(estimator):
    if is_regressor(estimator):
        return fairness_scorer("mean_absolute_error_difference")
    return fairness_scorer(accuracy_if_fair, greater_is_better=True)


class TestHalving:
    @each(WITH_GROUPS)
    def test_with_routing(self, estimator, routing):
        """Groups follow the rows of each round's subsample."""
        X, y, sex, _ = one_table(estimator, 480)
        search = HalvingGridSearchCV(
            pipeline(estimator),
            grid_of(estimator),
            scoring=single_score(estimator),
            factor=2,
            min_resources=240,
            cv=2,
            random_state=0,
            error_score="raise",
        ).fit(X, y, sensitive_features=sex)
        assert search.n_resources_ == [240, 480]
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    @each(WITH_GROUPS)
    def test_with_columns(self, estimator):
        _, y, _, table = one_table(estimator, 480)
        grid = grid_of(estimator, "estimator__model__")
        search = HalvingGridSearchCV(
            from_columns(estimator),
            grid,
            scoring=single_score(estimator),
            factor=2,
            min_resources=240,
            cv=2,
            random_state=0,
            error_score="raise",
        ).fit(table, y)
        assert_searched(search, table, estimator, grid)

    def test_it_takes_one_score_only(self):
        """No dict of scorers, so no ``best_under_constraint``; ``accuracy_if_fair`` instead."""
        _, y, _, table = one_table(LogisticRegression())
        model = SensitiveColumns(LogisticRegression(), "sex", drop=True)
        scoring = {"quality": "accuracy", "gap": fairness_scorer("demographic_parity_difference")}
        search = HalvingGridSearchCV(
            model, {"estimator__C": [0.1, 1.0]}, scoring=scoring, refit=RULE
        )
        with pytest.raises(ValueError, match="'scoring' parameter"):
            search.fit(table, y)


class TestEnsembles:
    @each(IN_FIT_ONLY)
    def test_voting_with_routing(self, estimator, routing):
        X, y, sex, _ = one_table(estimator)
        voting, plain = self.voting_of(estimator)
        model = voting([("fair", pipeline(estimator)), ("plain", plain)])
        model.fit(X, y, sensitive_features=sex)
        assert model.predict(X).shape == y.shape

    @each(WITH_GROUPS)
    def test_voting_with_columns(self, estimator):
        _, y, _, table = one_table(estimator)
        voting, plain = self.voting_of(estimator)
        members = [
            ("fair", from_columns(estimator)),
            ("plain", SensitiveColumns(plain, "sex", drop=True)),
        ]
        model = voting(members).fit(table, y)
        assert model.predict(table).shape == y.shape

    @each(NEED_AT_PREDICT)
    def test_voting_cannot_hand_groups_to_predict(self, estimator, routing):
        """Its ``predict`` takes X alone; the member then says what is missing."""
        X, y, sex, _ = one_table(estimator)
        voting, plain = self.voting_of(estimator)
        model = voting([("fair", pipeline(estimator)), ("plain", plain)])
        model.fit(X, y, sensitive_features=sex)
        with pytest.raises(TypeError, match="sensitive_features"):
            model.predict(X, sensitive_features=sex)
        assert_says_what_is_missing(lambda: model.predict(X))

    @staticmethod
    def voting_of(estimator):
        if is_regressor(estimator):
            return VotingRegressor, LinearRegression()
        return VotingClassifier, LogisticRegression()

    @each([e for e in IN_FIT_ONLY if is_classifier(e) and hasattr(e, "predict_proba")])
    def test_calibration_with_routing(self, estimator, routing):
        X, y, sex, _ = one_table(estimator)
        model = CalibratedClassifierCV(pipeline(estimator), cv=2)
        model.fit(X, y, sensitive_features=sex)
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)

    @each([e for e in WITH_GROUPS if is_classifier(e) and hasattr(e, "predict_proba")])
    def test_calibration_with_columns(self, estimator):
        _, y, _, table = one_table(estimator)
        model = CalibratedClassifierCV(from_columns(estimator), cv=2).fit(table, y)
        np.testing.assert_allclose(model.predict_proba(table).sum(axis=1), 1.0)


class TestParallel:
    """Worker processes know nothing of this one: everything travels."""

    @staticmethod
    def search(estimator, n_jobs):
        X, y, sex, table = one_table(estimator)
        if takes(estimator, "predict"):
            model, prefix, rows, params = from_columns(estimator), "estimator__model__", table, {}
        else:
            model, prefix, rows = pipeline(estimator), "model__", X
            params = {"sensitive_features": sex}
        search = GridSearchCV(
            model,
            grid_of(estimator, prefix),
            scoring=scoring_of(estimator),
            refit=RULE,
            cv=2,
            n_jobs=n_jobs,
            error_score="raise",
        )
        with config_context(enable_metadata_routing=True):
            return search.fit(rows, y, **params)

    def assert_same(self, estimator):
        found = self.search(estimator, 2)
        with joblib.parallel_config(backend="sequential"):
            expected = self.search(estimator, 1)
        for name in ("quality", "worst", "gap"):
            key = f"mean_test_{name}"
            np.testing.assert_array_equal(found.cv_results_[key], expected.cv_results_[key])

    @each(WITH_GROUPS)
    def test_loky(self, estimator):
        self.assert_same(estimator)

    @each(WITH_GROUPS)
    def test_dask(self, estimator, dask_client):
        with joblib.parallel_config(backend="dask"):
            self.assert_same(estimator)

    @pytest.mark.parametrize("backend", ["loky", "dask"])
    @pytest.mark.parametrize("tool", ["cross_validate", "halving", "voting", "calibration"])
    def test_other_tools(self, backend, tool, dask_client):
        estimator = next(e for e in WITH_GROUPS if is_classifier(e) and takes(e, "predict"))
        _, y, _, table = one_table(estimator)
        results = []
        for name, n_jobs in ((backend, 2), ("sequential", 1)):
            with joblib.parallel_config(backend=name):
                results.append(self.figures(tool, estimator, table, y, n_jobs))
        np.testing.assert_array_equal(*results)

    @staticmethod
    def figures(tool, estimator, table, y, n_jobs):
        model = from_columns(estimator)
        if tool == "cross_validate":
            scoring = scoring_of(estimator)
            result = cross_validate(model, table, y, scoring=scoring, cv=2, n_jobs=n_jobs)
            return result["test_gap"]
        if tool == "halving":
            search = HalvingGridSearchCV(
                model,
                grid_of(estimator, "estimator__model__"),
                scoring=fairness_scorer("demographic_parity_difference"),
                factor=2,
                min_resources=120,
                cv=2,
                random_state=0,
                n_jobs=n_jobs,
            )
            return search.fit(table, y).cv_results_["mean_test_score"]
        if tool == "voting":
            other = SensitiveColumns(LogisticRegression(), "sex", drop=True)
            model = VotingClassifier([("fair", model), ("plain", other)], n_jobs=n_jobs)
            return model.fit(table, y).predict(table)
        return CalibratedClassifierCV(model, cv=2, n_jobs=n_jobs).fit(table, y).predict(table)
