"""
A gap that no single attribute shows
====================================

The embedded lending sample looks fair when women are compared with men, and when the minority is
compared with the majority. Only the four groups that both attributes make together show who is
refused. Because the data are simulated, the measured rates can be put next to the exact ones.
"""

# %%
# The bank's past decisions, by one attribute and by both. The exact differences are part of what
# the loader returns: zero for sex and for ethnicity, 0.45 between the groups of both.

import matplotlib.pyplot as plt
import numpy as np

from fairgroup.datasets import load_lending

lending = load_lending()
people = lending.sensitive_features
approved = lending.approval_score >= 0.5
lending.true_gaps.round(3)

# %%
# What people repay differs between the groups too, but less. The bank refused women of the
# minority more often than their repayment explains, and was more generous to men of the minority
# than theirs does.

one = [approved.groupby(people[name], observed=True).mean() for name in ("sex", "ethnicity")]
groups = [people["ethnicity"], people["sex"]]
both = approved.groupby(groups, observed=True).mean()
repaid = lending.target.groupby(groups, observed=True).mean()
exact = lending.true_rates["repayment"].reorder_levels(["ethnicity", "sex"]).loc[both.index]

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
names = [*one[0].index, *one[1].index, *(f"{sex},\n{ethnicity}" for ethnicity, sex in both.index)]
place = np.array([0, 1, 2.6, 3.6, 5.2, 6.2, 7.8, 8.8])
colours = ["0.75"] * 4 + ["tab:blue"] * 2 + ["tab:orange"] * 2
left.bar(place, [*one[0], *one[1], *both], color=colours)
left.plot(place[4:], repaid, "ko", label="repaid, measured")
left.plot(place[4:], exact, "_", color="tab:red", markersize=22, label="repaid, exact")
left.set_xticks(place, names, rotation=60, ha="right")
left.set_ylabel("share of the group")
left.set_ylim(0, 1.15)
left.set_title("Bars: approved by the bank in the past")
left.legend(loc="upper left", fontsize="small")

# %%
# Age acts continuously. Cut into two age groups it would look like a step, and there is none.

bins = people["age"] // 2.5 * 2.5 + 1.25
by_age = lending.frame.assign(p=lending.true_probability).groupby(bins)
table = by_age.agg(repaid=("repaid", "mean"), p=("p", "mean"), n=("p", "size"))
table = table[table["n"] > 100]
right.plot(table.index, table["repaid"], "o", color="0.5", label="repaid, bins of 2.5 years")
right.plot(table.index, table["p"], "k", label="mean true probability")
right.set_xlabel("age in years")
right.set_ylabel("share of the age")
right.set_title("Repaid, by age")
right.legend(loc="lower right", fontsize="small")
plt.show()
