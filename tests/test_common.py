"""What every public estimator must do, found by looking: a new method is covered when it appears.

``_estimators.py`` says how to make a small instance where the defaults do not suffice, and which
estimators fit on something else than a feature table; ``expected_failed_checks.py`` lists the
exceptions from scikit-learn's checks.
"""

from __future__ import annotations

import io
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from _estimators import (
    OTHER_INPUT,
    TAKE_NUMBERS,
    looked_for,
    on_other_input,
    on_tables,
    public_estimators,
    table_for,
    takes,
)
from _toys import ReweighedLogistic
from expected_failed_checks import EXPECTED, expected_failed_checks
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups import GroupEncoder, MembershipEncoder, SensitiveColumns

# SensitiveColumns is looked at around a model without groups, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:LogisticRegression takes no sensitive_features")


def name_of(estimator):
    return repr(estimator).replace("\n", "")[:60]


ON_TABLES = on_tables()
WITH_GROUPS = [e for e in ON_TABLES if takes(e, "fit")]
every_estimator = pytest.mark.parametrize("estimator", ON_TABLES, ids=name_of)
every_with_groups = pytest.mark.parametrize("estimator", WITH_GROUPS, ids=name_of)
every_stream = pytest.mark.parametrize(
    "estimator", [e for e in ON_TABLES if hasattr(e, "partial_fit")], ids=name_of
)
every_other = pytest.mark.parametrize("estimator", on_other_input(), ids=name_of)


def encoder_of(estimator):
    """The class of encoder that the estimator takes, or None."""
    accepted = getattr(estimator, "_parameter_constraints", {}).get("encoder", [])
    return next((c for c in (GroupEncoder, MembershipEncoder) if c in accepted), None)


def fitted(estimator, X, y, groups, **params):
    """A fitted clone; its ``random_state`` is set where it has one."""
    estimator = clone(estimator)
    if "random_state" in estimator.get_params(deep=False):
        estimator.set_params(random_state=0)
    if takes(estimator, "fit"):
        params["sensitive_features"] = groups
    return estimator.fit(X, y, **params)


def predicted(estimator, X, groups):
    params = {"sensitive_features": groups} if takes(estimator, "predict") else {}
    return np.asarray(estimator.predict(X, **params))


def assert_predicts(estimator, X, y, groups):
    """Predictions are there, one per row, of the kind of the target."""
    predictions = predicted(estimator, X, groups)
    assert predictions.shape == (len(X),)
    assert np.isfinite(predictions).all()
    if hasattr(estimator, "classes_"):
        assert set(predictions) <= set(estimator.classes_)


