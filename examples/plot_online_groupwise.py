"""
Good for every group at once, on a stream
=========================================

Insurance-like costs arrive one person at a time. The groups overlap (a person is a woman, and a
smoker, and old), and each has its own best model. One model for everybody, even when it knows
the groups as features, is far from the best model of some groups. A groupwise regressor keeps a
learner per group and comes near all of them at once, with a bound that holds for every sequence
of people.
"""

# %%
# A stream in which being a smoker changes the *slope* of age, not only the level, so that no
# single linear model fits everybody. Halfway through, more young people begin to arrive.
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
n = 6000
late = np.arange(n) >= n // 2
people = pd.DataFrame(
    {
        "sex": rng.choice(["female", "male"], n),
        "smoker": np.where(rng.random(n) < 0.2, "yes", "no"),
    }
)
age = np.where(late, rng.beta(1.5, 4, n), rng.uniform(0, 1, n))
people["age"] = pd.cut(age, [-1, 0.35, 0.65, 2], labels=["young", "middle", "old"]).astype(str)
smoker = (people["smoker"] == "yes").to_numpy()
woman = (people["sex"] == "female").to_numpy()
weight = rng.beta(2, 2, n)
cost = np.where(smoker, 0.25 + 0.6 * age * weight, 0.05 + 0.35 * age - 0.1 * woman * weight)
cost = np.clip(cost + 0.04 * rng.normal(size=n), 0, 1)
X = np.column_stack([age, weight, smoker, woman, np.ones(n)])

# %%
# Both learners predict each person before they see the cost.
import warnings

from fairgroup.exceptions import FairnessWarning
from fairgroup.online import GroupRegretDisplay, GroupwiseRegressor, groupwise_regret

groupwise = GroupwiseRegressor(y_range=(0, 1))
ours = groupwise.progressive_predict(X, cost, sensitive_features=people)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FairnessWarning)  # no groups, on purpose
    single = GroupwiseRegressor(y_range=(0, 1)).progressive_predict(X, cost)

# %%
# The report of the running model: loss, the loss of each group's own learner, the best model in
# hindsight, and the bounds. A regret below zero means that the mixture beats every single linear
# model for that group.
groupwise.group_report().round(2).drop(columns=["size", "learner_bound", "regret_bound"])

# %%
# The regret to the best linear model of each group. The single model falls behind further with
# every smoker; the groupwise model stays near zero or goes below.
GroupRegretDisplay.from_predictions(
    cost,
    {"one model for everybody": single, "groupwise": ours},
    X=X,
    sensitive_features=people,
    groups=["everyone", "smoker=yes", "smoker=no", "age=young", "sex=female", "age=old"],
)

# %%
# What the guarantee is about: the loss beyond each group's own learner. The dashed bound grows
# with the differences between learners that were really seen, and the regret is far below it.
GroupRegretDisplay.from_estimator(groupwise, groups=["everyone", "smoker=yes", "sex=female"])

# %%
# In figures, for both.
table = pd.DataFrame(
    {
        name: groupwise_regret(cost, played, X=X, sensitive_features=people)["regret"]
        for name, played in {"one model": single, "groupwise": ours}.items()
    }
)
table.round(2)
