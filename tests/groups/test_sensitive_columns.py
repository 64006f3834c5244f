"""SensitiveColumns around every kind of estimator, in every kind of search, routing on and off."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from _toys import GroupMedian, ReweighedLogistic, people
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import DemographicParity, ExponentiatedGradient
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import AdaBoostClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups import SensitiveColumns

# fairlearn 0.15 sets values by a way that pandas 3 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Setting an? :DeprecationWarning")

FRAME, Y = people()
SEX = FRAME["sex"]
NUMBERS = ["debt", "income"]
# The same table as an array, with sex and race as codes in the first two columns.
CODES = np.column_stack(
    [SEX == "male", FRAME["race"].map({"a": 0, "b": 1, "c": 2}), FRAME[["age", *NUMBERS]]]
).astype(float)


@pytest.fixture(params=[False, True], ids=["routing off", "routing on"])
def routing(request):
    with config_context(enable_metadata_routing=request.param):
        yield request.param


def prepare(model):
    """A whole Pipeline: text one-hot, numbers scaled, then the model."""
    table = ColumnTransformer(
        [("text", OneHotEncoder(), ["race"]), ("numbers", StandardScaler(), ["age", *NUMBERS])]
    )
    return Pipeline([("prepare", table), ("scale", StandardScaler()), ("model", model)])


def threshold_optimizer():
    return ThresholdOptimizer(
        estimator=LogisticRegression(),
        constraints="demographic_parity",
        predict_method="predict_proba",
    )


def exponentiated_gradient():
    return ExponentiatedGradient(LogisticRegression(), DemographicParity(), max_iter=2)


# name -> (estimator, whether it needs X without text)
INNER = {
    "ours": (ReweighedLogistic(), True),
    "ours, groups in predict": (GroupMedian(), True),
    "fairlearn reduction": (exponentiated_gradient(), True),
    "fairlearn post-processing": (threshold_optimizer(), True),
    "pipeline": (prepare(ReweighedLogistic()), False),
    "pipeline, groups in predict": (prepare(GroupMedian()), False),
    "pipeline of fairlearn reduction": (prepare(exponentiated_gradient()), False),
    "pipeline of fairlearn post-processing": (prepare(threshold_optimizer()), False),
}


@pytest.fixture(params=INNER, ids=lambda name: name)
def wrapped(request):
    inner, numbers_only = INNER[request.param]
    return SensitiveColumns(inner, "sex", drop=True), FRAME[
        ["sex", *NUMBERS]
    ] if numbers_only else FRAME


class TestSearches:
    def test_cross_val_predict(self, wrapped, routing):
        model, X = wrapped
        predictions = cross_val_predict(model, X, Y, cv=2)
        assert set(predictions) <= {0, 1}
        assert accuracy_score(Y, predictions) > 0.55

    def test_cross_validate_and_grid_search(self, wrapped, routing):
        model, X = wrapped
        scores = cross_validate(model, X, Y, cv=2, error_score="raise", scoring="accuracy")
        assert scores["test_score"].mean() > 0.55
        search = GridSearchCV(model, {"columns": ["sex"]}, cv=2, error_score="raise").fit(X, Y)
        assert set(search.predict(X)) <= {0, 1}

    def test_voting(self, wrapped, routing):
        model, X = wrapped
        voting = VotingClassifier([("one", model), ("two", clone(model))]).fit(X, Y)
        assert set(voting.predict(X)) <= {0, 1}


def test_halving_search_over_parameters_of_the_inner_model(routing):
    search = HalvingGridSearchCV(
        SensitiveColumns(prepare(ReweighedLogistic()), "sex"),
        {"estimator__model__fairness_weight": [0.0, 0.5, 1.0]},
        cv=3,
        random_state=0,
    ).fit(FRAME, Y)
    assert search.best_estimator_.estimator_[-1].encoder_.columns_ == ("sex",)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(method, routing):
    inner = prepare(ReweighedLogistic())
    calibrated = CalibratedClassifierCV(
        SensitiveColumns(inner, ["sex", "race"]), method=method, cv=3
    )
    probabilities = calibrated.fit(FRAME, Y).predict_proba(FRAME)
    assert probabilities.shape == (240, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


class TestSameAsByHand:
    """The wrapped estimator is fitted on what its user would have handed over."""

    @pytest.mark.parametrize("drop", [False, True])
    def test_groups_in_fit(self, drop, routing):
        model = SensitiveColumns(ReweighedLogistic(), 0, drop=drop).fit(CODES, Y)
        X = CODES[:, 1:] if drop else CODES
        by_hand = ReweighedLogistic().fit(X, Y, sensitive_features=CODES[:, 0])
        np.testing.assert_array_equal(model.predict_proba(CODES), by_hand.predict_proba(X))
        assert model.n_features_in_ == 5
        assert model.score(CODES, Y) == by_hand.score(X, Y)

    def test_groups_in_predict(self, routing):
        X = FRAME[NUMBERS]
        by_hand = GroupMedian().fit(X, Y, sensitive_features=SEX)
        expected = by_hand.predict(X, sensitive_features=SEX)
        model = SensitiveColumns(GroupMedian(), "sex", drop=True).fit(FRAME[["sex", *NUMBERS]], Y)
        np.testing.assert_array_equal(model.predict(FRAME[["sex", *NUMBERS]]), expected)
        assert model.score(FRAME[["sex", *NUMBERS]], Y) == accuracy_score(Y, expected)

    def test_fairlearn(self, routing):
        X = FRAME[NUMBERS]
        by_hand = threshold_optimizer().fit(X, Y, sensitive_features=SEX)
        expected = by_hand.predict(X, sensitive_features=SEX, random_state=3)
        model = SensitiveColumns(threshold_optimizer(), "sex", drop=True)
        model.fit(FRAME[["sex", *NUMBERS]], Y)
        with config_context(enable_metadata_routing=False):
            found = model.predict(FRAME[["sex", *NUMBERS]], random_state=3)
        np.testing.assert_array_equal(found, expected)
        assert model.classes_.tolist() == [0, 1]
        assert is_classifier(model)

    def test_several_columns(self, routing):
        model = SensitiveColumns(ReweighedLogistic(), ["race", "sex"], drop=True)
        model.fit(FRAME, Y)
        assert model.estimator_.encoder_.columns_ == ("race", "sex")
        assert model.estimator_.feature_names_in_.tolist() == ["age", *NUMBERS]

    def test_arrays_frames_and_polars_agree(self, routing):
        names = ["sex", "race", "age", *NUMBERS]
        expected = SensitiveColumns(ReweighedLogistic(), [0]).fit(CODES, Y).predict_proba(CODES)
        for X, columns in [
            (pd.DataFrame(CODES, columns=names), "sex"),
            (pd.DataFrame(CODES, columns=names), [-5]),
            (pl.DataFrame(CODES, schema=names), ["sex"]),
            (CODES.tolist(), np.int64(0)),
        ]:
            model = SensitiveColumns(ReweighedLogistic(), columns).fit(X, Y)
            np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)

    def test_polars_text(self, routing):
        X = pl.DataFrame(FRAME.to_dict("list"))
        columns = ["sex", *NUMBERS]
        model = SensitiveColumns(GroupMedian(), "sex", drop=True)
        predictions = cross_val_predict(model, X[columns], Y, cv=3)
        expected = cross_val_predict(model, FRAME[columns], Y, cv=3)
        np.testing.assert_array_equal(predictions, expected)

    def test_sparse(self):
        from scipy.sparse import csr_matrix

        class Plain(RegressorMixin, BaseEstimator):
            def fit(self, X, y, *, sensitive_features):
                self.seen_ = (X, sensitive_features)
                return self

        model = SensitiveColumns(Plain(), 0, drop=True).fit(csr_matrix(CODES), Y)
        X, groups = model.estimator_.seen_
        np.testing.assert_array_equal(X.toarray(), CODES[:, 1:])
        np.testing.assert_array_equal(groups, CODES[:, [0]])


class TestOtherMetadata:
    weights = np.where(SEX == "male", 3.0, 1.0)

    def by_hand(self, X, **params):
        return ReweighedLogistic().fit(X, Y, sensitive_features=SEX, **params)

    def test_weights_without_routing(self):
        X = FRAME[["sex", *NUMBERS]]
        model = SensitiveColumns(ReweighedLogistic(), "sex", drop=True)
        model.fit(X, Y, sample_weight=self.weights)
        expected = self.by_hand(FRAME[NUMBERS], sample_weight=self.weights)
        np.testing.assert_array_equal(
            model.predict_proba(X), expected.predict_proba(FRAME[NUMBERS])
        )
        weighted = model.score(X, Y, sample_weight=self.weights)
        assert weighted == accuracy_score(Y, model.predict(X), sample_weight=self.weights)

    def test_weights_reach_every_step_of_a_pipeline_without_routing(self):
        X = FRAME[["sex", *NUMBERS]]
        pipeline = make_pipeline(StandardScaler(), ReweighedLogistic())
        model = SensitiveColumns(pipeline, "sex", drop=True)
        model.fit(X, Y, sample_weight=self.weights)
        scaler = StandardScaler().fit(FRAME[NUMBERS], sample_weight=self.weights)
        np.testing.assert_array_equal(model.estimator_[0].mean_, scaler.mean_)
        expected = self.by_hand(scaler.transform(FRAME[NUMBERS]), sample_weight=self.weights)
        np.testing.assert_allclose(model.estimator_[-1].model_.coef_, expected.model_.coef_)

    def test_weights_with_routing_are_as_requested(self):
        X = FRAME[["sex", *NUMBERS]]
        with config_context(enable_metadata_routing=True):
            inner = ReweighedLogistic().set_fit_request(sample_weight=True)
            inner.set_score_request(sample_weight=False)
            search = GridSearchCV(SensitiveColumns(inner, "sex", drop=True), {"drop": [True]})
            search.fit(X, Y, sample_weight=self.weights)
        expected = self.by_hand(FRAME[NUMBERS], sample_weight=self.weights)
        found = search.best_estimator_.estimator_
        np.testing.assert_array_equal(found.model_.coef_, expected.model_.coef_)

    def test_a_search_can_hand_groups_to_its_scorer(self):
        seen = []

        class Scorer(BaseEstimator):
            __metadata_request__score = {"sensitive_features": True}

            def score(self, estimator, X, y, *, sensitive_features=None):
                seen.append(sensitive_features)
                return 1.0

            def __call__(self, estimator, X, y, **params):
                return self.score(estimator, X, y, **params)

        with config_context(enable_metadata_routing=True):
            model = SensitiveColumns(prepare(ReweighedLogistic()), "sex")
            search = GridSearchCV(model, {"drop": [False]}, scoring=Scorer(), cv=3)
            search.fit(FRAME, Y, sensitive_features=SEX)
        assert len(seen) == 3
        assert all(groups is not None for groups in seen)

    def test_groups_given_twice(self, routing):
        model = SensitiveColumns(ReweighedLogistic(), 0)
        with pytest.raises(TypeError, match="takes the groups from X"):
            model.fit(CODES, Y, sensitive_features=SEX)
        with pytest.raises(TypeError, match="takes the groups from X"):
            model.fit(CODES, Y).predict(CODES, sensitive_features=SEX)

    def test_a_request_of_the_user_is_respected(self):
        with config_context(enable_metadata_routing=True):
            inner = ReweighedLogistic().set_fit_request(sensitive_features=False)
            with pytest.warns(FairnessWarning, match="takes no sensitive_features"):
                model = SensitiveColumns(inner, 0)
                with pytest.warns(FairnessWarning, match="without sensitive_features"):
                    model.fit(CODES, Y)

    def test_the_callers_estimator_stays_as_it_is(self):
        inner = threshold_optimizer()
        SensitiveColumns(inner, 0).fit(CODES, Y)
        assert not hasattr(inner, "_metadata_request")
        assert not hasattr(inner, "estimator_")


class TestNoGroupsTaken:
    @pytest.mark.parametrize("inner", [LogisticRegression(max_iter=500), AdaBoostClassifier()])
    def test_it_warns_unless_the_point_is_to_drop_them(self, inner):
        with pytest.warns(FairnessWarning, match=f"{type(inner).__name__} takes no sensitive"):
            SensitiveColumns(inner, 0).fit(CODES, Y)
        model = SensitiveColumns(inner, [0, 1], drop=True).fit(CODES, Y)
        expected = clone(inner).fit(CODES[:, 2:], Y).predict(CODES[:, 2:])
        np.testing.assert_array_equal(model.predict(CODES), expected)

    def test_regressors(self):
        model = SensitiveColumns(LinearRegression(), 0, drop=True).fit(CODES, CODES[:, 3])
        assert model.score(CODES, CODES[:, 3]) == pytest.approx(1)
        assert not is_classifier(model)
        assert not hasattr(model, "classes_")
        assert not hasattr(model, "predict_proba")


def test_partial_fit_goes_on():
    inner = SGDClassifier(loss="log_loss", random_state=0)
    model = SensitiveColumns(inner, 0, drop=True)
    alone = clone(inner)
    for rows in (slice(0, 100), slice(100, 240)):
        model.partial_fit(CODES[rows], Y[rows], classes=[0, 1])
        alone.partial_fit(CODES[rows, 1:], Y[rows], classes=[0, 1])
    np.testing.assert_array_equal(model.estimator_.coef_, alone.coef_)
    assert not hasattr(SensitiveColumns(LogisticRegression(), 0), "partial_fit")


class TestBadInput:
    def test_columns_that_are_not_there(self):
        with pytest.raises(ValueError, match=r"X has no column \['gender'\]; it has \['sex'"):
            SensitiveColumns(ReweighedLogistic(), ["gender", "sex"]).fit(FRAME, Y)
        for X in (CODES, pd.DataFrame(CODES)):
            for position in (5, -6):
                with pytest.raises(ValueError, match=r"X has 5 feature\(s\).*minimum of 6 is"):
                    SensitiveColumns(ReweighedLogistic(), position).fit(X, Y)

    def test_names_that_a_step_before_has_lost(self):
        model = make_pipeline(StandardScaler(), SensitiveColumns(ReweighedLogistic(), "age"))
        with pytest.raises(ValueError, match="lost them: put SensitiveColumns around the whole"):
            model.fit(FRAME[["age", *NUMBERS]], Y)

    def test_names_lost_between_fit_and_predict(self):
        model = SensitiveColumns(ReweighedLogistic(), "age", drop=True)
        frame = FRAME[["age", *NUMBERS]].assign(age=FRAME["age"] > 40)
        model.fit(frame, Y)
        with pytest.raises(ValueError, match="X is an array without column names"):
            model.predict(frame.to_numpy())

    def test_other_columns_at_predict(self):
        model = SensitiveColumns(ReweighedLogistic(), "sex", drop=True)
        model.fit(FRAME[["sex", *NUMBERS]], Y)
        with pytest.raises(ValueError, match="feature names"):
            model.predict(FRAME)

    def test_no_columns(self):
        with pytest.raises(ValueError, match="columns is empty"):
            SensitiveColumns(ReweighedLogistic(), []).fit(CODES, Y)

    @pytest.mark.parametrize("bad", [None, 1.5])
    def test_wrong_parameters(self, bad):
        with pytest.raises(ValueError, match="'columns' parameter of SensitiveColumns"):
            SensitiveColumns(ReweighedLogistic(), bad).fit(CODES, Y)
        with pytest.raises(ValueError, match="'estimator' parameter"):
            SensitiveColumns("logistic", 0).fit(CODES, Y)

    def test_one_dimension(self):
        with pytest.raises(ValueError, match=r"shape \(240,\). Reshape your data"):
            SensitiveColumns(ReweighedLogistic(), 0).fit(Y, Y)

    def test_before_fit(self):
        model = SensitiveColumns(ReweighedLogistic(), 0)
        for method in ("predict", "predict_proba"):
            with pytest.raises(NotFittedError):
                getattr(model, method)(CODES)
        with pytest.raises(NotFittedError):
            model.score(CODES, Y)

    def test_a_group_unseen_in_training(self):
        female = FRAME[SEX == "female"][["sex", *NUMBERS]]
        model = SensitiveColumns(GroupMedian(), "sex", drop=True)
        model.fit(female, Y[SEX == "female"])
        with pytest.raises(UnseenGroupError, match="sex=male"):
            model.predict(FRAME[["sex", *NUMBERS]])

    def test_a_failed_fit_leaves_nothing_behind(self):
        model = SensitiveColumns(ReweighedLogistic(), 0).fit(CODES, Y)
        with pytest.raises(ValueError, match="continuous"):
            model.set_params(columns=3).fit(CODES, Y)
        with pytest.raises(NotFittedError):
            model.predict(CODES)


def test_refitting_with_other_columns():
    model = SensitiveColumns(ReweighedLogistic(), 0).fit(CODES, Y)
    model.set_params(columns=[1]).fit(CODES[:, :4], Y)
    assert model.n_features_in_ == 4
    assert len(model.estimator_.encoder_.labels_) == 3


def test_sensitive_features_of():
    model = SensitiveColumns(ReweighedLogistic(), ["race", "sex"])
    pd.testing.assert_frame_equal(model.sensitive_features_of(FRAME), FRAME[["race", "sex"]])
    by_place = SensitiveColumns(ReweighedLogistic(), [1, 0]).sensitive_features_of(CODES)
    np.testing.assert_array_equal(by_place, CODES[:, [1, 0]])


def test_pickle_and_clone():
    model = SensitiveColumns(prepare(threshold_optimizer()), "sex").fit(FRAME, Y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        loaded.predict(FRAME, random_state=0), model.predict(FRAME, random_state=0)
    )
    assert not hasattr(clone(model), "estimator_")


@pytest.mark.filterwarnings("ignore::fairgroup.exceptions.FairnessWarning")
@parametrize_with_checks(
    [SensitiveColumns(LogisticRegression(), [0]), SensitiveColumns(LinearRegression(), [0])]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
