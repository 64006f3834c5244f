"""Adaptive sampling on real data: a label budget, worst-group accuracy, 20 seeds.

``OMP_NUM_THREADS=1 python benchmarks/sampling_real_data.py`` (data as for the loaders,
``FAIRGROUP_DATA_HOME``). Adult with its five race groups, ACS income in Alabama with white, Black
and all others, and Law School with two race groups. In every group half of the rows are the pool,
a quarter is for validation and a quarter for the test; one logistic regression on all features
(the protected columns included). All strategies start from the same pilot.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from _results import markdown_table, write_results
from scipy import stats
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairgroup.datasets import fetch_acs_alabama_2017, fetch_adult, fetch_law_school
from fairgroup.sampling import AdaptiveGroupSampler

STRATEGIES = {
    "equal": {"strategy": "equal"},
    "proportional": {"strategy": "proportional"},
    "random": {"strategy": "random"},
    "adaptive, max-min": {"rho": np.inf},
    "max-min on log-likelihood": {"rho": np.inf, "scoring": "neg_log_loss"},
    "adaptive, rho 1": {"rho": 1.0},
    "adaptive, rho 0": {"rho": 0.0},
}


def numeric(frame):
    """Features of one table, coded once: what is learned is the model, not the coding."""
    frame = frame.copy()
    for column in frame.select_dtypes("category"):
        common = frame[column].value_counts()
        keep = common.index[common >= 50]
        frame[column] = frame[column].astype(object).where(frame[column].isin(keep), "rare")
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = OneHotEncoder(sparse_output=False, drop="if_binary")
    coder = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (texts, make_column_selector(dtype_exclude="number")),
    )
    return coder.fit_transform(frame)


def adult():
    data = fetch_adult()
    return data.data, data.target, data.sensitive_features["race"].astype(str)


def alabama():
    data = fetch_acs_alabama_2017()
    race = data.sensitive_features["RAC1P"].astype(str)
    return data.data, data.target, race.where(race.isin(["White", "Black"]), "other")


def law():
    data = fetch_law_school()
    return data.data, data.target, data.sensitive_features["race"].astype(str)


DATA = {
    "Adult, race": (adult, 1000),
    "ACS Alabama, race": (alabama, 500),
    "Law School": (law, 500),
}


def split(group, rng):
    """Pool, validation and test rows, half and two quarters of each group."""
    parts = [[], [], []]
    for label in np.unique(group):
        rows = rng.permutation(np.flatnonzero(group == label))
        cuts = np.split(rows, [len(rows) // 2, 3 * len(rows) // 4])
        for part, some in zip(parts, cuts, strict=True):
            part.append(some)
    return [np.sort(np.concatenate(part)) for part in parts]


def by_group(model, X, y, group):
    """Accuracy and mean log-likelihood of each group."""
    p = np.clip(model.predict_proba(X)[:, 1], 1e-12, 1 - 1e-12)
    right, fit = (p > 0.5) == y, y * np.log(p) + (1 - y) * np.log(1 - p)
    labels = np.unique(group)
    return np.array([[v[group == g].mean() for g in labels] for v in (right, fit)])


def study(name, seeds):
    load, budget = DATA[name]
    frame, target, group = load()
    X, y, group = numeric(frame), target.to_numpy(), group.to_numpy()
    found = {key: [] for key in STRATEGIES}
    spent = {key: [] for key in STRATEGIES}
    for seed in seeds:
        pool, validation, test = split(group, np.random.default_rng(seed))
        for key, settings in STRATEGIES.items():
            sampler = AdaptiveGroupSampler(
                LogisticRegression(max_iter=200),
                budget=budget,
                pilot=30,
                batch=budget / 10,
                random_state=seed,
                curve_points=4,
                curve_orders=3,
                **settings,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sampler.fit(
                    X[pool],
                    y[pool],
                    sensitive_features=group[pool],
                    X_val=X[validation],
                    y_val=y[validation],
                    sensitive_features_val=group[validation],
                )
            found[key].append(by_group(sampler.estimator_, X[test], y[test], group[test]))
            spent[key].append(sampler.n_per_group_)
        print(name, seed, flush=True)
    labels = np.unique(group)
    return [
        table_row(
            name,
            key,
            labels,
            spent[key],
            np.array(found[key]),
            np.array(found["equal"]),
            np.array(found["proportional"]),
        )
        for key in STRATEGIES
    ]


def interval(values):
    values = np.asarray(values)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.4f} [{values.mean() - half:+.4f}, {values.mean() + half:+.4f}]"


def table_row(name, key, labels, n, found, equal, proportional):
    """Worst group and mean over groups; differences are paired over the seeds, 95 % intervals."""
    return {
        "data": name,
        "strategy": key,
        "bought": ", ".join(
            f"{g} {v:.0f}" for g, v in zip(labels, np.mean(n, axis=0), strict=True)
        ),
        "worst-group accuracy": f"{found[:, 0].min(axis=1).mean():.4f}",
        "minus equal": interval(found[:, 0].min(axis=1) - equal[:, 0].min(axis=1)),
        "minus proportional": interval(found[:, 0].min(axis=1) - proportional[:, 0].min(axis=1)),
        "mean of groups": f"{found[:, 0].mean():.4f}",
        "mean minus equal": interval(found[:, 0].mean(axis=1) - equal[:, 0].mean(axis=1)),
        "worst-group log-likelihood": f"{found[:, 1].min(axis=1).mean():.4f}",
        "likelihood minus equal": interval(found[:, 1].min(axis=1) - equal[:, 1].min(axis=1)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=None)
    asked = parser.parse_args()
    rows = [row for name in DATA for row in study(name, range(asked.seeds or 20))]
    if asked.seeds:
        print(markdown_table(rows))
        return
    write_results(
        "sampling_real_data",
        rows,
        title="Adaptive sampling on real data",
        notes="Label budgets 1000, 500 and 500 with a pilot of 30 per group; logistic regression; "
        "20 seeds. Differences are paired over the seeds, with 95 % t intervals; seeds split one "
        "table anew, so the intervals are about the procedure on this table.",
    )


if __name__ == "__main__":
    main()
