"""
A fitted tree model, made fairer at prediction time
===================================================

A firm screens applicants with a tree model that was trained on past decisions, in which women
needed a better test than men. The model may not be retrained. :class:`.FairTTTS` changes what it
does with a person at the splits that go against her group, and says which splits these are and
whose decisions change. :class:`.FairTTTSCV` chooses how much of that is needed, on people that the
model has not seen.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.tree import DecisionTreeClassifier

from fairgroup.exceptions import FairnessWarning
from fairgroup.metrics import group_metrics
from fairgroup.postprocessing import FairTTTS, FairTTTSCV, FairTTTSDisplay

rng = np.random.default_rng(0)
n = 9000
sex = pd.Series(np.where(rng.random(n) < 0.4, "female", "male"), name="sex")
X = pd.DataFrame(
    {
        "test": rng.normal(size=n),
        "experience": rng.gamma(2.0, 4.0, size=n),
        "female": (sex == "female") * 1,
    }
)
score = X["test"] + 0.08 * (X["experience"] - 8) - 0.8 * X["female"] + 0.6 * rng.normal(size=n)
y = (score > 0).astype(int)
train, validation, test = slice(0, 3000), slice(3000, 6000), slice(6000, n)

# %%
# Which decisions are softened
# ----------------------------
# One tree first, because it can be drawn. Red nodes split on sex; the arrow shows where a woman
# who is sent to the less favourable child is led with the amplified probability. Lines are as wide
# as the number of people who take them.

tree = DecisionTreeClassifier(max_depth=5, min_samples_leaf=40, random_state=0)
single = FairTTTS(
    tree, protected_inputs="female", unprivileged="female", heuristic="fixed", scope="protected"
).fit(X[train], y[train], sensitive_features=sex[train])
FairTTTSDisplay.from_estimator(single, X[test], sensitive_features=sex[test])

# %%
# The same as tables: people per node and group, and decisions per group and direction.

told = single.explain(X[test], sensitive_features=sex[test])
print(told.nodes.drop(columns="tree").round(3).to_string())
print(told.decisions.to_string())

# %%
# How much is needed
# ------------------
# A forest that is already fitted comes in a ``FrozenEstimator``. The rates of both groups are
# known at every strength from one pass, so the curves are exact on the validation rows. Dotted
# lines are the strengths that were chosen: the most accurate with a gap of at most 0.05.

forest = RandomForestClassifier(100, max_depth=8, random_state=0).fit(X[train], y[train])
with warnings.catch_warnings():
    warnings.simplefilter("ignore", FairnessWarning)  # the last line printed below says it too
    chosen = FairTTTSCV(
        FrozenEstimator(forest),
        protected_inputs="female",
        unprivileged="female",
        constraint="demographic_parity",
        tol=0.05,
        scope="protected",
        random_state=0,
    ).fit(X[validation], y[validation], sensitive_features=sex[validation])

figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for number, (name, path) in enumerate(chosen.path_.groupby("group", sort=False)):
    at, rates = path["strength"].to_numpy(), path["selection_rate"].to_numpy()
    (line,) = ax.step([*at, 1.0], [*rates, rates[-1]], where="post", label=name)
    ax.axvline(chosen.strengths_.iloc[number], color=line.get_color(), ls=":")
ax.set(xlabel="strength", ylabel="invited (validation rows)", ylim=(0, None))
ax.legend()
low, high = chosen.gap_interval_
print(f"gap {chosen.gap_before_:.3f} -> {chosen.gap_:.3f}, interval {low:.3f} to {high:.3f}")
print(f"accuracy {chosen.accuracy_before_:.3f} -> {chosen.accuracy_:.3f}")
print(f"the rows can show that the gap is at most 0.05: {chosen.certified_}")

# %%
# What it does to people it has not seen
# --------------------------------------
# Accuracy is measured on the past decisions, which the firm no longer wants to repeat.

decisions = {
    "forest": forest.predict(X[test]),
    "forest with FairTTTSCV": chosen.predict(X[test], sensitive_features=sex[test]),
}
for name, decided in decisions.items():
    report = group_metrics(
        y[test],
        decided,
        sensitive_features=sex[test],
        metrics=["accuracy", "selection_rate", "true_positive_rate"],
    )
    print(name, report.by_group.round(3), sep="\n")
plt.show()
