"""Which nodes act, on whom, and what becomes of the decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.groups import GroupCodes
from fairgroup.postprocessing._kernels import LEFT, Settings, acting_counts
from fairgroup.postprocessing._rules import FlipRules, as_nodes
from fairgroup.postprocessing._trees import TreeEnsemble

__all__ = ["FairTTTSExplanation", "NodeCounts", "count_acting", "explain"]

Array = NDArray[Any]
OUTSIDE = "(in no group)"


class NodeCounts(NamedTuple):
    """People per node and group; the last column is for rows in no group."""

    arrive: Array
    act: Array
    flips: Array


@dataclass(eq=False)
class FairTTTSExplanation:
    """What FairTTTS does to a set of people.

    Parameters
    ----------
    nodes : DataFrame
        One row per node that acts on somebody: tree, node, input, threshold, the child that is
        less favourable, people on whom it acts (in total and per group) and their mean probability
        of taking the other branch. People are counted on the path that the model itself takes.
    decisions : DataFrame
        One row per group and one for all: people, decisions that become favourable, that become
        unfavourable, and unchanged ones. For a regressor: predictions that rise and fall.
    counts : NodeCounts
        People who arrive at, and are acted on in, every node of ``trees_``, per group.
    group_names : tuple of str
        Names of the groups.
    input_names : list of str
        Names of the tree's inputs.
    """

    nodes: pd.DataFrame
    decisions: pd.DataFrame
    counts: NodeCounts = field(repr=False)
    group_names: tuple[str, ...] = ()
    input_names: Sequence[str] = field(default=(), repr=False)


def count_acting(
    trees: TreeEnsemble,
    rules: FlipRules,
    inputs: Array,
    boost: Array,
    settings: Settings,
    codes: Array | None = None,
    n_groups: int = 1,
) -> NodeCounts:
    """Count, per node and group, who arrives and whose decision is amplified."""
    codes = np.zeros(len(inputs), np.int64) if codes is None else codes.astype(np.int64)
    shape = (len(trees.left), n_groups + 1)
    counts = NodeCounts(np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape))
    codes = np.where(codes < 0, n_groups, codes)
    nodes = as_nodes(trees, rules, np.float64)
    acting_counts(inputs, nodes, trees.bounds, boost, settings, codes, *counts)
    return counts


def explain(
    trees: TreeEnsemble,
    rules: FlipRules,
    inputs: Array,
    boost: Array,
    settings: Settings,
    groups: GroupCodes,
    before: Array,
    after: Array,
    *,
    input_names: Sequence[str],
) -> FairTTTSExplanation:
    """Build the tables; ``before`` and ``after`` are larger where the outcome is favourable."""
    counts = count_acting(trees, rules, inputs, boost, settings, groups.codes, groups.n_groups)
    nodes = _node_table(trees, rules, counts, groups, input_names)
    decisions = _decision_table(groups, after - before)
    return FairTTTSExplanation(nodes, decisions, counts, groups.names, list(input_names))


def _node_table(
    trees: TreeEnsemble,
    rules: FlipRules,
    counts: NodeCounts,
    groups: GroupCodes,
    input_names: Sequence[str],
) -> pd.DataFrame:
    acting = np.flatnonzero(counts.act.sum(axis=1) > 0)
    people = counts.act[acting].sum(axis=1)
    table = pd.DataFrame(
        {
            "tree": trees.tree_of[acting],
            "node": acting - trees.bounds[trees.tree_of[acting]],
            "input": [input_names[f] for f in trees.feature[acting]],
            "threshold": trees.threshold[acting],
            "worse_side": np.where(rules.side[acting] == LEFT, "left", "right"),
            "people": people,
            "probability": counts.flips[acting].sum(axis=1) / people,
        }
    )
    for g, name in enumerate(groups.names):
        table[f"people: {name}"] = counts.act[acting, g]
    return table.sort_values("people", ascending=False, kind="stable", ignore_index=True)


def _decision_table(groups: GroupCodes, change: Array) -> pd.DataFrame:
    """Count who is moved in which direction."""
    rows = {name: groups.codes == g for g, name in enumerate(groups.names)}
    outside = groups.codes < 0
    if outside.any():
        rows[OUTSIDE] = outside
    rows["(all)"] = np.ones(len(change), bool)
    return pd.DataFrame(
        {
            name: {
                "people": int(inside.sum()),
                "to_favourable": int((change[inside] > 0).sum()),
                "to_unfavourable": int((change[inside] < 0).sum()),
                "unchanged": int((change[inside] == 0).sum()),
            }
            for name, inside in rows.items()
        }
    ).T.rename_axis("group")
