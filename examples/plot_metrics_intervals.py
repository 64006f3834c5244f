"""
A gap that no single attribute shows, and how sure we can be of it
===================================================================

The lending sample of fairgroup treats women and men alike on average, and both ethnic groups
alike on average. Women of the minority are nevertheless approved far less often. This example
measures a bank's past decisions by attribute and by intersection, and looks at what the
intervals say when only a few hundred rows are known.
"""

# %%
# Measure the past decisions
# --------------------------
# The target is whether a loan was repaid, the "prediction" what the bank decided in the past. One
# call gives every metric overall, by attribute and by intersection. The intervals cost nothing
# per row: a bootstrap sample of a table of rates is one multinomial draw of its cell counts.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from fairgroup.datasets import load_lending
from fairgroup.metrics import group_metrics

lending = load_lending()
people = lending.sensitive_features[["sex", "ethnicity"]]
repaid = lending.target
approved = load_lending(target="approved").target

metrics = ["selection_rate", "true_positive_rate", "accuracy"]
result = group_metrics(
    repaid,
    approved,
    sensitive_features=people,
    metrics=metrics,
    n_bootstrap=10_000,
    random_state=0,
)
result.plot()
plt.show()

# %%
# The blue dots (one attribute at a time) lie near the dashed overall line; the orange dots
# (intersections) do not. The same in numbers, as the largest difference of selection rates:

for name in (None, *people):
    gap = result.gaps(attribute=name)["demographic_parity_difference"]
    bounds = result.intervals.gaps(attribute=name).loc["demographic_parity_difference"]
    label = name or "sex and ethnicity"
    print(f"{label:18s} {gap:.3f}   95 % interval [{bounds.lower:.3f}, {bounds.upper:.3f}]")

# %%
# With few rows, look at the interval before the gap
# --------------------------------------------------
# Noise alone makes groups differ, and the more groups, the larger the largest difference. Here
# every person is given one of eight branches by lot, so the true difference between branches is
# 0. The usual percentile interval of a largest difference starts far above 0 all the same; the
# simultaneous interval, which is the default, holds the truth.

rng = np.random.default_rng(1)
sizes = [200, 800, 3200, 12_800]
branch = pd.Series(rng.integers(1, 9, len(repaid)), name="branch")
found = []
for size in sizes:
    rows = rng.choice(len(repaid), size, replace=False)
    part = group_metrics(
        repaid.iloc[rows],
        approved.iloc[rows],
        sensitive_features=branch.iloc[rows],
        metrics="selection_rate",
        n_bootstrap=10_000,
        random_state=0,
    )
    intervals = [part.intervals.difference(kind=kind) for kind in ("simultaneous", "percentile")]
    found.append((part.difference().iloc[0], *(b.to_numpy()[0] for b in intervals)))

fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
styles = (("simultaneous", "#0072B2", -0.08), ("percentile", "#D55E00", 0.08))
for k, (kind, colour, shift) in enumerate(styles, start=1):
    for i, entry in enumerate(found):
        label = kind if i == 0 else None
        ax.plot(entry[k], [i + shift] * 2, color=colour, linewidth=3, label=label)
        ax.plot(entry[0], i + shift, "o", color=colour)
ax.axvline(0, color="#444444", linestyle="--", linewidth=1)
ax.set_yticks(range(len(sizes)), [f"{size:,} rows" for size in sizes])
ax.margins(y=0.12)
ax.invert_yaxis()
ax.set_xlabel("largest difference of selection rates between branches (truth: 0)")
ax.legend(title="interval", frameon=False)
for side in ("top", "right"):
    ax.spines[side].set_visible(False)
plt.show()

# %%
# Choose a model under a fairness constraint
# ------------------------------------------
# The same measure selects models: ``fairness_scorer`` asks for the groups by itself when metadata
# routing is on, and ``best_under_constraint`` picks the most accurate candidate that is fair
# enough.

import sklearn
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from fairgroup.metrics import best_under_constraint, fairness_scorer

X = lending.data.iloc[:8000]
leaves = [2, 4, 6, 8, 12, 16, 24, 48]
text = X.select_dtypes(exclude="number").columns.tolist()
encode = make_column_transformer((OrdinalEncoder(), text), remainder="passthrough")
model = make_pipeline(encode, DecisionTreeClassifier(random_state=0))
with sklearn.config_context(enable_metadata_routing=True):
    search = GridSearchCV(
        model,
        {"decisiontreeclassifier__max_leaf_nodes": leaves},
        scoring={
            "accuracy": "accuracy",
            "parity": fairness_scorer("demographic_parity_difference"),
        },
        refit=best_under_constraint("accuracy", "parity", at_most=0.25),
        cv=3,
    ).fit(X, repaid.iloc[:8000], sensitive_features=people.iloc[:8000])

columns = ["mean_test_accuracy", "mean_test_parity"]
table = pd.DataFrame(search.cv_results_)[columns].round(3)
table.index = pd.Index(leaves, name="leaves")
table["chosen"] = np.arange(len(table)) == search.best_index_
table