@pytest.mark.filterwarnings("ignore::fairgroup.exceptions.FairgroupWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(on_tables(), expected_failed_checks=expected_failed_checks)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_exceptions_from_the_checks_name_public_estimators_and_give_reasons():
    assert set(EXPECTED) <= set(public_estimators())
    assert all(reason for checks in EXPECTED.values() for reason in checks.values())


class TestAroundIt:
    """scikit-learn's own tools work with nothing requested by hand."""

    @every_with_groups
    def test_pipeline_and_search_with_routing(self, estimator):
        X, y, groups = table_for(estimator)
        if takes(estimator, "predict"):
            model = make_pipeline(StandardScaler(), estimator)
            with config_context(enable_metadata_routing=True):
                model.fit(X, y, sensitive_features=groups)
            assert hasattr(model[-1], "n_features_in_")
            return
        search = GridSearchCV(
            make_pipeline(StandardScaler(), estimator), {"standardscaler__with_mean": [True]}, cv=2
        )
        with config_context(enable_metadata_routing=True):
            search.fit(X, y, sensitive_features=groups)
        assert search.predict(X).shape == y.shape

    @every_with_groups
    def test_cross_val_predict_without_routing(self, estimator):
        X, y, groups = table_for(estimator)
        table = pd.concat([X, groups["sex"]], axis=1)
        model = make_pipeline(StandardScaler(), estimator)
        predictions = cross_val_predict(SensitiveColumns(model, "sex", drop=True), table, y, cv=2)
        assert predictions.shape == y.shape

    @every_estimator
    def test_polars_and_pandas_and_arrays(self, estimator):
        X, y, groups = table_for(estimator)
        expected = predicted(fitted(estimator, X.to_numpy(), y, groups), X.to_numpy(), groups)
        for frame in (X, pl.DataFrame(X.to_dict("list"))):
            theirs = groups if frame is X else pl.DataFrame(groups.to_dict("list"))
            model = fitted(estimator, frame, y, theirs)
            assert list(model.feature_names_in_) == list(X.columns)
            np.testing.assert_array_equal(predicted(model, frame, theirs), expected)


class TestCopies:
    @every_estimator
    def test_clone(self, estimator):
        X, y, groups = table_for(estimator)
        model = fitted(estimator, X, y, groups)
        params = model.get_params(deep=False)
        copy = clone(model)
        assert copy.get_params(deep=False).keys() == params.keys()
        assert repr(copy) == repr(model)
        with pytest.raises(NotFittedError):
            predicted(copy, X, groups)

    @every_estimator
    def test_pickle_and_joblib(self, estimator):
        X, y, groups = table_for(estimator)
        model = fitted(estimator, X, y, groups)
        expected = predicted(model, X, groups)
        file = io.BytesIO()
        joblib.dump(model, file)
        for copy in (pickle.loads(pickle.dumps(model)), joblib.load(file)):
            np.testing.assert_array_equal(predicted(copy, X, groups), expected)

    @pytest.mark.parametrize("estimator", on_tables(toys=False), ids=name_of)
    def test_skops(self, estimator, tmp_path):
        """Nothing outside of this package, scikit-learn and numpy needs to be trusted."""
        import skops.io

        X, y, groups = table_for(estimator)
        model = fitted(estimator, X, y, groups)
        skops.io.dump(model, tmp_path / "model.skops")
        unknown = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
        assert {name.split(".")[0] for name in unknown} <= {"fairgroup", "sklearn", "numpy"}
        copy = skops.io.load(tmp_path / "model.skops", trusted=unknown)
        np.testing.assert_array_equal(predicted(copy, X, groups), predicted(model, X, groups))

    @every_estimator
    def test_same_random_state_same_result(self, estimator):
        X, y, groups = table_for(estimator)
        runs = [predicted(fitted(estimator, X, y, groups), X, groups) for _ in range(2)]
        np.testing.assert_array_equal(*runs)


class TestStreams:
    """Estimators with ``partial_fit`` share one protocol."""

    @staticmethod
    def learn(model, X, y, groups, **params):
        if takes(model, "partial_fit", "classes"):
            params["classes"] = [0, 1]
        if takes(model, "partial_fit"):
            params["sensitive_features"] = groups
        return model.partial_fit(X, y, **params)

    @every_stream
    def test_a_copy_in_mid_stream_goes_on_alike(self, estimator):
        X, y, groups = table_for(estimator)
        model = self.learn(clone(estimator), X[:150], y[:150], groups[:150])
        copies = [pickle.loads(pickle.dumps(model))]
        if hasattr(model, "get_state"):
            state = model.get_state()
            copies += [clone(model).set_state(pickle.loads(pickle.dumps(state)))]
            assert all(isinstance(v, np.ndarray) or np.isscalar(v) for v in state.values())
        expected = predicted(self.learn(model, X[150:], y[150:], groups[150:]), X, groups)
        for copy in copies:
            found = predicted(self.learn(copy, X[150:], y[150:], groups[150:]), X, groups)
            np.testing.assert_array_equal(found, expected)

    @every_stream
    def test_zero_rows_initialise(self, estimator):
        if isinstance(estimator, SensitiveColumns):
            pytest.skip("what zero rows mean is up to the estimator inside")
        X, y, groups = table_for(estimator)
        model, whole = clone(estimator), clone(estimator)
        known = takes(model, "partial_fit", "sensitive_groups")
        params = {"sensitive_groups": groups.drop_duplicates()} if known else {}
        self.learn(model, X[:0], y[:0], groups[:0], **params)
        found = predicted(self.learn(model, X, y, groups), X, groups)
        expected = predicted(self.learn(whole, X, y, groups, **params), X, groups)
        np.testing.assert_array_equal(found, expected)


class TestGroups:
    @every_with_groups
    def test_names_of_groups_do_not_matter(self, estimator):
        X, y, groups = table_for(estimator)
        sex = groups["sex"]
        found = [
            predicted(fitted(estimator, X, y, named), X, named)
            for named in (sex, (sex == "male").astype(int), (sex == "male").to_numpy(), list(sex))
        ]
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])

    @every_with_groups
    def test_twelve_intersecting_groups(self, estimator):
        X, y, groups = table_for(estimator, 600)
        groups = groups.assign(old=np.random.default_rng(0).random(600) < 0.5)
        assert groups.drop_duplicates().shape == (12, 3)
        assert_predicts(fitted(estimator, X, y, groups), X, y, groups)

    @every_with_groups
    @pytest.mark.filterwarnings("ignore::fairgroup.exceptions.FairgroupWarning")
    def test_one_group(self, estimator):
        X, y, _ = table_for(estimator)
        alone = np.repeat("everyone", len(y))
        assert_predicts(fitted(estimator, X, y, alone), X, y, alone)

    @every_with_groups
    def test_without_groups_it_warns(self, estimator):
        X, y, _ = table_for(estimator)
        with pytest.warns(FairnessWarning):
            fitted(estimator, X, y, None)

    @pytest.mark.parametrize(
        "estimator", [e for e in WITH_GROUPS if takes(e, "predict")], ids=name_of
    )
    def test_a_group_unseen_in_training_is_no_secret(self, estimator):
        """It is an error or a warning."""
        X, y, groups = table_for(estimator)
        model = fitted(estimator, X, y, groups["sex"])
        new = groups["sex"].replace("male", "new")
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            try:
                assert_predicts(model, X, y, new)
            except UnseenGroupError:
                return
        assert any(issubclass(w.category, FairnessWarning) for w in record)

    @pytest.mark.parametrize(
        "estimator", [e for e in WITH_GROUPS if encoder_of(e) is not None], ids=name_of
    )
    def test_an_encoder_of_overlapping_groups_is_used_or_refused(self, estimator):
        if encoder_of(estimator) is MembershipEncoder:
            pytest.skip("takes overlapping groups in any case")
        X, y, groups = table_for(estimator)
        model = clone(estimator).set_params(encoder=GroupEncoder(intersections=False))
        with pytest.raises(ValueError, match="intersections=False"):
            fitted(model, X, y, groups)

    @every_with_groups
    def test_missing_values_are_an_error_by_default(self, estimator):
        X, y, groups = table_for(estimator)
        groups.iloc[7, 0] = None
        with pytest.raises(ValueError, match=r"(?i)missing"):
            fitted(estimator, X, y, groups)

    @pytest.mark.parametrize(
        "estimator", [e for e in WITH_GROUPS if encoder_of(e) is not None], ids=name_of
    )
    @pytest.mark.parametrize("missing", ["group", "ignore"])
    @pytest.mark.filterwarnings("ignore:.*missing protected:fairgroup.exceptions.FairnessWarning")
    def test_missing_values_under_the_policies(self, estimator, missing):
        X, y, groups = table_for(estimator)
        groups.iloc[::9, 0] = None
        model = clone(estimator).set_params(encoder=encoder_of(estimator)(missing=missing))
        assert_predicts(fitted(model, X, y, groups), X, y, groups)


