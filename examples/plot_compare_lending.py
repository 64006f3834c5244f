"""
Which mitigation, and at what price?
====================================

The main job in one call: fit the unmitigated model and several mitigations on the same folds,
measure accuracy and unfairness with intervals, and look at the trade-off.

The lending sample was built to deceive: women and men are approved alike, the two ethnic groups
are approved alike, and yet one combination of the two is at a disadvantage. An audit of one
attribute at a time sees nothing.
"""

# %%
# Data
# ----
# Twenty thousand loan applications from a simulator, so that the truth is known.

import fairgroup
from fairgroup.datasets import load_lending

lending = load_lending()
people = lending.sensitive_features[["sex", "ethnicity"]]
people.value_counts()

# %%
# Comparison
# ----------
# Without ``estimators=`` the methods that can do the task take part, each with several settings,
# all on the same base model and the same folds.

comparison = fairgroup.compare(
    lending.data,
    lending.target,
    sensitive_features=people,
    methods=["threshold optimizer", "exponentiated gradient", "correlation remover"],
    cv=3,
    random_state=0,
    verbose=False,
)
comparison.table[[*comparison.metrics]].round(3)

# %%
# The columns ``demographic_parity_difference[sex]`` and ``[ethnicity]`` are the single-attribute
# views: both near zero for the unmitigated model, while the difference over the combinations is
# about 0.3.

comparison.audit().plot(["selection_rate", "true_positive_rate"])

# %%
# Trade-off
# ---------
# The grey band joins the settings that no other setting beats in both directions. The star is the
# unmitigated model. A constant prediction treats everybody alike and is worth nothing: it marks
# the accuracy that needs no model at all.

comparison.plot()

# %%
# Choice
# ------
# ``best`` takes the most accurate candidate that keeps the bound, and fits it on all rows. The
# folds that chose it are optimistic about it: confirm the choice on rows that took no part.

model = comparison.best(max_unfairness=0.06)
print(comparison.choose(max_unfairness=0.06))
approved = model.predict(lending.data, sensitive_features=people)
print(f"approved: {approved.mean():.3f}")
