"""Adult by sex: the comparison beside a plain fairlearn script on the same folds.

Run with ``FAIRGROUP_DATA_HOME`` pointing to the data sets: ``python benchmarks/compare_adult.py``.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
from _results import write_results
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.preprocessing import CorrelationRemover
from fairlearn.reductions import DemographicParity, ExponentiatedGradient
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

import fairgroup
from fairgroup.comparison._defaults import default_preprocessor
from fairgroup.datasets import fetch_adult

PEERS = {
    "unmitigated": ("unmitigated", ""),
    "ThresholdOptimizer": ("threshold optimizer", "tolerance=None"),
    "ExponentiatedGradient": ("exponentiated gradient", "tolerance=0.01"),
    "CorrelationRemover": ("correlation remover", "alpha=1"),
}


def plain_predictions(X, y, sex, train, test):
    """Return each peer's test predictions, written as fairlearn's own documentation writes it."""
    prepare = default_preprocessor(X).fit(X.iloc[train])
    Z, Z_test = prepare.transform(X.iloc[train]), prepare.transform(X.iloc[test])
    logistic = LogisticRegression(max_iter=1000)
    yield "unmitigated", logistic.fit(Z, y[train]).predict(Z_test)
    thresholds = ThresholdOptimizer(estimator=LogisticRegression(max_iter=1000))
    thresholds.fit(Z, y[train], sensitive_features=sex.iloc[train])
    yield (
        "ThresholdOptimizer",
        thresholds.predict(Z_test, sensitive_features=sex.iloc[test], random_state=0),
    )
    reduction = ExponentiatedGradient(LogisticRegression(max_iter=1000), DemographicParity())
    reduction.fit(Z, y[train], sensitive_features=sex.iloc[train])
    yield "ExponentiatedGradient", reduction.predict(Z_test, random_state=0)
    male = (sex == "Male").to_numpy(float)[:, None]
    removed = make_pipeline(
        CorrelationRemover(sensitive_feature_ids=[Z.shape[1]]), LogisticRegression(max_iter=1000)
    )
    removed.fit(np.hstack([Z, male[train]]), y[train])
    yield "CorrelationRemover", removed.predict(np.hstack([Z_test, male[test]]))


def main():
    adult = fetch_adult()
    X, y = adult.data, adult.target.to_numpy()
    sex = adult.sensitive_features["sex"]
    labels = (y == np.unique(y)[1]).astype(int)
    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, labels))
    start = time.perf_counter()
    ours = fairgroup.compare(
        X, labels, sensitive_features=sex, cv=splits, n_jobs=2, random_state=0, verbose=False
    )
    seconds = time.perf_counter() - start
    rows = []
    for train, test in splits:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, y_pred in plain_predictions(X, labels, sex, train, test):
                groups = {"sensitive_features": sex.iloc[test]}
                rows.append(
                    {
                        "method": name,
                        "accuracy": accuracy_score(labels[test], y_pred),
                        "dp": demographic_parity_difference(labels[test], y_pred, **groups),
                        "eo": equalized_odds_difference(labels[test], y_pred, **groups),
                    }
                )
    plain = pd.DataFrame(rows).groupby("method", sort=False).mean()
    table = []
    for name, key in PEERS.items():
        row = ours.table.loc[key]
        table.append(
            {
                "method": name,
                "accuracy": float(row["accuracy"]),
                "accuracy, plain script": float(plain.loc[name, "accuracy"]),
                "demographic parity difference": float(row["demographic_parity_difference"]),
                "the same, plain script": float(plain.loc[name, "dp"]),
                "equalized odds difference": float(row["equalized_odds_difference"]),
                "the same, plain": float(plain.loc[name, "eo"]),
            }
        )
    notes = (
        f"48,842 rows, 5 folds, logistic regression. The whole comparison ({len(ours.table)} "
        f"candidates) took {seconds:.0f} s with n_jobs=2."
    )
    write_results("compare_adult", table, title="Adult by sex, beside fairlearn", notes=notes)


if __name__ == "__main__":
    main()
