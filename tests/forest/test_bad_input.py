"""Bad input gets an error that names the argument and what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from fairgroup.exceptions import FairgroupWarning, FairnessWarning, UnseenGroupError
from fairgroup.forest import AranyaniClassifier, AranyaniRegressor
from fairgroup.groups import GroupEncoder


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fairness_weight", -0.1),
        ("max_unfairness", -0.1),
        ("huber_delta", 0.0),
        ("decay", 0.0),
        ("decay", 1.1),
        ("max_depth", 0),
        ("n_estimators", 0),
        ("batch_size", 0),
        ("n_epochs", 0),
        ("level", "leaf"),
        ("constraint", "parity"),
        ("optimizer", "lbfgs"),
        ("standardize", "yes"),
        ("huber_slope", 1.0),
        ("init_scale", 0.0),
        ("encoder", "sex"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "progressive_predict"])
def test_parameters(stream, name, value, method):
    X, y, groups = stream(20)
    model = AranyaniClassifier().set_params(**{name: value})
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        getattr(model, method)(X, y, sensitive_features=groups)


def test_regression_knows_demographic_parity_only(stream):
    X, y, groups = stream(20, n_classes=1)
    with pytest.raises(ValueError, match="'constraint' parameter"):
        AranyaniRegressor(constraint="equalized_odds").fit(X, y, sensitive_features=groups)


class TestLabels:
    def test_unknown_label(self, stream):
        X, y, groups = stream(20)
        model = AranyaniClassifier(random_state=0)
        model.partial_fit(X, y, classes=[0, 1], sensitive_features=groups)
        with pytest.raises(ValueError, match=r"label 2, but the classes are \[0, 1\]"):
            model.partial_fit(X, y + 1, sensitive_features=groups)

    def test_classes_differ_from_the_first_call(self, stream):
        X, y, groups = stream(20)
        model = AranyaniClassifier(random_state=0).fit(X, y, sensitive_features=groups)
        with pytest.raises(ValueError, match=r"\[0, 2\].*in the first call"):
            model.partial_fit(X, y, classes=[0, 2], sensitive_features=groups)

    def test_a_single_class(self, stream):
        X, _, groups = stream(20)
        with pytest.raises(ValueError, match="two classes, found 1 class"):
            AranyaniClassifier().fit(X, np.ones(20), sensitive_features=groups)
        with pytest.raises(ValueError, match="name all of them in classes"):
            AranyaniClassifier().partial_fit(X, np.ones(20), sensitive_features=groups)

    def test_a_refused_first_call_leaves_nothing_behind(self, stream):
        X, y, groups = stream(20)
        model = AranyaniClassifier(random_state=0)
        with pytest.raises(ValueError, match="two classes"):
            model.partial_fit(X, np.ones(20), sensitive_features=groups)
        with pytest.raises(ValueError, match="sensitive_features has 19"):
            model.partial_fit(X, y, classes=[0, 1], sensitive_features=groups[:-1])
        model.partial_fit(X, y, classes=[0, 1, 2], sensitive_features=groups)
        assert model.t_ == 20

    def test_equal_opportunity_of_three_classes(self, stream):
        X, y, groups = stream(30, n_classes=3)
        with pytest.raises(ValueError, match="use 'equalized_odds'"):
            AranyaniClassifier(constraint="equal_opportunity").fit(X, y, sensitive_features=groups)

    @pytest.mark.parametrize("labels", [np.array(["no", "yes"]), np.array([False, True])])
    def test_other_types(self, stream, labels):
        X, y, groups = stream(60)
        model = AranyaniClassifier(random_state=0).fit(X, labels[y], sensitive_features=groups)
        assert model.predict(X).dtype == labels.dtype
        assert set(model.predict(X)) <= set(labels)

    def test_a_column_of_labels(self, stream):
        X, y, groups = stream(60)
        with pytest.warns(DataConversionWarning):
            AranyaniClassifier().fit(X, y[:, None], sensitive_features=groups)


class TestGroups:
    def test_missing_argument(self, stream):
        X, y, _ = stream(20)
        with pytest.warns(FairnessWarning, match="without sensitive_features"):
            AranyaniClassifier().fit(X, y)
        AranyaniClassifier(constraint=None).fit(X, y)
        AranyaniClassifier(fairness_weight=0).fit(X, y)

    def test_unseen_group(self, stream):
        X, y, groups = stream(20)
        names = np.array(["f", "m"])[groups]
        model = AranyaniClassifier(random_state=0).fit(X, y, sensitive_features=names)
        with pytest.raises(UnseenGroupError, match=r"Known are 'f', 'm'; name all groups"):
            model.partial_fit(X[:1], y[:1], sensitive_features=["x"])
        assert model.t_ == 20

    def test_groups_after_a_start_without(self, stream):
        X, y, groups = stream(20)
        model = AranyaniClassifier(constraint=None, random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="the first rows had none"):
            model.partial_fit(X, y, sensitive_features=groups)

    def test_groups_named_later(self, stream):
        X, y, groups = stream(20)
        model = AranyaniClassifier(random_state=0).partial_fit(X, y, sensitive_features=groups)
        known = {"sensitive_features": groups, "sensitive_groups": [0, 1]}
        model.partial_fit(X, y, **known)
        with pytest.raises(UnseenGroupError, match="Known are '0', '1'"):
            model.partial_fit(X, y, **known | {"sensitive_groups": [0, 1, 2]})
        assert model.t_ == 40

    def test_a_start_with_one_group_says_so(self, stream):
        X, y, _ = stream(20)
        model = AranyaniClassifier(random_state=0)
        with pytest.warns(FairnessWarning, match="only group is 'sex=f'.*sensitive_groups"):
            model.partial_fit(X, y, sensitive_features=pd.DataFrame({"sex": ["f"] * 20}))
        free = AranyaniClassifier(constraint=None, random_state=0)
        free.partial_fit(X, y, sensitive_features=np.zeros(20))  # no group is asked for

    def test_overlapping_groups(self, stream):
        X, y, groups = stream(20)
        A = np.column_stack([groups, groups])
        model = AranyaniClassifier(encoder=GroupEncoder(intersections=False))
        for declared in (None, A):
            with pytest.raises(ValueError, match="intersections=False"):
                model.partial_fit(X, y, sensitive_features=A, sensitive_groups=declared)

    def test_node_means_without_groups(self, stream):
        X, y, groups = stream(20)
        model = AranyaniClassifier(random_state=0).fit(X, y, sensitive_features=groups)
        with pytest.raises(ValueError, match="sensitive_features is needed"):
            model.group_node_means(X, sensitive_features=None)

    def test_later_rows_of_another_number(self, stream):
        X, y, groups = stream(20)
        model = AranyaniClassifier(random_state=0).fit(X, y, sensitive_features=groups)
        for call in (
            lambda: model.partial_fit(X, y, sensitive_features=groups[:5]),
            lambda: model.enqueue(X, sensitive_features=groups[:5]),
            lambda: model.group_node_means(X, sensitive_features=groups[:5]),
        ):
            with pytest.raises(ValueError, match="sensitive_features has 5 rows, but X has 20"):
                call()

    def test_declared_groups_may_be_small(self, stream):
        X, y, groups = stream(60)
        names = np.array(["f", "m"])[groups]
        model = AranyaniClassifier(random_state=0)
        model.partial_fit(
            X[:1], y[:1], [0, 1], sensitive_features=names[:1], sensitive_groups=["f", "m", "x"]
        )
        model.partial_fit(X[1:], y[1:], sensitive_features=names[1:])
        assert len(model.groups_) == 3
        assert model.group_counts_[0, 2] == 0
        assert np.isnan(model.running_positive_rate_[2])
        assert not np.isnan(model.running_parity_)


class TestFeatures:
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_not_finite(self, stream, value):
        X, y, groups = stream(20)
        model = AranyaniClassifier(random_state=0).fit(X, y, sensitive_features=groups)
        X[3, 1] = value
        for method in (model.partial_fit, model.progressive_predict):
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                method(X, y, sensitive_features=groups)
        assert model.t_ == 20

    def test_sparse(self, stream):
        X, y, groups = stream(20)
        with pytest.raises(TypeError, match=r"[Ss]parse"):
            AranyaniClassifier().fit(sparse.csr_matrix(X), y, sensitive_features=groups)

    def test_float32_is_computed_in_float64(self, stream):
        X, y, groups = stream(50)
        low = X.astype(np.float32)
        a = AranyaniClassifier(random_state=0).fit(low, y, sensitive_features=groups)
        b = AranyaniClassifier(random_state=0).fit(
            low.astype(np.float64), y, sensitive_features=groups
        )
        assert a.coef_.dtype == np.float64
        assert np.array_equal(a.coef_, b.coef_)

    def test_no_rows(self, stream):
        X, y, groups = stream(20)
        with pytest.raises(ValueError, match="minimum of 1"):
            AranyaniClassifier().fit(X[:0], y[:0], sensitive_features=groups[:0])

    def test_saturated_nodes_warn_once(self, stream):
        X, y, groups = stream(400)
        model = AranyaniClassifier(standardize=None, random_state=0)
        with pytest.warns(FairgroupWarning, match=r"99 %.*Standardise") as record:
            model.fit(1e6 * X, y, sensitive_features=groups)
            model.partial_fit(1e6 * X, y, sensitive_features=groups)
        assert len(record) == 1
        assert np.isfinite(model.coef_).all()
        AranyaniClassifier(random_state=0).fit(1e6 * X, y, sensitive_features=groups)

    def test_features_named_otherwise(self, stream):
        X, y, groups = stream(20)
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        model = AranyaniClassifier(random_state=0).fit(frame, y, sensitive_features=groups)
        with pytest.raises(ValueError, match="feature names"):
            model.partial_fit(frame.rename(columns={"a": "z"}), y, sensitive_features=groups)


def test_a_certain_error_is_clipped(with_parameters):
    """f_y = 0 in floating point: the gradient is that of 1e-7, not infinite."""
    model = AranyaniClassifier(
        1, 1, optimizer="sgd", learning_rate=1.0, constraint=None, standardize=None
    )
    theta = [[[-400.0, 400.0], [-400.0, 400.0]]]
    with_parameters(model, [[[1.0]]], [[0.0]], theta, classes=[0, 1])
    model.partial_fit([[1.0]], [0])
    assert np.isfinite(model.leaf_logits_).all()
    assert model.running_loss_ == pytest.approx(-np.log(1e-7))


def test_a_huge_weight_is_allowed(stream):
    X, y, groups = stream(300)
    model = AranyaniClassifier(fairness_weight=1e12, random_state=0)
    model.fit(X, y, sensitive_features=groups)
    assert np.isfinite(model.coef_).all()


def test_not_fitted():
    model = AranyaniClassifier()
    for name in ("coef_", "t_", "running_parity_", "group_counts_", "groups_", "fairness_weight_"):
        with pytest.raises(AttributeError, match="fitted"):
            getattr(model, name)


def test_node_statistics_belong_to_the_node_level(stream):
    X, y, groups = stream(30, n_groups=3)
    model = AranyaniClassifier(random_state=0).fit(X, y, sensitive_features=groups)
    with pytest.raises(AttributeError, match='level="node"'):
        model.node_mean_
    model = AranyaniClassifier(level="node", random_state=0).fit(X, y, sensitive_features=groups)
    with pytest.raises(AttributeError, match="two groups"):
        model.node_gap_
