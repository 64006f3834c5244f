"""
Tuning fairness: grid search and successive halving
===================================================

How much fairness to ask for is a parameter like any other. ``GridSearchCV`` measures every value
on all rows and takes several scorers, so that ``refit=best_under_constraint(...)`` can pick the
most accurate candidate among the fair ones. ``HalvingGridSearchCV`` starts with few rows, drops
the worse half of the candidates at each round, and knows one score only: accuracy minus a penalty
for unfairness then says the same in one number. The groups follow the rows of
every fold and round.
"""

# %%
# Data, and a model with a budget
# -------------------------------

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.datasets import load_lending
from fairgroup.information import FrontierPostProcessor
from fairgroup.metrics import (
    best_under_constraint,
    demographic_parity_gap,
    fairness_scorer,
    group_metrics,
)

sklearn.set_config(enable_metadata_routing=True)

lending = load_lending()
people = lending.sensitive_features[["sex", "ethnicity"]]
features = lending.data.select_dtypes("number")
X, X_test, y, y_test, groups, groups_test = train_test_split(
    features, lending.target, people, train_size=0.7, random_state=0
)
model = make_pipeline(
    StandardScaler(), FrontierPostProcessor(LogisticRegression(), random_state=0)
)
grid = {
    "frontierpostprocessor__epsilon_global": np.geomspace(1e-4, 0.06, 8),
    "frontierpostprocessor__score_bins": [4, 20],
}

# %%
# All of it: two scores and a rule
# --------------------------------
# The model needs groups to predict, and scikit-learn's scorer ``"accuracy"`` would call
# ``predict`` without them. ``fairness_scorer`` takes any function of labels, predictions and
# groups, and hands the groups to ``predict`` as well.

MOST = 0.1  # largest difference of selection rates that is allowed


def accuracy(y_true, y_pred, *, sensitive_features):
    return accuracy_score(y_true, y_pred)


search = GridSearchCV(
    model,
    grid,
    scoring={
        "accuracy": fairness_scorer(accuracy, greater_is_better=True),
        "gap": fairness_scorer("demographic_parity_difference"),
    },
    refit=best_under_constraint("accuracy", "gap", at_most=MOST),
    cv=4,
)
search.fit(X, y, sensitive_features=groups)
everything = pd.DataFrame(search.cv_results_)

# %%
# Half of it: one number
# ----------------------
# Every hundredth of difference over the bound costs two hundredths of accuracy, more than any
# candidate can gain by it. ``refit=`` rules are not looked at here: the last round's best score
# wins.


def accuracy_if_fair(y_true, y_pred, *, sensitive_features):
    gap = demographic_parity_gap(y_pred, sensitive_features=sensitive_features)
    return accuracy_score(y_true, y_pred) - 2 * max(0.0, gap - MOST)


halving = HalvingGridSearchCV(
    model,
    grid,
    scoring=fairness_scorer(accuracy_if_fair, greater_is_better=True),
    factor=2,
    min_resources=1750,
    cv=4,
    random_state=0,
)
halving.fit(X, y, sensitive_features=groups)
rounds = pd.DataFrame(halving.cv_results_)

# %%
# What each looked at
# -------------------
# Left: the grid, with both scores of every candidate. Right: halving, with its one score against
# the rows of each round; a line ends where a candidate was dropped.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
gap, accuracies = -everything["mean_test_gap"], everything["mean_test_accuracy"]
for bins, marker in ((4, "s"), (20, "o")):
    of = everything["param_frontierpostprocessor__score_bins"] == bins
    left.plot(gap[of], accuracies[of], marker + "-", color="tab:grey", mfc="white")
    left.plot([], [], marker, color="tab:grey", mfc="white", label=f"{bins} score levels")
best = search.best_index_
left.plot(gap[best], accuracies[best], "*", color="tab:red", ms=17, label="grid search takes")
same = everything["params"].tolist().index(halving.best_params_)
left.plot(gap[same], accuracies[same], "x", color="tab:blue", ms=12, mew=3, label="halving takes")
left.axvline(MOST, color="tab:red", ls=":", label="allowed")
left.set(xlabel="difference of selection rates", ylabel="accuracy", title="Grid search")
left.legend(loc="lower right")

for params, path in rounds.groupby(rounds["params"].astype(str)):
    chosen = params == str(halving.best_params_)
    right.plot(
        path["n_resources"],
        path["mean_test_score"],
        "o-",
        color="tab:blue" if chosen else "lightgrey",
        zorder=2 + chosen,
    )
right.set(
    xscale="log",
    ylim=(0.6, 0.78),  # the worst of the first round lie below
    xlabel="rows",
    ylabel="accuracy, less what the difference exceeds",
    title="Successive halving",
)
right.set_xticks(halving.n_resources_, [f"{n:,}" for n in halving.n_resources_])
right.minorticks_off()

# %%
# The price: rows that were used for fitting, over all candidates, rounds and folds.

fits = pd.Series(
    {
        "grid search": len(everything) * len(X) * 3,
        "successive halving": int((rounds["n_resources"] * 3).sum()),
    },
    name="rows fitted",
)
fits.map("{:,}".format)

# %%
# Half of the rows, and nearly the same choice. What halving can get wrong stands in the first
# rounds, where lines cross: few rows make large differences by chance. Start with enough rows in
# the smallest group (``min_resources``), or it drops the good ones.
#
# On rows that chose nothing
# --------------------------

rows = {}
for name, found in {"grid search": search, "successive halving": halving}.items():
    y_pred = found.best_estimator_.predict(X_test, sensitive_features=groups_test)
    measured = group_metrics(y_test, y_pred, sensitive_features=groups_test)
    rows[name] = {
        "accuracy": measured.overall["accuracy"],
        "difference": measured.gaps()["demographic_parity_difference"],
    }
sklearn.set_config(enable_metadata_routing=False)
pd.DataFrame(rows).T.round(3)
