"""The linear base learners of all groups, held as stacked arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairgroup.online._blocked import blocked_ridge
from fairgroup.online._gradient_kernels import learn_first_order
from fairgroup.online._kernels import (
    DIAGONAL,
    FORWARD,
    GRADIENT,
    LARGEST,
    LOGDET,
    LOGIT,
    RIDGE,
    ROWS,
    SINCE_REFRESH,
    SQUARE,
    LinearState,
    invert_gram,
    learn_second_order,
    peek_linear,
)

__all__ = ["KINDS", "LinearBank"]

# name -> (link, second order?, variant)
KINDS = {
    "ridge": (SQUARE, True, RIDGE),
    "vaw": (SQUARE, True, FORWARD),
    "ogd": (SQUARE, False, GRADIENT),
    "diagonal": (SQUARE, False, DIAGONAL),
    "logistic_ons": (LOGIT, True, RIDGE),
    "logistic_sgd": (LOGIT, False, GRADIENT),
    "logistic_diagonal": (LOGIT, False, DIAGONAL),
}
# Measured on one core with dense features: rank-one updates win below, matrix products above.
_BLOCKED_FROM = 64
_DENSE = 0.5


class LinearBank:
    """One linear learner per group; learns rows in time order and predicts each before it.

    Parameters
    ----------
    n_features, n_groups : int
    kind : str
        Key of ``KINDS``.
    alpha : float
        Ridge strength.
    learning_rate, radius : float
        Of the first-order learners: step size eta, and radius of the ball that coefficients stay
        in (may be infinite).
    forgetting : float
        Factor by which a group's past fades with each of its own rows.
    refresh_every : int
        Rank-one updates between two recomputations of the inverse.
    engine : {"auto", "rank_one", "blocked"}
    block_size : int

    Notes
    -----
    Memory is 16 G d^2 bytes for the second-order learners (A and its inverse) and 16 G d for the
    first-order ones.
    """

    def __init__(
        self,
        n_features: int,
        n_groups: int,
        *,
        kind: str,
        alpha: float = 1.0,
        learning_rate: float = 0.5,
        radius: float = np.inf,
        forgetting: float = 1.0,
        refresh_every: int = 1000,
        engine: str = "auto",
        block_size: int = 64,
    ) -> None:
        self.kind = kind
        self.link, self.second_order, self.variant = KINDS[kind]
        self.alpha = float(alpha)
        self.learning_rate = float(learning_rate)
        self.radius = float(radius)
        self.forgetting = float(forgetting)
        # Before the ridge has faded by more than 1/e it is topped up, which happens at a refresh.
        lifetime = np.inf if forgetting == 1.0 else np.ceil(1.0 / (1.0 - forgetting))
        self.refresh_every = int(min(refresh_every, lifetime))
        self.engine = engine
        self.block_size = block_size
        self.arrays = self._fresh(n_features, n_groups)

    @property
    def has_hindsight(self) -> bool:
        """Whether the best ridge loss in hindsight comes for free."""
        return self.second_order and self.link == SQUARE and self.forgetting == 1.0

    def learn(
        self,
        X: NDArray[np.float64],
        y: NDArray[np.float64],
        member: NDArray[np.float64],
        asked: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict and learn rows in order; returns predictions and hindsight increments (n, G)."""
        experts, gain = np.zeros(member.shape), np.zeros(member.shape)
        if not self.second_order:
            learn_first_order(
                X,
                y,
                member,
                asked,
                self.arrays,
                self.link,
                self.variant,
                self.alpha,
                self.learning_rate,
                self.radius,
                self.forgetting,
                experts,
            )
            return experts, gain
        blocked = self._blocked_groups(X, member, asked)
        learn_second_order(
            X,
            y,
            np.ascontiguousarray(np.where(blocked, 0.0, member)),
            asked,
            self.arrays,
            self.link,
            self.variant,
            self.alpha,
            self.forgetting,
            self.refresh_every,
            experts,
            gain,
        )
        for g in np.flatnonzero(blocked):
            self._learn_blocked(X, y, member[:, g], int(g), experts, gain)
        return experts, gain

    def peek(
        self,
        X: NDArray[np.float64],
        member: NDArray[np.float64],
        asked: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """Predict rows with the learners as they stand (n, G)."""
        experts = np.zeros(member.shape)
        forward = FORWARD if self.kind == "vaw" else RIDGE
        peek_linear(X, member, asked, self.arrays, self.link, forward, experts)
        return experts

    def add(self) -> None:
        """Append a fresh learner."""
        fresh = self._fresh(self.arrays.theta.shape[1], 1)
        pairs = zip(self.arrays, fresh, strict=True)
        self.arrays = LinearState(*(np.concatenate(pair) for pair in pairs))

    def state(self) -> dict[str, NDArray]:
        """Copies of all arrays."""
        return {name: array.copy() for name, array in self.arrays._asdict().items()}

    def load(self, state: dict[str, NDArray]) -> None:
        """Take over the arrays of `state`."""
        self.arrays = LinearState(
            *(np.array(state[name], dtype=np.float64) for name in LinearState._fields)
        )

    @property
    def logdet(self) -> NDArray[np.float64]:
        """Sum of ln D of each group: ln det(I + A / alpha) for ridge and forward."""
        return self.arrays.tally[:, LOGDET].copy()

    def learner_bound(self) -> NDArray[np.float64]:
        """Bound on each learner's own regret to the best ridge in hindsight (section 2.3)."""
        if not self.has_hindsight:
            return np.full(len(self.arrays.theta), np.nan)
        return self.arrays.tally[:, LARGEST] * self.arrays.tally[:, LOGDET]

    def _fresh(self, d: int, n_groups: int) -> LinearState:
        side = d if self.second_order else 0
        gram = np.zeros((n_groups, side, side))
        gram[:, range(side), range(side)] = self.alpha
        inverse = np.zeros((n_groups, side, side))
        inverse[:, range(side), range(side)] = 1.0 / self.alpha
        zero = np.zeros((n_groups, d))
        return LinearState(gram, inverse, zero, zero.copy(), np.zeros((n_groups, 4)))

    def _blocked_groups(
        self, X: NDArray[np.float64], member: NDArray[np.float64], asked: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Which groups run through matrix products: those with enough rows to pay for them."""
        none = np.zeros(member.shape[1], dtype=bool)
        possible = self.link == SQUARE and self.forgetting == 1.0 and not asked.any()
        if self.engine == "rank_one" or not possible or len(X) < self.block_size:
            return none
        if self.engine == "auto":
            wide = X.shape[1] >= _BLOCKED_FROM
            if not wide or np.count_nonzero(X) < _DENSE * X.size:
                return none
        return np.count_nonzero(member, axis=0) >= max(self.block_size, X.shape[1])

    def _learn_blocked(
        self,
        X: NDArray[np.float64],
        y: NDArray[np.float64],
        weight: NDArray[np.float64],
        g: int,
        experts: NDArray[np.float64],
        gain: NDArray[np.float64],
    ) -> None:
        rows = np.flatnonzero(weight)
        arrays, forward = self.arrays, self.variant == FORWARD
        result = blocked_ridge(
            X[rows],
            y[rows],
            weight[rows],
            arrays.gram[g],
            arrays.moment[g],
            block_size=self.block_size,
        )
        experts[rows, g] = result.ridge / result.growth if forward else result.ridge
        gain[rows, g] = result.gain
        seen = y[rows] if forward else y[rows] - result.ridge
        tally = arrays.tally[g]
        tally[LOGDET] += np.log(result.growth).sum()
        tally[LARGEST] = max(tally[LARGEST], float(np.max(seen**2)))
        tally[ROWS] += len(rows)
        tally[SINCE_REFRESH] = 0
        invert_gram(arrays.gram[g], arrays.inverse[g])
        arrays.theta[g] = arrays.inverse[g] @ arrays.moment[g]
