"""
Each client looks fair, the whole does not: where does a disparity come from?
==============================================================================

A pooled audit and an audit of every site can disagree in both directions. The decomposition of
Hamman and Dutta (ICLR 2024) says why, from counts alone: *unique* disparity is seen by both,
*redundant* disparity only in the pooled population, *masked* disparity only inside the sites.
"""

# %%
# Three pure cases
# ----------------
# Four clients, two groups. In the first case group "b" gets the good decision more often
# everywhere. In the second, decisions depend on the client only, and group "b" lives where
# decisions are generous. In the third, clients favour different groups, which cancels.

import matplotlib.pyplot as plt

from fairgroup.datasets import load_lending, make_client_disparity
from fairgroup.information import DisparityDecomposition, DisparityDecompositionDisplay

figure, axes = plt.subplots(1, 3, figsize=(13, 4), sharey=True, layout="constrained")
strengths = {"unique": 0.4, "redundant": 0.8, "masked": 0.4}
for ax, (kind, strength) in zip(axes, strengths.items(), strict=True):
    clients = make_client_disparity(20_000, kind=kind, strength=strength, random_state=0)
    audit = DisparityDecomposition(n_bootstrap=1000, random_state=0).fit(
        clients.target,
        sensitive_features=clients.sensitive_features,
        clients=clients.clients,
    )
    DisparityDecompositionDisplay.from_estimator(audit, ax=ax)
    ax.set_title(f'make_client_disparity(kind="{kind}")')
    ax.legend_.remove()
axes[1].set_ylabel("")
axes[2].set_ylabel("")
plt.show()

# %%
# In the second panel an audit of any single client finds nothing, in the third one of the whole
# finds nothing. The lines are 95 % intervals of the bar's height: a bootstrap sample of the rows
# is one multinomial draw of the table, and all draws are decomposed in one batch.

# %%
# A bank's districts
# ------------------
# The lending sample has eight districts with different shares of the ethnic minority. Are past
# approvals unequal because of what happens inside the districts?

lending = load_lending(target="approved")
audit = DisparityDecomposition(n_bootstrap=2000, random_state=0).fit(
    lending.target,
    sensitive_features=lending.sensitive_features[["sex", "ethnicity"]],
    clients=lending.data["district"],
)
print(audit.explain())
audit.plot()
plt.show()

# %%
# Four intersecting groups need the certified interior point method (the closed form is for two
# groups); the remaining uncertainty of the optimisation is far below that of the sample:

print(f"duality gap {audit.duality_gap_:.1e} bits, standard errors:")
print(audit.summary()["standard_error"].round(5))

# %%
# In the unit that practitioners use
# ----------------------------------
# For two groups the same split exists for the difference of decision rates. Here only women are
# compared with men. Women and men are approved equally often in the whole bank, so a pooled audit
# by sex finds nothing; but inside the districts they are not, in both directions: it is masked.

by_sex = DisparityDecomposition(n_bootstrap=2000, random_state=0).fit(
    lending.target,
    sensitive_features=lending.sensitive_features["sex"],
    clients=lending.data["district"],
)
print(by_sex.summary().filter(like="parity", axis=0)[["estimate", "lower", "upper"]].round(4))

# %%
# Another second source
# ---------------------
# With the true label in the place of the client, "local" is the disparity among people with the
# same label: equalized odds. What is redundant there is a difference of decisions that the
# difference of labels tells as well.

repaid = load_lending().target
odds = DisparityDecomposition(n_bootstrap=2000, random_state=0).fit(
    lending.target,
    sensitive_features=lending.sensitive_features[["sex", "ethnicity"]],
    given=repaid,
)
print(odds.summary()[["estimate", "lower", "upper"]].round(4))
