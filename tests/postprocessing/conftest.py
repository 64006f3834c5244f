"""A table with a 0/1 column that the label depends on, and the worked example of the method."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from fairgroup.postprocessing import TreeReader, register_tree_reader
from fairgroup.postprocessing._trees import TreeTable, join_trees


def table(n=400, seed=0, n_classes=2):
    """Column 0 is the protected one; column 1 has a scale of 40, the others of 1."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    X[:, 0] = rng.integers(0, 2, n)
    X[:, 1] = 40 * X[:, 1] + 20
    score = X[:, 1] / 40 + 0.9 * X[:, 0] + X[:, 2] + 0.7 * rng.normal(size=n)
    cuts = np.quantile(score, np.arange(1, n_classes) / n_classes)
    return X, np.searchsorted(cuts, score), np.where(X[:, 0] > 0, "m", "f")


@pytest.fixture(name="table")
def make_table():
    return table


@pytest.fixture
def data():
    return table()


@pytest.fixture
def three_classes():
    return table(n_classes=3)


class WorkedTree(ClassifierMixin, BaseEstimator):
    """The tree of the worked example: protected input 0, then thresholds 20 and 40 on input 1."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.n_features_in_ = np.shape(X)[1]
        return self

    def predict_proba(self, X):
        X = np.asarray(X)
        first = np.where(X[:, 1] <= 20 * self.scale, 0.1, 0.6)
        second = np.where(X[:, 1] <= 40 * self.scale, 0.4, 0.9)
        share = np.where(X[:, 0] <= 0.5, first, second)
        return np.column_stack([1 - share, share])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class WorkedReader(TreeReader):
    def read(self, estimator):
        s = estimator.scale
        table_ = TreeTable(
            left=np.array([1, 2, -1, -1, 5, -1, -1]),
            right=np.array([4, 3, -1, -1, 6, -1, -1]),
            feature=np.array([0, 1, -2, -2, 1, -2, -2]),
            threshold=np.array([0.5, 20 * s, -2, -2, 40 * s, -2, -2]),
            value=np.array(
                [
                    [0.5, 0.5],
                    [0.7, 0.3],
                    [0.9, 0.1],
                    [0.4, 0.6],
                    [0.35, 0.65],
                    [0.6, 0.4],
                    [0.1, 0.9],
                ]
            ),
        )
        return join_trees([table_], 2)


register_tree_reader(WorkedTree, WorkedReader())


@pytest.fixture
def worked():
    return WorkedTree()


@pytest.fixture(scope="session")
def slow():
    """The functions of ``reference.py``, which is no package."""
    path = Path(__file__).parent / "reference.py"
    spec = importlib.util.spec_from_file_location("fairttts_slow", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
