"""
Whose data to collect next
==========================

A budget for new labels is spent in two ways: by equal numbers, and by asking after every batch
which group would gain most. Three groups learn at different speeds, and samples of the third cost
twice as much.
"""

# %%
# Three groups with a model each
# ------------------------------
# The groups have 10, 40 and 80 relevant features and more and more noise.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge

from fairgroup.sampling import (
    AdaptiveGroupSampler,
    AllocationDisplay,
    SamplingDisplay,
    allocate_budget,
)

rng = np.random.default_rng(1)
names, n = np.array(["A", "B", "C"]), 2500
group = np.repeat(names, n)
X = rng.normal(size=(3 * n, 80))
y = np.empty(3 * n)
for g, (features, noise) in enumerate([(10, 0.5), (40, 1.0), (80, 2.0)]):
    rows = slice(g * n, (g + 1) * n)
    X[rows, features:] = 0
    beta = rng.normal(size=80) / np.sqrt(features)
    y[rows] = X[rows] @ beta + np.sqrt(noise) * rng.normal(size=n)
test = np.arange(3 * n) % 5 == 0
costs = {"A": 1, "B": 1, "C": 2}

# %%
# In the middle of a campaign
# ---------------------------
# `start`, `ask` and `tell` drive a campaign by hand. Here we stop after the pilot and two batches
# and look at the recommendation: how much of each group, and how sure it is that this group is the
# best one to buy from.

settings = {"budget": 1200, "costs": costs, "pooled": False, "batch": 100, "random_state": 0}
pilot = {"A": 40, "B": 80, "C": 160}
pool = {name: list(np.flatnonzero((group == name) & ~test)) for name in names}
campaign = AdaptiveGroupSampler(Ridge(fit_intercept=False), pilot=pilot, rho=1.0, **settings)
campaign.start(names, X_val=X[test], y_val=y[test], sensitive_features_val=group[test])


def collect(counts):
    """What somebody in the field would do."""
    rows = [pool[name].pop() for name, k in counts.items() for _ in range(k)]
    return X[rows], y[rows], group[rows]


for _ in range(3):
    X_new, y_new, group_new = collect(campaign.ask())
    campaign.tell(X_new, y_new, sensitive_features=group_new)
print(campaign.recommendation_.round(4).to_string())

# %%
# The score of each group so far, and the forecast for the rest of the budget, with a 90 % band for
# the slope. C is far from its end, A has little left to learn.

display = SamplingDisplay.from_estimator(campaign)
display.figure_.suptitle("After two batches")

# %%
# What would a plan for the whole budget look like? The estimated curves go into
# `allocate_budget`, which is exact for known curves. The number beside a dot is what another 1000
# units of cost would add to the utility: at the optimum it is the same for all groups, unless a
# group already has more than it should.

prices = [costs[name] for name in names]
plan = allocate_budget(campaign.curves_, prices, 1200, rho=1.0, lower=campaign.n_per_group_)
AllocationDisplay.from_predictions(plan, group_names=names.tolist())

# %%
# To the end
# ----------
# The rest of the campaign, and equal numbers and the worst-group objective beside it. Scores are
# those of the final models on the validation rows, which all three saw alike.

while counts := campaign.ask():
    X_new, y_new, group_new = collect(counts)
    campaign.tell(X_new, y_new, sensitive_features=group_new)
runs = {"logarithmic (rho = 1)": campaign}
for title, options in (("worst group", {"rho": np.inf}), ("equal numbers", {"strategy": "equal"})):
    runs[title] = AdaptiveGroupSampler(
        Ridge(fit_intercept=False), pilot=pilot, **options, **settings
    ).fit(
        X[~test],
        y[~test],
        sensitive_features=group[~test],
        X_val=X[test],
        y_val=y[test],
        sensitive_features_val=group[test],
    )

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
width = 0.25
for i, (title, run) in enumerate(runs.items()):
    at = np.arange(3) + (i - 1) * width
    left.bar(at, run.n_per_group_, width, label=title)
    right.bar(at, run.scores_, width)
    print(f"{title:22s} n = {run.n_per_group_}, R2 = {run.scores_.round(3)}")
left.set(ylabel="samples bought")
right.set(ylabel="R2")
for ax in (left, right):
    ax.set_xticks(range(3), names)
left.legend(frameon=False)

# %%
# Equal numbers waste money on A. The logarithmic utility takes from A and gives to C, at no loss
# for the sum; the worst-group objective goes further, until A and B pay for it.

plt.show()