class TestBadInput:
    @every_estimator
    def test_no_rows(self, estimator):
        X, y, groups = table_for(estimator)
        with pytest.raises(ValueError, match=r"0 sample|no rows|minimum of"):
            fitted(estimator, X[:0], y[:0], groups[:0])

    @every_estimator
    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_one_row_is_learnt_or_refused(self, estimator):
        X, y, groups = table_for(estimator)
        try:
            model = fitted(estimator, X[:1], y[:1], groups[:1])
        except ValueError as error:
            assert str(error)
        else:
            assert_predicts(model, X[:1], y[:1], groups[:1])

    @every_with_groups
    def test_groups_of_other_rows(self, estimator):
        X, y, groups = table_for(estimator)
        with pytest.raises(ValueError, match=r"sensitive_features.* 239 .*240|inconsistent"):
            fitted(estimator, X, y, groups[:-1])
        if takes(estimator, "predict"):
            model = fitted(estimator, X, y, groups)
            with pytest.raises(ValueError, match=r"sensitive_features.* 239 .*240|inconsistent"):
                predicted(model, X, groups[:-1])

    @every_with_groups
    @pytest.mark.parametrize("bad", ["sex", 3, object()])
    def test_groups_that_are_no_column(self, estimator, bad):
        X, y, _ = table_for(estimator)
        with pytest.raises((TypeError, ValueError), match="sensitive_features"):
            fitted(estimator, X, y, bad)

    @every_with_groups
    def test_a_continuous_column_is_no_group(self, estimator):
        X, y, _ = table_for(estimator)
        if type(estimator).__name__ in TAKE_NUMBERS:
            pytest.skip("the method measures dependence on numbers")
        with pytest.raises(ValueError, match=r"continuous.*[Bb]in it"):
            fitted(estimator, X, y, X["debt"].rename("age"))

    @every_estimator
    def test_other_columns_than_in_fit(self, estimator):
        X, y, groups = table_for(estimator)
        model = fitted(estimator, X, y, groups)
        with pytest.raises(ValueError, match="feature"):
            predicted(model, X.assign(more=1.0), groups)

    @every_estimator
    def test_unknown_parameters(self, estimator):
        with pytest.raises(ValueError, match="Invalid parameter 'strength'"):
            clone(estimator).set_params(strength=1)
        with pytest.raises(TypeError, match="strength"):
            type(estimator)(**estimator.get_params(deep=False), strength=1)


