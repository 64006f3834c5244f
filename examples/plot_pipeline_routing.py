"""
Groups beside the table: a pipeline with metadata routing
=========================================================

Protected attributes often sit in a table of their own and must not become features. scikit-learn's
metadata routing carries them beside X: through a ``ColumnTransformer`` and every other step to the
one that asks for them. Our estimators ask by themselves, so that one switch is all it takes.

What reaches the last step is what gets mitigated, and nothing else: this example hands over the
same people described in four ways.
"""

# %%
# Features and people, apart
# --------------------------
# Loan applications from a simulator. The disadvantage lies in a combination of sex and ethnicity.

import matplotlib.pyplot as plt
import pandas as pd
import sklearn
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairgroup.datasets import load_lending
from fairgroup.information import FrontierPostProcessor
from fairgroup.metrics import fairness_scorer, group_metrics

sklearn.set_config(enable_metadata_routing=True)  # the switch

lending = load_lending()
people = lending.sensitive_features[["sex", "ethnicity"]]
features = lending.data.drop(columns=["sex", "ethnicity"])
X_train, X_test, y_train, y_test, people_train, people_test = train_test_split(
    features, lending.target, people, train_size=0.5, random_state=0
)

# %%
# One pipeline
# ------------
# No ``set_fit_request``: the last step asks for ``sensitive_features`` in ``fit`` and in
# ``predict``, and the pipeline takes them as an argument of its own.


def pipeline():
    columns = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    fair = FrontierPostProcessor(LogisticRegression(), epsilon_global=0.0005, random_state=0)
    return make_pipeline(columns, fair)


model = pipeline().fit(X_train, y_train, sensitive_features=people_train)
model

# %%
# In a notebook the fitted step shows under *Groups seen* who arrived, with the number of rows.
#
# Cross-validation
# ----------------
# ``params`` is split along with the rows, and reaches the estimator and the scorer. scikit-learn's
# own scorers would call ``predict(X)`` without groups and get an error; ours hand them on.

folds = cross_validate(
    pipeline(),
    X_train,
    y_train,
    params={"sensitive_features": people_train},
    scoring={
        "least accurate group": fairness_scorer("accuracy_group_min"),
        "difference": fairness_scorer("demographic_parity_difference"),
    },
    cv=5,
)
pd.DataFrame(folds).filter(like="test").abs().round(3)

# %%
# Who is handed over decides who is helped
# ----------------------------------------
# The same pipeline without mitigation, and with sex alone, ethnicity alone, and both handed over.
# All four are then judged by the combinations.

described = {
    "sex": ["sex"],
    "ethnicity": ["ethnicity"],
    "sex and ethnicity": ["sex", "ethnicity"],
}
plain = make_pipeline(pipeline()[0], LogisticRegression()).fit(X_train, y_train)
decisions = {"nothing (no mitigation)": plain.predict(X_test)}
for name, columns in described.items():
    fitted = pipeline().fit(X_train, y_train, sensitive_features=people_train[columns])
    decisions[name] = fitted.predict(X_test, sensitive_features=people_test[columns])

rates = pd.DataFrame(
    {
        name: group_metrics(
            y_test, y_pred, sensitive_features=people_test, metrics="selection_rate"
        ).by_group["selection_rate"]
        for name, y_pred in decisions.items()
    }
)
rates.index = [", ".join(labels) for labels in rates.index]

fig, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
markers = ["o", "s", "D", "^"]
for place, name in enumerate(rates):
    values = rates[name].sort_values()
    ax.hlines(place, values.min(), values.max(), color="lightgrey", lw=6)
    for group, marker in zip(rates.index, markers, strict=True):
        label = group if place == 0 else None
        color = f"C{list(rates.index).index(group)}"
        ax.plot(rates.loc[group, name], place, marker, color=color, label=label, ms=8)
    ax.annotate(
        f"{values.max() - values.min():.2f}",
        (values.max(), place),
        xytext=(10, 0),
        textcoords="offset points",
        va="center",
    )
ax.set_yticks(range(len(rates.columns)), rates.columns)
ax.invert_yaxis()
ax.set(xlabel="share approved", ylabel="handed over", title="Who is approved", xlim=(0.52, 0.92))
fig.legend(loc="outside lower center", ncols=2)

# %%
# With sex alone or ethnicity alone the largest difference (the figure beside each bar) stays what
# it was: each attribute looks fair on its own, so there is nothing to do. Only the combination
# closes it.

sklearn.set_config(enable_metadata_routing=False)
