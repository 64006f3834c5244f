"""Tables of how every group fares, from the running sums."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.online._core import GroupwiseCore
from fairgroup.online._scan_kernels import (
    EXPERT_LOSS,
    HINDSIGHT,
    LOSS,
    REGRET,
    ROWS,
    SIZE,
    SPECIALISTS,
)

__all__ = ["alarms", "group_report"]


def alarms(core: GroupwiseCore) -> NDArray[np.bool_]:
    """Groups whose regret to their own learner exceeds the bound (never where it is NaN)."""
    unit = 1.0 if core.rules.aggregator == SPECIALISTS else core.unit()
    return np.asarray(core.tally.groups[:, REGRET] * unit > core.bounds() + 1e-9)


def group_report(core: GroupwiseCore, names: list[str]) -> pd.DataFrame:
    """Report of all groups; columns as documented in ``GroupwiseRegressor.group_report``."""
    groups, unit = core.tally.groups, core.unit()
    loss, expert_loss = groups[:, LOSS] * unit, groups[:, EXPERT_LOSS] * unit
    known = core.bank.has_hindsight
    hindsight = groups[:, HINDSIGHT] * unit if known else np.full(len(names), np.nan)
    bound = core.bounds()
    learner_bound = core.bank.learner_bound() * (unit if known else 1.0)
    return pd.DataFrame(
        {
            "n": groups[:, ROWS].astype(np.int64),
            "size": groups[:, SIZE],
            "loss": loss,
            "expert_loss": expert_loss,
            "hindsight_ridge": hindsight,
            "expert_regret": loss - expert_loss,
            "bound": bound,
            "regret": loss - hindsight,
            "learner_bound": learner_bound,
            "regret_bound": bound + learner_bound,
            "alarm": alarms(core),
        },
        index=pd.Index(names, name="group"),
    )
