"""Groupwise regret for combinatorial decisions: follow the perturbed leader behind an oracle.

Kalai and Vempala, "Efficient algorithms for online decision problems", JCSS 71, 2005; combined
over groups as in Acharya et al., ICLR 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from fairgroup.groups._membership_encoder import EVERYONE
from fairgroup.online._aggregators import AdaNormalHedge
from fairgroup.online._weight_kernels import uniform

__all__ = ["GroupwiseOptimizer"]

Floats = NDArray[np.float64]


class GroupwiseOptimizer(BaseEstimator):
    """Repeated decisions whose cost on every group is nearly that of the group's best decision.

    In each round a decision z (a path, a tree, a set) is chosen for somebody with known group
    memberships; then the costs c of all elements are revealed, and c.z is paid. Each group follows
    its own perturbed leader, and one of the active groups' decisions is drawn by AdaNormalHedge.

    Parameters
    ----------
    oracle : callable
        ``oracle(costs) -> decision``: for costs of shape (n_elements,) the decision in [0, 1]
        of shape (n_elements,) with the least total cost. Must be deterministic.
    n_elements : int
        Number of elements (edges of the graph, for example).
    cost_bound : float, default=1.0
        Costs are in [0, cost_bound].
    decision_size : int, default=None
        Most elements in a decision. None: n_elements.
    epsilon : float or "auto", default="auto"
        Perturbations are uniform in [0, 1/epsilon] per element. "auto": the best value for the
        group's rounds so far, sqrt(D / (R A n)) with the constants below.
    always_on : bool, default=True
        Whether a group ``"everyone"`` comes first.
    random_state : int, RandomState instance or None, default=None
        Seed of the perturbations and of the group that is drawn.

    Attributes
    ----------
    group_names_ : list of str
    costs_ : ndarray of shape (n_groups, n_elements)
        Sums of past costs, live.
    n_rounds_ : int
    n_active_ : ndarray of int64, shape (n_groups,)

    Notes
    -----
    With D = min(2 decision_size, n_elements) (L1 diameter), A = n_elements cost_bound and
    R = decision_size cost_bound, a fixed epsilon gives each group's leader expected regret at most
    ``epsilon R A n + D / epsilon`` in its n rounds, "auto" at most ``3 sqrt(D R A n)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.online import GroupwiseOptimizer
    >>> cheapest = lambda costs: np.eye(3)[np.argmin(costs)]
    >>> model = GroupwiseOptimizer(cheapest, 3, decision_size=1, random_state=0)
    >>> for t in range(200):
    ...     group = [1, 0] if t % 2 else [0, 1]  # each group has another cheap element
    ...     decision = model.decide(group)
    ...     paid = model.update(np.array([group[0], group[1], 0.6]), group)
    >>> bool((model.group_report()["loss"] < 40).all())
    True
    """

    group_names_: list[str]
    costs_: Floats
    n_active_: NDArray[np.int64]
    n_rounds_: int
    _hedge: AdaNormalHedge
    _loss: Floats
    _expert_loss: Floats
    _size: Floats
    _seed: int
    _cache: tuple[bytes, Floats] | None

    def __init__(
        self,
        oracle: Callable[[Floats], ArrayLike],
        n_elements: int,
        *,
        cost_bound: float = 1.0,
        decision_size: int | None = None,
        epsilon: float | str = "auto",
        always_on: bool = True,
        random_state: Any = None,
    ) -> None:
        self.oracle = oracle
        self.n_elements = n_elements
        self.cost_bound = cost_bound
        self.decision_size = decision_size
        self.epsilon = epsilon
        self.always_on = always_on
        self.random_state = random_state

    def decide(self, memberships: ArrayLike | None = None) -> Floats:
        """Choose for the coming round.

        Parameters
        ----------
        memberships : array-like of shape (n_groups,), default=None
            In [0, 1], without the group of everyone. None: a member of no other group.

        Returns
        -------
        decision : ndarray of shape (n_elements,)
        """
        member = self._member(memberships)
        p = self._hedge.weights(member)
        if not p.any():
            raise ValueError("No group is active in this round; use always_on=True.")
        g = int(np.searchsorted(np.cumsum(p), uniform(self._seed, self.n_rounds_), "right"))
        return self._decisions(member)[min(g, int(np.flatnonzero(p)[-1]))].copy()

    def update(self, costs: ArrayLike, memberships: ArrayLike | None = None) -> float:
        """Learn the costs of the round that `decide` decided.

        Parameters
        ----------
        costs : array-like of shape (n_elements,)
            In [0, cost_bound].
        memberships : array-like of shape (n_groups,), default=None
            As in `decide`.

        Returns
        -------
        paid : float
            Expected cost of the decision, over which group is drawn.
        """
        member = self._member(memberships)
        costs = np.asarray(costs, dtype=np.float64)
        if costs.shape != (self.n_elements,):
            raise ValueError(f"costs has shape {costs.shape}; expected ({self.n_elements},).")
        if not ((costs >= 0) & (costs <= self.cost_bound)).all():
            raise ValueError(
                f"costs must be in [0, cost_bound={self.cost_bound:g}]; found values from "
                f"{costs.min():g} to {costs.max():g}. Scale them, or set cost_bound."
            )
        losses = self._decisions(member) @ costs
        paid = self._hedge.update(losses / self._largest, member) * self._largest
        active = member > 0
        self._loss += member * paid
        self._expert_loss += np.where(active, member * losses, 0.0)
        self._size += member
        self.n_active_ += active
        self.costs_ += member[:, None] * costs
        self.n_rounds_ += 1
        self._cache = None
        return float(paid)

    def add_group(self, name: str) -> Self:
        """Start a leader for a group that was not there before, the new last membership.

        Parameters
        ----------
        name : str

        Returns
        -------
        self : GroupwiseOptimizer
        """
        self._start(None)
        if name in self.group_names_:
            raise ValueError(f"The group {name!r} exists already: {self.group_names_}.")
        old = self._hedge
        self._hedge = AdaNormalHedge(old.n_experts + 1)
        self._hedge.set_state(
            {
                **{k: np.append(v, 0.0) for k, v in old.get_state().items()},
                "log_prior": np.full(old.n_experts + 1, -np.log(old.n_experts + 1)),
            }
        )
        self.group_names_.append(name)
        for array in ("_loss", "_expert_loss", "_size", "n_active_"):
            setattr(self, array, np.append(getattr(self, array), 0).astype(self._type(array)))
        self.costs_ = np.vstack([self.costs_, np.zeros((1, self.n_elements))])
        self._cache = None
        return self

    def group_report(self) -> pd.DataFrame:
        """What each group has paid, in the units of the costs.

        Returns
        -------
        report : DataFrame, index ``group``
            ``n``, ``size``, ``loss`` (expected cost), ``expert_loss`` (of the group's leader),
            ``hindsight`` (of the best fixed decision), ``expert_regret`` with its ``bound``,
            ``regret``, ``learner_bound`` (in expectation) and ``regret_bound``.
        """
        self._start(None)
        hindsight = np.array([self._ask(costs) @ costs for costs in self.costs_])
        bound = self._hedge.bound() * self._largest
        learner = np.array([self._leader_bound(n) for n in self._size])
        return pd.DataFrame(
            {
                "n": self.n_active_,
                "size": self._size,
                "loss": self._loss,
                "expert_loss": self._expert_loss,
                "hindsight": hindsight,
                "expert_regret": self._loss - self._expert_loss,
                "bound": bound,
                "regret": self._loss - hindsight,
                "learner_bound": learner,
                "regret_bound": bound + learner,
            },
            index=pd.Index(self.group_names_, name="group"),
        )

    def get_state(self) -> dict[str, Any]:
        """Everything learned, as arrays and scalars; draws depend on the round alone."""
        self._start(None)
        state = {f"hedge_{k}": v for k, v in self._hedge.get_state().items()}
        arrays = {name: np.array(getattr(self, name)) for name in self._ARRAYS}
        return state | arrays | {"group_names": np.array(self.group_names_, dtype=str)}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Continue from what `get_state` returned, on an optimizer with the same parameters.

        Parameters
        ----------
        state : mapping
            What `get_state` returned, or the archive that ``numpy.load`` gives for it.

        Returns
        -------
        self : GroupwiseOptimizer
        """
        self._check_parameters()
        self.group_names_ = [str(name) for name in state["group_names"]]
        self._hedge = AdaNormalHedge(len(self.group_names_)).set_state(
            {k[6:]: np.asarray(state[k]) for k in state if k.startswith("hedge_")}
        )
        for name in self._ARRAYS:
            setattr(self, name, np.array(state[name]))
        self.n_rounds_, self._seed = int(self.n_rounds_), int(self._seed)
        self._cache = None
        return self

    _ARRAYS = ("costs_", "_loss", "_expert_loss", "_size", "n_active_", "n_rounds_", "_seed")

    @staticmethod
    def _type(array: str) -> type:
        return np.int64 if array == "n_active_" else np.float64

    def _check_parameters(self) -> None:
        if not callable(self.oracle):
            raise TypeError(f"oracle must be callable; found {type(self.oracle).__name__}.")
        if self.n_elements < 1:
            raise ValueError(f"n_elements must be at least 1; found {self.n_elements}.")
        if not self.cost_bound > 0:
            raise ValueError(f"cost_bound must be positive; found {self.cost_bound}.")
        if self.epsilon != "auto" and not (
            isinstance(self.epsilon, int | float) and self.epsilon > 0
        ):
            raise ValueError(f'epsilon must be positive or "auto"; found {self.epsilon!r}.')

    def _start(self, memberships: Floats | None) -> None:
        if hasattr(self, "_hedge"):
            return
        self._check_parameters()
        n_given = 0 if memberships is None else len(memberships)
        names = [f"group_{j}" for j in range(n_given)]
        self.group_names_ = [EVERYONE, *names] if self.always_on else names
        n_groups = len(self.group_names_)
        if n_groups == 0:
            raise ValueError("There is no group: give memberships or use always_on=True.")
        self._hedge = AdaNormalHedge(n_groups)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.costs_ = np.zeros((n_groups, self.n_elements))
        self._loss, self._expert_loss = np.zeros(n_groups), np.zeros(n_groups)
        self._size, self.n_active_ = np.zeros(n_groups), np.zeros(n_groups, dtype=np.int64)
        self.n_rounds_ = 0
        self._cache = None

    def _member(self, memberships: ArrayLike | None) -> Floats:
        given = None if memberships is None else np.asarray(memberships, dtype=np.float64)
        if given is not None and given.ndim != 1:
            raise ValueError(f"memberships must be one row; found shape {given.shape}.")
        self._start(given)
        if given is None:
            given = np.zeros(len(self.group_names_) - self.always_on)
        if len(given) + self.always_on != len(self.group_names_):
            raise ValueError(
                f"memberships has {len(given)} entries, but there are "
                f"{len(self.group_names_) - self.always_on} groups: {self.group_names_}."
            )
        if not ((given >= 0) & (given <= 1)).all():
            raise ValueError(f"memberships must be in [0, 1]; found {given.tolist()}.")
        return np.append(1.0, given) if self.always_on else given

    def _decisions(self, member: Floats) -> Floats:
        """Each active group's perturbed leader (n_groups, n_elements), once per round."""
        key = member.tobytes()
        if self._cache is None or self._cache[0] != key:
            decisions = np.zeros_like(self.costs_)
            for g in np.flatnonzero(member):
                noise = self._noise(int(g)) / self._epsilon(float(self.n_active_[g] + 1))
                decisions[g] = self._ask(self.costs_[g] + noise)
            self._cache = key, decisions
        return self._cache[1]

    def _noise(self, g: int) -> Floats:
        """Uniform numbers that depend on seed, group and round alone."""
        generator = np.random.Philox(key=self._seed, counter=[0, 0, g, self.n_rounds_])
        return np.random.Generator(generator).random(self.n_elements)

    def _ask(self, costs: Floats) -> Floats:
        decision = np.asarray(self.oracle(costs), dtype=np.float64)
        if decision.shape != (self.n_elements,):
            raise ValueError(
                f"oracle returned shape {decision.shape}; expected ({self.n_elements},)."
            )
        return decision

    @property
    def _size_limit(self) -> int:
        return self.n_elements if self.decision_size is None else self.decision_size

    @property
    def _largest(self) -> float:
        """R: the largest cost of a decision."""
        return float(self._size_limit * self.cost_bound)

    @property
    def _diameter(self) -> float:
        return float(min(2 * self._size_limit, self.n_elements))

    def _epsilon(self, n: float) -> float:
        if self.epsilon != "auto":
            return float(self.epsilon)
        mass = self.n_elements * self.cost_bound
        return float(np.sqrt(self._diameter / (self._largest * mass * n)))

    def _leader_bound(self, n: float) -> float:
        mass = self.n_elements * self.cost_bound
        if self.epsilon == "auto":
            return float(3.0 * np.sqrt(self._diameter * self._largest * mass * n))
        epsilon = float(self.epsilon)
        return epsilon * self._largest * mass * n + self._diameter / epsilon
