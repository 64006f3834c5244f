"""Two smallest estimators with groups, and a table of people, for tests of what is around them.

``ReweighedLogistic`` is the pattern of a method whose groups are needed in ``fit`` only, which is
the usual case; ``GroupMedian`` needs them at prediction as well.
"""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fairgroup.groups import GroupEncoder
from fairgroup.groups._consume import GroupConsumer, encode_groups
from fairgroup.utils._sklearn import Interval, fit_context
from fairgroup.utils._validation import check_weights


class ReweighedLogistic(GroupConsumer, ClassifierMixin, BaseEstimator):
    """Logistic regression on rows reweighed so that group and label are independent.

    Reweighing is that of Kamiran and Calders (2012): a row of group g and label y weighs
    P(g) P(y) / P(g, y), here to the power ``fairness_weight``.
    """

    _parameter_constraints = {
        "fairness_weight": [Interval(Real, 0, 1, closed="both")],
        "encoder": [GroupEncoder, None],
        "random_state": ["random_state"],
    }

    def __init__(self, *, fairness_weight=1.0, encoder=None, random_state=None):
        self.fairness_weight = fairness_weight
        self.encoder = encoder
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        weights = check_weights(sample_weight, len(y))
        self.encoder_, groups = encode_groups(
            sensitive_features, len(y), encoder=self.encoder, estimator=self
        )
        self.classes_, labels = np.unique(y, return_inverse=True)
        fair = reweighing(groups.codes, labels, groups.n_groups, len(self.classes_), weights)
        self.model_ = LogisticRegression(random_state=self.random_state)
        self.model_.fit(X, y, sample_weight=weights * fair**self.fairness_weight)
        return self

    def predict(self, X):
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, X, reset=False))

    def predict_proba(self, X):
        check_is_fitted(self)
        return self.model_.predict_proba(validate_data(self, X, reset=False))


def reweighing(codes, labels, n_groups, n_labels, weights):
    """The numerical core: plain arrays in, plain arrays out. A row in no group weighs 1."""
    known = codes >= 0
    cells = np.zeros((n_groups, n_labels))
    np.add.at(cells, (codes[known], labels[known]), weights[known])
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / max(cells.sum(), 1e-300)
    ratio = np.divide(expected, cells, out=np.ones_like(cells), where=cells > 0)
    return np.where(known, ratio[codes, labels], 1.0)


class GroupMedian(GroupConsumer, ClassifierMixin, BaseEstimator):
    """The larger class where the last feature is above the median of the row's group."""

    _parameter_constraints = {"encoder": [GroupEncoder, None]}

    def __init__(self, *, encoder=None):
        self.encoder = encoder

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sensitive_features=None):
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.encoder_, groups = encode_groups(
            sensitive_features, len(y), encoder=self.encoder, estimator=self
        )
        self.classes_ = np.unique(y)
        medians = [np.median(X[groups.codes == g, -1]) for g in range(groups.n_groups)]
        # A row in no group (code -1) is compared with the median of everybody.
        self.medians_ = np.array([*medians, np.median(X[:, -1])])
        return self

    def predict(self, X, *, sensitive_features=None):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        codes = np.zeros(len(X), dtype=int)
        if self.encoder_ is not None:
            codes = self.encoder_.transform(sensitive_features).codes
        if len(codes) != len(X):
            raise ValueError(f"sensitive_features has {len(codes)} rows, but X has {len(X)}.")
        return self.classes_[np.where(X[:, -1] > self.medians_[codes], -1, 0)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # one feature, one threshold, two of the classes
        return tags


def people(n: int = 240, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Sex, race and age beside two features, and a label that depends on sex."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "sex": np.resize(["female", "male"], n),
            "race": np.resize(["a", "a", "b", "b", "c", "c"], n),
            "age": rng.integers(18, 80, n),
            "debt": rng.normal(size=n),
            "income": rng.normal(size=n),
        }
    )
    score = frame["income"] + 0.8 * (frame["sex"] == "male") + 0.5 * rng.normal(size=n)
    return frame, (score > 0.4).to_numpy().astype(int)
