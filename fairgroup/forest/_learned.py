"""What a forest on a stream can be asked: learned arrays and running numbers as attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fairgroup.forest._running import (
    accuracy_of,
    loss_of,
    parity,
    parity_band,
    rates_of,
    soft_rates_of,
)
from fairgroup.forest._state import (
    DEMOGRAPHIC_PARITY,
    NODE,
    ROWS,
    SNAPSHOTS,
    STEPS,
    Rules,
    State,
    Tally,
    leaf_view,
    node_view,
    tally_views,
)

if TYPE_CHECKING:
    from fairgroup.groups import GroupEncoder

__all__ = ["LearnedNumbers"]

Floats = NDArray[np.float64]


class LearnedNumbers:
    """Fitted attributes, read from the state."""

    _rules: Rules
    _state: State
    encoder_: GroupEncoder | None

    # ---- learned arrays, live ------------------------------------------------------------

    def _need_state(self, name: str) -> State:
        if not hasattr(self, "_state"):
            raise AttributeError(f"{name} is there once the model has been fitted.")
        return self._state

    @property
    def coef_(self) -> Floats:
        """Weights of the nodes, shape (n_estimators, n_nodes, n_features); live, writable."""
        return node_view(self._need_state("coef_").theta, self._rules)[..., :-1]

    @property
    def intercept_(self) -> Floats:
        """Biases of the nodes, shape (n_estimators, n_nodes); live, writable."""
        return node_view(self._need_state("intercept_").theta, self._rules)[..., -1]

    @property
    def _leaves(self) -> Floats:
        return leaf_view(self._need_state("The leaves").theta, self._rules)

    @property
    def fairness_weight_(self) -> float:
        """Weight of the fairness term now; moves under ``max_unfairness``."""
        return float(self._need_state("fairness_weight_").weight[0])

    @property
    def groups_(self) -> tuple[str, ...]:
        """Names of the groups, in the order of all arrays."""
        self._need_state("groups_")
        labels = [] if self.encoder_ is None else list(self.encoder_.labels_)
        columns = () if self.encoder_ is None else self.encoder_.columns_
        return tuple(
            ", ".join(f"{column}={level}" for column, level in zip(columns, label, strict=True))
            for label in labels
        )

    # ---- statistics of the fairness term ---------------------------------------------------

    @property
    def t_(self) -> int:
        """Decisions taken."""
        return int(self._need_state("t_").tally[ROWS])

    @property
    def n_updates_(self) -> int:
        """Steps of the optimiser."""
        return int(self._need_state("n_updates_").counters[STEPS])

    @property
    def group_counts_(self) -> NDArray[np.int64]:
        """Rows in the fairness statistics, shape (n_strata, n_groups)."""
        return self._need_state("group_counts_").rows.astype(np.int64)

    @property
    def output_mean_(self) -> Floats:
        """Running mean of the outputs, (n_strata, n_groups, n_outputs), stale on purpose."""
        return self._need_state("output_mean_").output_mean

    @property
    def node_mean_(self) -> Floats:
        """Running mean of the node outputs, (n_strata, n_groups, n_estimators, n_nodes)."""
        shape = (*self._node_state().rows.shape, self._rules.n_trees, self._rules.n_nodes)
        return self._state.node_mean.reshape(shape)

    @property
    def node_grad_mean_(self) -> Floats:
        """Running mean of the node outputs' gradients by weights and bias, with d + 1 behind."""
        shape = self._node_state().rows.shape
        rules, stored = self._rules, self._state.grad_mean[:, :, 0]
        table = stored.reshape(*shape, rules.n_features + 1, rules.n_trees, rules.n_nodes)
        return np.moveaxis(table, 2, -1)

    @property
    def node_gap_(self) -> Floats:
        """Second group's mean node output minus the first one's, (n_estimators, n_nodes).

        For two groups and one stratum.
        """
        mean = self.node_mean_
        if mean.shape[:2] != (1, 2):
            raise AttributeError(
                f"node_gap_ is for two groups and one stratum, not {mean.shape[1]} and "
                f"{mean.shape[0]}; see node_mean_."
            )
        return mean[0, 1] - mean[0, 0]

    def _node_state(self) -> State:
        state = self._need_state("node_mean_")
        if self._rules.level != NODE or not self._rules.fair:
            raise AttributeError('Node statistics are kept under level="node" with a constraint.')
        return state

    # ---- decisions so far -----------------------------------------------------------------

    def _tally(self) -> Tally:
        state = self._need_state("A running number")
        return tally_views(state.tally, self._rules.n_groups, self._rules.n_classes)

    @property
    def running_loss_(self) -> float:
        """Mean loss of the decisions whose label is known: cross-entropy, or squared error."""
        return float(loss_of(self._tally()))

    @property
    def running_dp_difference_(self) -> float:
        """Largest difference between groups of the rate of a class (or of the mean prediction),
        over all decisions so far; NaN until two groups have occurred.
        """
        return float(parity(rates_of(self._tally(), DEMOGRAPHIC_PARITY)))

    @property
    def running_parity_(self) -> float:
        """Like ``running_dp_difference_``, in the notion of ``constraint``.

        Under "equal_opportunity" of the true positive rate, under "equalized_odds" of the rates
        given each label.
        """
        tally = self._tally()
        return float(parity(rates_of(tally, self._rules.notion)))

    @property
    def running_soft_parity_(self) -> float:
        """Like ``running_parity_``, of probabilities instead of decisions."""
        tally = self._tally()
        return float(parity(soft_rates_of(tally, self._rules.notion)))

    def history(self) -> pd.DataFrame:
        """Running numbers over time, at up to 200 evenly spaced moments.

        Returns
        -------
        history : DataFrame
            Index ``t``: decisions taken. Columns ``accuracy`` (classes only), ``loss``,
            ``parity``, ``soft_parity``, and ``parity_low``, ``parity_high``: the 95 % confidence
            sequence (classes only).
        """
        check_is_fitted(self, "_state")
        rules, state = self._rules, self._state
        kept = state.history[: state.counters[SNAPSHOTS]]
        if not len(kept) or kept[-1][ROWS] < state.tally[ROWS]:
            kept = np.vstack([kept, state.tally])
        tally = tally_views(kept, rules.n_groups, rules.n_classes)
        rates = rates_of(tally, rules.notion)
        columns = {"loss": loss_of(tally), "parity": parity(rates)}
        columns["soft_parity"] = parity(soft_rates_of(tally, rules.notion))
        if rules.n_classes > 1:
            columns = {"accuracy": accuracy_of(tally), **columns}
            columns["parity_low"], columns["parity_high"] = parity_band(rates, 0.95)
        rows = pd.Index(tally.head[:, ROWS].astype(np.int64), name="t")
        return pd.DataFrame(columns, index=rows)

    def group_report(self) -> pd.DataFrame:
        """How the decisions so far have fared for each group.

        Returns
        -------
        report : DataFrame of shape (n_groups, n_columns), index ``group``
            ``n``: decisions; ``labelled``: those with a label; then for two classes
            ``positive_rate``, ``accuracy``, ``true_positive_rate`` and ``false_positive_rate``;
            for more classes ``accuracy`` and a rate per class; for numbers ``mean_prediction``
            and ``mean_squared_error``. Rows without a known group are the last line, if any.
        """
        check_is_fitted(self, "_state")
        tally = self._tally()
        names = [*(self.groups_ or ("all",)), "(unknown)"]
        report = pd.DataFrame(self._report_columns(tally), index=pd.Index(names, name="group"))
        return report if report["n"].iloc[-1] else report.iloc[:-1]

    def _report_columns(self, tally: Tally) -> dict[str, Floats]:
        raise NotImplementedError
