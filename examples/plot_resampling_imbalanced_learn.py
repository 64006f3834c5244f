"""
Resampled rows and their groups: imbalanced-learn
=================================================

imbalanced-learn's samplers change the number of rows in the middle of a pipeline. Groups that
travel beside X do not follow: after the sampler there are more rows than groups. Groups that
travel *in* X do, and :class:`~fairgroup.groups.SensitiveColumns` behind the sampler takes them
out again for the estimator.

That solves the error, not the question: a mitigation behind a sampler makes people equal who do
not exist. The last plot shows where to put it.
"""

# %%
# Rare events
# -----------
# From the simulated loan applications we keep one default in eight. For the women of the
# minority, who default more often, and the men of the minority, who hardly do, "rare" means
# different things.

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from fairlearn.postprocessing import ThresholdOptimizer
from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler
from imblearn.pipeline import make_pipeline
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fairgroup.datasets import load_lending
from fairgroup.groups import SensitiveColumns
from fairgroup.information import FrontierPostProcessor
from fairgroup.metrics import group_metrics

lending = load_lending()
defaulted = 1 - lending.target
kept = (defaulted == 0) | (np.random.default_rng(0).random(len(defaulted)) < 1 / 8)
protected = ["sex", "ethnicity"]
numbers = ["income", "debt_ratio", "history_years", "late_payments", "loan_amount"]
X, X_test, y, y_test = train_test_split(
    lending.data.loc[kept, [*protected, *numbers]], defaulted[kept], train_size=0.6, random_state=0
)
y.groupby([X["sex"], X["ethnicity"]]).agg(["size", "mean"]).round(3)

# %%
# Beside X, groups stay behind
# ----------------------------
# Routing hands the groups of the original rows to the last step, which sees more rows than that.

beside = make_pipeline(RandomOverSampler(random_state=0), FrontierPostProcessor())
with sklearn.config_context(enable_metadata_routing=True):
    try:
        beside.fit(X[numbers], y, sensitive_features=X[protected])
    except ValueError as error:
        print(error)

# %%
# In X, they follow
# -----------------
# ``SMOTENC`` invents new rows between neighbours and takes the protected columns for what they
# are, categories. ``SensitiveColumns`` stands after the sampler. At prediction nothing is
# resampled, and the groups come out of X in the same way. The mitigation is fairlearn's
# ``ThresholdOptimizer``, a threshold per group.


def thresholds(model, objective):
    equal = ThresholdOptimizer(
        estimator=model, objective=objective, predict_method="predict_proba"
    )
    return SensitiveColumns(equal, protected, drop=True)


columns = make_column_transformer(
    ("passthrough", protected), (StandardScaler(), numbers), verbose_feature_names_out=False
).set_output(transform="pandas")
inside = make_pipeline(
    columns,
    SMOTENC(categorical_features=protected, random_state=0),
    thresholds(LogisticRegression(), "accuracy_score"),
).fit(X, y)
inside

# %%
# Which rows are made equal
# -------------------------
# Behind the sampler, the thresholds see invented people, and make the *resampled* groups equal.
# With the sampler inside the model whose scores they cut, they see the real ones, and no group has
# to follow anything. What counts then is balanced accuracy: among the real rows, accuracy would be
# best served by flagging nobody.

logistic = make_pipeline(SMOTE(random_state=0), StandardScaler(), LogisticRegression())
outside = thresholds(logistic, "balanced_accuracy_score").fit(X, y)
plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[numbers], y)
decisions = {
    "as it is": plain.predict(X_test[numbers]),
    "resampled": logistic.fit(X[numbers], y).predict(X_test[numbers]),
    "mitigated behind the sampler": inside.predict(X_test, random_state=0),
    "mitigated around the sampler": outside.predict(X_test, random_state=0),
}

fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
for place, y_pred in enumerate(decisions.values()):
    measured = group_metrics(
        y_test,
        y_pred,
        sensitive_features=X_test[protected],
        metrics=["true_positive_rate", "selection_rate"],
        n_bootstrap=500,
        random_state=0,
    )
    low_high = measured.intervals.by_group
    for ax, metric in zip(axes, ("true_positive_rate", "selection_rate"), strict=True):
        for shift, (group, value) in enumerate(measured.by_group[metric].items()):
            y_at = place + 0.14 * (shift - 1.5)
            low, high = low_high.loc[group, metric]
            label = ", ".join(group) if place == 0 and ax is axes[0] else None
            ax.plot([low, high], [y_at, y_at], color=f"C{shift}", lw=2)
            ax.plot(value, y_at, "o", color=f"C{shift}", label=label)
axes[0].set_yticks(range(len(decisions)), decisions)
axes[0].invert_yaxis()
axes[0].set(title="Defaults that are found", xlabel="true positive rate")
axes[1].set(title="People who are flagged", xlabel="selection rate")
fig.legend(loc="outside lower center", ncols=4)

# %%
# As it is, the model finds next to nothing. Resampling finds three of four defaults, and flags the
# groups unequally. Behind the sampler the mitigation turns the order round: the men of the
# minority, who default least, are flagged most. Among the resampled rows the four rates are equal;
# in the real table, where many of the others' flagged rows do not exist, they are not. Around the
# sampler they are equal where it counts, up to chance.
#
# Equal rates for groups whose risks differ are a choice. It is made by asking for demographic
# parity, and not by a sampler.
