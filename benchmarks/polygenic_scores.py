"""Polygenic scores by clumping and thresholding, as an estimator for the simulations."""

from __future__ import annotations

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin


class ClumpingThresholding(RegressorMixin, BaseEstimator):
    """Sum of marginal effects of variants that are associated and not in linkage.

    Variants with p-values below ``threshold`` are taken in the order of their p-values; a variant
    is dropped (clumped) when it is within ``window`` positions of one that was taken and its
    squared correlation with it is at least ``r2``.
    """

    def __init__(self, threshold=0.05, r2=0.1, window=50):
        self.threshold = threshold
        self.r2 = r2
        self.window = window

    def fit(self, X, y):
        """Choose variants and estimate their marginal effects."""
        X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
        n = len(y)
        self.mean_, self.offset_ = X.mean(axis=0), y.mean()
        centred, target = X - self.mean_, y - self.offset_
        gram = centred.T @ centred
        variance = np.diag(gram)
        safe = np.where(variance > 0, variance, 1.0)
        moment = centred.T @ target
        effect = np.where(variance > 0, moment / safe, 0.0)
        r = moment / np.sqrt(safe * max(target @ target, 1e-300))
        t = r * np.sqrt((n - 2) / np.maximum(1 - r**2, 1e-12))
        p_value = np.where(variance > 0, 2 * stats.t.sf(np.abs(t), n - 2), 1.0)
        linked = gram**2 / np.outer(safe, safe) >= self.r2
        near = np.abs(np.subtract.outer(np.arange(X.shape[1]), np.arange(X.shape[1])))
        linked &= near <= self.window
        open_ = p_value <= self.threshold
        self.coef_ = np.zeros(X.shape[1])
        for j in np.argsort(p_value, kind="stable"):
            if open_[j]:
                self.coef_[j] = effect[j]
                open_[linked[j]] = False
        return self

    def predict(self, X):
        """Sum up the chosen effects."""
        return (np.asarray(X, dtype=float) - self.mean_) @ self.coef_ + self.offset_
