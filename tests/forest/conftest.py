"""The slow reference, and small streams, for every test of the forest."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest


def _load():
    path = Path(__file__).with_name("reference.py")
    spec = importlib.util.spec_from_file_location("forest_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_REFERENCE = _load()


@pytest.fixture(scope="session")
def reference():
    """The module with `SlowForest`."""
    return _REFERENCE


def _stream(n=300, d=3, n_groups=2, n_classes=2, seed=0):
    """Features, labels and group numbers; features and labels depend on the group."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(n_groups, size=n)
    X = rng.normal(size=(n, d))
    X[:, -1] += 0.8 * groups
    score = X[:, 0] + X[:, -1] + 0.5 * rng.normal(size=n)
    if n_classes == 1:
        return X, score, groups
    edges = np.quantile(score, np.linspace(0, 1, n_classes + 1)[1:-1])
    return X, np.searchsorted(edges, score), groups


@pytest.fixture(scope="session")
def stream():
    """Function that makes a stream."""
    return _stream


def _with_parameters(model, W, b, theta, *, classes=None, groups=None):
    """Initialise a model without rows and put parameters in."""
    W = np.asarray(W, dtype=float)
    extra = {} if classes is None else {"classes": classes}
    if groups is not None:
        extra["sensitive_groups"] = groups
    model.partial_fit(np.empty((0, W.shape[-1])), np.empty(0), **extra)
    model.coef_[:] = W
    model.intercept_[:] = b
    leaves = model.leaf_logits_ if hasattr(model, "classes_") else model.leaf_values_
    leaves[:] = theta
    return model


@pytest.fixture(scope="session")
def with_parameters():
    """Function that puts parameters into a new model."""
    return _with_parameters
