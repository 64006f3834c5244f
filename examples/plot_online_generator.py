"""
Learning from a generator, batch by batch
=========================================

Data that does not fit in memory, or does not exist yet, comes as a generator: of file chunks, of
database pages, of messages. An online learner takes each batch once, predicts it, learns it and
lets it go. What it keeps does not grow with the rows. This example follows a stream in which
the world changes for one group, and a group appears that nobody had announced.
"""

# %%
# A source that yields
# --------------------
# Loans arrive in batches of a few hundred. From batch 40 on, what is known about the small firms
# no longer says what it said. From batch 70 on, cooperatives apply for the first time.

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from fairgroup.online import GroupwiseClassifier

CHANGE, NEWCOMERS, BATCHES = 40, 70, 120


def batches(n_rows=250, seed=0):
    """Yield features, labels and groups; nothing else is ever held."""
    rng = np.random.default_rng(seed)
    for number in range(BATCHES):
        kinds = ["person", "small firm", "cooperative"]
        newcomers = 0.2 * (number >= NEWCOMERS)
        kind = rng.choice(kinds, n_rows, p=[0.75 - newcomers, 0.25, newcomers])
        region = rng.choice(["north", "south"], n_rows)
        X = rng.normal(size=(n_rows, 4))
        weights = np.where(
            (kind == "small firm")[:, None] & (number >= CHANGE),
            [-1.5, 1.0, 0.5, 0.0],
            [1.5, 1.0, 0.0, 0.5],
        )
        weights = np.where((kind == "cooperative")[:, None], [0.0, -2.0, 0.5, 0.5], weights)
        y = rng.random(n_rows) < 1 / (1 + np.exp(-(X * weights).sum(axis=1)))
        yield X, y.astype(int), pd.DataFrame({"kind": kind, "region": region})


# %%
# One pass
# --------
# ``progressive_predict`` predicts every row before its label is used, so that each error counts as
# an honest test. A stream has no end at which classes are known: they are named at the start.
# ``forgetting`` lets the past of each group fade with its own rows.


def follow(model, groups_known=True):
    """Errors by batch and kind, and the size of the model after every batch."""
    errors, kilobytes = [], []
    for X, y, groups in batches():
        known = {"sensitive_features": groups if groups_known else np.repeat("all", len(y))}
        predicted = model.progressive_predict(X, y, classes=[0, 1], **known)
        errors.append(pd.Series(predicted != y).groupby(groups["kind"]).mean())
        kilobytes.append(len(pickle.dumps(model)) / 1000)
    return pd.DataFrame(errors).reset_index(drop=True), kilobytes


by_group = GroupwiseClassifier(forgetting=0.998)
errors, kilobytes = follow(by_group)
errors_single, _ = follow(GroupwiseClassifier(forgetting=0.998), groups_known=False)

# %%
# What happened to whom
# ---------------------
# The thick lines know the groups, the thin ones treat everybody as one. Both see the same rows in
# the same order.

fig, (top, below) = plt.subplots(
    2, 1, figsize=(8, 6.2), sharex=True, height_ratios=[3, 1], layout="constrained"
)
for color, kind in enumerate(["person", "small firm", "cooperative"]):
    for table, width, what in ((errors, 2.5, "groups known"), (errors_single, 1, "one model")):
        line = table[kind].rolling(6, min_periods=1).mean().where(table[kind].notna())
        top.plot(line, color=f"C{color}", lw=width, label=f"{kind}, {what}")
for batch, text in ((CHANGE, "small firms change"), (NEWCOMERS, "cooperatives arrive")):
    top.axvline(batch, color="grey", ls=":")
    top.annotate(text, (batch, 0.63), xytext=(4, 0), textcoords="offset points")
top.set(
    ylabel="share of errors",
    ylim=(0.18, 0.67),
    title="Errors before learning, mean of six batches",
)
below.plot(kilobytes, color="black")
below.set(xlabel="batch", ylabel="model in kB", ylim=(0, 80))
fig.legend(ncols=3, loc="outside lower center")

# %%
# The one model averages: it never learns the small firms again, whose rows are outvoted by the
# others', and loses on the people while it tries. With groups, the small firms' own learner turns
# round within a dozen batches, the people do not notice, and the newcomers start a learner when
# they appear. The model grows by that learner and by nothing else.
#
# The model's own account, at the end: rows and loss of each group.

by_group.group_report()[["n", "loss", "expert_loss"]].round(1)
