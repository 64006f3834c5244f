"""
What must fairness cost? The best accuracy that any model can reach
====================================================================

Before a model is trained, the counts of (group, site, label) already say which accuracy is out of
reach at a given disparity. The frontier is computed with a certificate: no rule, however clever,
lies above it.
"""

# %%
# The frontier of a population
# ----------------------------
# Budgets are in bits of mutual information between group and decision: in the pooled population
# (global) and inside the districts (local).

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairgroup.datasets import load_lending
from fairgroup.information import (
    DisparityDecomposition,
    FairnessFrontier,
    FairnessFrontierDisplay,
    FrontierPostProcessor,
)

lending = load_lending()
group = lending.sensitive_features[["sex", "ethnicity"]]
site = lending.data["district"]
frontier = FairnessFrontier(n_grid=9).fit(lending.target, sensitive_features=group, clients=site)
print(
    f"disparity of the labels: global {frontier.max_global_:.4f}, local {frontier.max_local_:.4f}"
)
print(f"largest distance from the optimum: {(frontier.error_ - frontier.lower_bound_).max():.1e}")
frontier.plot()
plt.show()

# %%
# The left panel shows which of the two budgets binds: where the contours are horizontal, only the
# global one does. The multipliers are prices, in accuracy per bit:

knee = frontier.knee()
print(f"suggested budgets: global {knee.epsilon_global:.4f}, local {knee.epsilon_local:.4f} bits")
print(f"best accuracy there {1 - knee.error:.4f}, prices {knee.multipliers}")

# %%
# A model on the map
# ------------------
# The frontier of all conceivable models is far above any trained one, because labels cannot be
# known from features. The frontier of a *given* model's outputs is the fairer comparison: what
# can be reached by changing its decisions. ``FrontierPostProcessor`` realises points of it.

X = lending.data.drop(columns=["sex", "ethnicity"])
prepare = make_column_transformer(
    (StandardScaler(), make_column_selector(dtype_include="number")),
    (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    sparse_threshold=0,
)
parts = train_test_split(X, lending.target, group, site, test_size=0.5, random_state=0)
X_fit, X_new, y_fit, y_new, group_fit, group_new, site_fit, site_new = parts


def measured(decisions):
    """Accuracy and both disparities on new rows."""
    audit = DisparityDecomposition().fit(decisions, sensitive_features=group_new, clients=site_new)
    accuracy = (decisions == y_new.to_numpy()).mean()
    return {
        "accuracy": accuracy,
        "global": audit.global_disparity_,
        "local": audit.local_disparity_,
    }


points, lines = {}, {}
for name, classifier in {
    "logistic": LogisticRegression(max_iter=1000),
    "boosting": HistGradientBoostingClassifier(max_iter=60, random_state=0),
}.items():
    model = make_pipeline(prepare, classifier).fit(X_fit, y_fit)
    points[name] = measured(model.predict(X_new))
    found = []
    for budget in (0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02):
        fair = FrontierPostProcessor(
            model, epsilon_global=budget, level="group", cv=3, random_state=0
        )
        fair.fit(X_fit, y_fit, sensitive_features=group_fit)
        found.append(measured(fair.predict(X_new, sensitive_features=group_new)))
    lines[name] = pd.DataFrame(found)

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for name, line in lines.items():
    ax.plot(line["global"], line["accuracy"], marker=".", label=f"{name}, post-processed")
for name, point in points.items():
    ax.plot(point["global"], point["accuracy"], "s", color="black")
    ax.annotate(
        name,
        (point["global"], point["accuracy"]),
        xytext=(-8, -4),
        textcoords="offset points",
        ha="right",
    )
ax.set(xlabel="global disparity on new rows [bits]", ylabel="accuracy on new rows")
ax.set_title("Each model's own frontier, realised")
ax.legend()
plt.show()

# %%
# On new rows the disparity is a little above the budget of the fit: a table of finitely many rows
# never shows exactly zero. Drawn below the population's frontier, both models treat the groups
# *more* differently than the labels themselves do (the right end of the lines):

FairnessFrontierDisplay.from_estimator(frontier, models=pd.DataFrame(points).T, panels=["curves"])
plt.show()
