"""What a fitted groupwise estimator can be asked: the running numbers as attributes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairgroup.online._core import GroupwiseCore
from fairgroup.online._group_book import GroupBook
from fairgroup.online._linear import LinearBank
from fairgroup.online._scan_kernels import (
    ABS_REGRET,
    EXPERT_LOSS,
    HINDSIGHT,
    IDLE,
    LOSS,
    OVERFLOW,
    REGRET,
    ROUNDS,
    ROWS,
    SPECIALISTS,
)
from fairgroup.online._weight_kernels import log_weight

__all__ = ["LearnedNumbers"]

Floats = NDArray[np.float64]


class LearnedNumbers:
    """Fitted attributes, computed from the running sums when they are read."""

    _core: GroupwiseCore
    _book: GroupBook
    n_features_in_: int
    fit_intercept: bool

    @property
    def group_names_(self) -> list[str]:
        """Names of the groups, in the order of all arrays."""
        return list(self._book.names)

    @property
    def weights_(self) -> Floats:
        """Log weight of each group's learner (not normalised), shape (n_groups,)."""
        core = self._core
        if core.rules.aggregator == SPECIALISTS:
            return core.tally.log_mass.copy()
        rows = zip(self.regret_, self.abs_regret_, strict=True)
        return np.array(
            [log_weight(r * core.rules.loss_scale, c * core.rules.loss_scale) for r, c in rows]
        )

    @property
    def regret_(self) -> Floats:
        """R: cumulative regret to each group's own learner, losses in [0, 1]."""
        return self._core.tally.groups[:, REGRET] * self._regret_unit

    @property
    def abs_regret_(self) -> Floats:
        """C: cumulative absolute regret."""
        return self._core.tally.groups[:, ABS_REGRET] * self._regret_unit

    @property
    def _regret_unit(self) -> float:
        return 1.0 if self._core.rules.aggregator == SPECIALISTS else self._core.unit()

    @property
    def n_active_(self) -> NDArray[np.int64]:
        """Rounds in which each group was active."""
        return self._core.tally.groups[:, ROWS].astype(np.int64)

    @property
    def loss_(self) -> Floats:
        """Cumulative loss on each group."""
        return self._core.tally.groups[:, LOSS] * self._core.unit()

    @property
    def expert_loss_(self) -> Floats:
        """Cumulative loss of each group's own learner."""
        return self._core.tally.groups[:, EXPERT_LOSS] * self._core.unit()

    @property
    def hindsight_ridge_(self) -> Floats:
        """Least ridge objective of one model per group in hindsight; NaN where unknown."""
        if not self._core.bank.has_hindsight:
            return np.full(self._core.n_groups, np.nan)
        return self._core.tally.groups[:, HINDSIGHT] * self._core.unit()

    @property
    def logdet_(self) -> Floats:
        """Log det(I + A / alpha) of each group; NaN where there is no Gram matrix."""
        return self._core.bank.logdet

    @property
    def regret_bound_(self) -> Floats:
        """Bound on each group's regret to its own learner."""
        return self._core.bounds()

    @property
    def n_rounds_(self) -> int:
        """Rows learned."""
        return int(self._core.tally.counters[ROUNDS])

    @property
    def n_idle_(self) -> int:
        """Rows that were in no group."""
        return int(self._core.tally.counters[IDLE])

    @property
    def n_loss_overflow_(self) -> int:
        """Rounds in which a loss exceeded 1."""
        return int(self._core.tally.counters[OVERFLOW])

    @property
    def coef_(self) -> Floats:
        """Coefficients of the linear learners, shape (n_groups, n_features); live, writable."""
        return self._linear().arrays.theta[:, : self.n_features_in_]

    @property
    def intercept_(self) -> Floats:
        """Intercepts of the linear learners, shape (n_groups,)."""
        theta = self._linear().arrays.theta
        return theta[:, -1] if self.fit_intercept else np.zeros(len(theta))

    @property
    def gram_(self) -> Floats:
        """Gram matrices A of the second-order learners (lower halves), live."""
        return self._linear().arrays.gram

    @property
    def moment_(self) -> Floats:
        """Moments b of the ridge learners, live."""
        return self._linear().arrays.moment

    def _linear(self) -> LinearBank:
        bank = self._core.bank if hasattr(self, "_core") else None
        if not isinstance(bank, LinearBank):
            raise AttributeError("Only fitted linear base learners have coefficients.")
        return bank