class TestOtherInput:
    """Encoders, audits and re-rankers."""

    @every_other
    def test_clone_repr_and_parameters(self, estimator):
        copy = clone(estimator)
        assert repr(copy) == repr(estimator)
        assert copy.get_params().keys() == estimator.get_params().keys()
        assert type(estimator).__name__ in repr(estimator)
        assert OTHER_INPUT[type(estimator).__name__].reason

    @every_other
    def test_pickle_and_joblib(self, estimator):
        _, fit, result = OTHER_INPUT[type(estimator).__name__]
        model = fit(clone(estimator))
        assert np.size(result(model)) > 1
        file = io.BytesIO()
        joblib.dump(model, file)
        for copy in (pickle.loads(pickle.dumps(model)), joblib.load(file)):
            np.testing.assert_array_equal(result(copy), result(model))

    @every_other
    def test_fitting_again_gives_the_same(self, estimator):
        _, fit, result = OTHER_INPUT[type(estimator).__name__]
        model = clone(estimator)
        once = result(fit(model))
        np.testing.assert_array_equal(result(fit(model)), once)
        assert clone(model).get_params().keys() == model.get_params().keys()

    @every_other
    def test_unknown_parameters(self, estimator):
        with pytest.raises(ValueError, match="Invalid parameter 'strength'"):
            clone(estimator).set_params(strength=1)


def test_every_estimator_is_looked_for():
    found, broken = looked_for()
    assert not broken
    assert {"GroupEncoder", "SensitiveColumns"} <= set(found)
    assert set(OTHER_INPUT) <= set(found)
    covered = {type(e).__name__ for e in [*ON_TABLES, *on_other_input()]}
    assert set(found) <= covered


class Careless(ReweighedLogistic):
    """What no method may do: take groups and look away."""

    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        return super().fit(X, y, sensitive_features=np.zeros(len(y), int))


@pytest.mark.parametrize(
    "check",
    [
        TestGroups().test_without_groups_it_warns,
        TestGroups().test_missing_values_are_an_error_by_default,
        TestBadInput().test_groups_of_other_rows,
        TestBadInput().test_a_continuous_column_is_no_group,
    ],
    ids=lambda check: check.__name__,
)
def test_carelessness_is_noticed(check):
    with pytest.raises(pytest.fail.Exception, match="DID NOT"):
        check(Careless())
