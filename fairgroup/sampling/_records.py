"""What a campaign remembers of each round, and the tables made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.sampling._responses import Observations, Responses

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

__all__ = ["Record", "history_frame", "observations_of_scores", "recommendation_frame"]


class Record:
    """One round: what was bought and scored, and what was asked for next.

    Parameters
    ----------
    n, bought : ndarray of int of shape (G,)
        Samples held, and those of this round.
    spent : float
        Cost of all samples.
    scores, errors : ndarray of shape (G,)
        Scores and their standard errors.
    utility, ede : float
        Utility of the scores and its equally distributed equivalent.
    """

    ARRAYS = ("n", "bought", "scores", "errors", "chance", "asked")
    NUMBERS = ("spent", "utility", "ede", "gain", "gain_error")

    def __init__(
        self,
        *,
        n: Ints,
        bought: Ints,
        spent: float,
        scores: Floats,
        errors: Floats,
        utility: float,
        ede: float,
    ) -> None:
        self.n, self.bought, self.spent = n, bought, spent
        self.scores, self.errors, self.utility, self.ede = scores, errors, utility, ede
        self.chance: Floats = np.full(len(n), np.nan)
        self.asked: Ints = np.zeros(len(n), dtype=np.int64)
        self.gain = self.gain_error = float("nan")


def history_frame(records: Sequence[Record], groups: Sequence[Any]) -> pd.DataFrame:
    """One row per round and group."""
    tables = [
        pd.DataFrame(
            {
                "round": i,
                "group": list(groups),
                "n": r.n,
                "bought": r.bought,
                "score": r.scores,
                "standard_error": r.errors,
                "probability_best": r.chance,
                "asked": r.asked,
                "spent": r.spent,
                "utility": r.utility,
                "ede": r.ede,
                "predicted_gain": r.gain,
                "predicted_gain_error": r.gain_error,
            }
        )
        for i, r in enumerate(records)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def recommendation_frame(
    records: Sequence[Record],
    groups: Sequence[Any],
    responses: Responses | None,
    counts: dict[Any, int],
) -> pd.DataFrame:
    """One row per group."""
    if not records:
        buy = {"buy": [counts.get(g, 0) for g in groups]}
        return pd.DataFrame(buy, index=pd.Index(range(len(groups)), name="group"))
    last = records[-1]
    known = responses is not None
    columns = {
        "group": list(groups),
        "n": last.n,
        "score": last.scores,
        "standard_error": last.errors,
        "slope": np.diag(responses.slopes()) if known and responses else np.nan,
        "slope_error": responses.error if responses else np.nan,
        "trusted": responses.trusted if responses else False,
        "buy": [counts.get(g, 0) for g in groups],
        "probability_best": last.chance,
    }
    return pd.DataFrame(columns).set_index("group")


def observations_of_scores(records: Sequence[Record]) -> Observations | None:
    """Scores told round by round as points of the curves; None before two rounds."""
    if len(records) < 2:
        return None
    n = np.array([r.n for r in records], dtype=np.float64)
    scores = np.array([r.scores for r in records])
    n_groups = n.shape[1]
    sizes, tables = [], []
    for g in range(n_groups):
        known = np.isfinite(scores[:, g]) & (n[:, g] > 0)
        table = np.full((1, int(known.sum()), n_groups), np.nan)
        table[0, :, g] = scores[known, g]
        sizes.append(n[known, g])
        tables.append(table)
    return Observations(sizes, tables)
