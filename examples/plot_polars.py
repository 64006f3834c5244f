"""
polars in, polars out
=====================

Any frame that narwhals knows goes in as it is: polars columns as features, as groups, as labels.
Nothing is converted by hand, and no row index can get lost on the way, because polars has none.
This example audits a model with polars from end to end, down to the table that the plot is made
of.
"""

# %%
# A lazy query, then a frame
# --------------------------
# The columns are chosen and made by polars. Age is cut into bands here, because an audit by group
# needs groups; :class:`~fairgroup.groups.SensitiveEncoder` takes it as a number.

import matplotlib.pyplot as plt
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.datasets import load_lending
from fairgroup.groups import MembershipEncoder, SensitiveColumns
from fairgroup.information import FrontierPostProcessor
from fairgroup.metrics import group_metrics

lending = load_lending()
table = (
    pl.LazyFrame({name: lending.frame[name].to_list() for name in lending.frame.columns})
    .with_columns(
        age=pl.when(pl.col("age") < 30)
        .then(pl.lit("18-29"))
        .when(pl.col("age") < 45)
        .then(pl.lit("30-44"))
        .when(pl.col("age") < 60)
        .then(pl.lit("45-59"))
        .otherwise(pl.lit("60+"))
    )
    .collect()
)
train, test = table.head(10_000), table.tail(10_000)
protected, numbers = ["sex", "age"], ["income", "debt_ratio", "late_payments", "loan_amount"]
table.select(protected).to_series(1).value_counts(sort=True)

# %%
# Groups in several ways
# ----------------------
# Encoders take polars, and hand polars back where that is asked for.

encoder = MembershipEncoder(everyone=True).set_output(transform="polars")
encoder.fit_transform(test.select(protected)).head(3)

# %%
# A model
# -------
# Protected columns and features lie in one polars frame; the first are taken out on the way in.

model = SensitiveColumns(
    make_pipeline(StandardScaler(), FrontierPostProcessor(LogisticRegression(), random_state=0)),
    protected,
    drop=True,
).fit(train.select(protected + numbers), train["repaid"])
unfair = make_pipeline(StandardScaler(), LogisticRegression())
unfair.fit(train.select(numbers), train["repaid"])
decided = test.with_columns(
    without=pl.Series(unfair.predict(test.select(numbers))),
    mitigated=pl.Series(model.predict(test.select(protected + numbers))),
)

# %%
# An audit
# --------
# Labels, predictions and groups are polars columns.

found = {}
for name in ("without", "mitigated"):
    metrics = group_metrics(
        decided["repaid"],
        decided[name],
        sensitive_features=decided.select(protected),
        metrics=["selection_rate"],
        n_bootstrap=1000,
        random_state=0,
    )
    flat = metrics.by_group.join(metrics.intervals.by_group["selection_rate"]).reset_index()
    found[name] = pl.from_pandas(flat).with_columns(model=pl.lit(name))
rates = pl.concat(found.values())
rates.head()

# %%
# The plot
# --------
# Young and old of both sexes, before and after. Where the intervals of two groups do not overlap
# the difference is no chance.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
for ax, (name, rows) in zip(axes, found.items(), strict=True):
    for place, (sex, of_sex) in enumerate(rows.sort("age").group_by("sex", maintain_order=True)):
        x = [i + 0.2 * place for i in range(len(of_sex))]
        low, high = of_sex["lower"], of_sex["upper"]
        rate = of_sex["selection_rate"]
        ax.errorbar(x, rate, yerr=[rate - low, high - rate], fmt="o", capsize=3, label=sex[0])
        ax.set_xticks([i + 0.1 for i in range(len(of_sex))], of_sex["age"].to_list())
    ax.set(title=name, xlabel="age")
axes[0].set_ylabel("share approved")
axes[0].legend()
