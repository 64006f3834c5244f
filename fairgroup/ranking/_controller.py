"""Parameters of the re-ranker and the closed loop that they define, without any memory."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from fairgroup.ranking import _kernels as k
from fairgroup.ranking._auctions import AuctionLog
from fairgroup.ranking._fitting import starting_parameters
from fairgroup.ranking._noise import NoisyCounter
from fairgroup.ranking._policies import (
    PAYMENTS,
    POLICIES,
    hold_levels,
    individual_contexts,
    make_layout,
    run_log,
    split_levels,
)
from fairgroup.ranking._result import SimulationResult, summarise
from fairgroup.utils._sklearn import Interval, StrOptions
from fairgroup.utils._validation import as_generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Controller(BaseEstimator):
    """Base of the re-ranker; its parameters are documented there."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "policy": [StrOptions(set(POLICIES))],
        "kp": [Interval(Real, 0, None, closed="left")],
        "ki": [Interval(Real, 0, None, closed="left"), None],
        "m_min": [Interval(Real, 0, 1, closed="right")],
        "m_max": [Interval(Real, 1, None, closed="left")],
        "m_up": [Interval(Real, 1, None, closed="left"), None],
        "m_down": [Interval(Real, 0, 1, closed="right"), None],
        "dead_zone": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "min_impressions": [Interval(Integral, 0, None, closed="left")],
        "attribute_weights": [dict, None],
        "noise": [NoisyCounter, None],
        "hold_while_noisy": ["boolean"],
        "anti_windup": ["boolean"],
        "max_value_loss": [Interval(Real, 0, 1, closed="both"), None],
        "min_reach": [Interval(Real, 0, None, closed="left"), None],
        "coverage_threshold": [Interval(Real, 0, 1, closed="both")],
        "coverage_min_impressions": [Interval(Integral, 0, None, closed="left")],
        "cost_weight": [Interval(Real, 0, None, closed="left")],
        "action_cost": [Interval(Real, 0, None, closed="left")],
        "discount": [Interval(Real, 0, 1, closed="left")],
        "learning_rate": [Interval(Real, 0, 1, closed="right")],
        "search_iterations": [Interval(Integral, 0, None, closed="left")],
        "search_candidates": [Interval(Integral, 2, None, closed="left")],
        "search_worlds": [Interval(Integral, 1, None, closed="left")],
        "allow_individual_attributes": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        policy: str = "pi",
        *,
        kp: float = 2.0,
        ki: float | None = None,
        m_min: float = 0.25,
        m_max: float = 4.0,
        m_up: float | None = 2.0,
        m_down: float | None = 0.5,
        dead_zone: float = 0.0,
        batch_size: int = 50,
        min_impressions: int = 0,
        attribute_weights: Mapping[str, float] | None = None,
        noise: NoisyCounter | None = None,
        hold_while_noisy: bool = True,
        anti_windup: bool = False,
        max_value_loss: float | None = None,
        min_reach: float | None = None,
        coverage_threshold: float = 0.10,
        coverage_min_impressions: int = 300,
        cost_weight: float = 0.5,
        action_cost: float = 0.02,
        discount: float = 0.9,
        learning_rate: float = 0.05,
        search_iterations: int = 20,
        search_candidates: int = 16,
        search_worlds: int = 2,
        allow_individual_attributes: bool = False,
        n_jobs: int | None = None,
        verbose: bool = False,
        random_state: Any = None,
    ) -> None:
        self.policy = policy
        self.kp = kp
        self.ki = ki
        self.m_min = m_min
        self.m_max = m_max
        self.m_up = m_up
        self.m_down = m_down
        self.dead_zone = dead_zone
        self.batch_size = batch_size
        self.min_impressions = min_impressions
        self.attribute_weights = attribute_weights
        self.noise = noise
        self.hold_while_noisy = hold_while_noisy
        self.anti_windup = anti_windup
        self.max_value_loss = max_value_loss
        self.min_reach = min_reach
        self.coverage_threshold = coverage_threshold
        self.coverage_min_impressions = coverage_min_impressions
        self.cost_weight = cost_weight
        self.action_cost = action_cost
        self.discount = discount
        self.learning_rate = learning_rate
        self.search_iterations = search_iterations
        self.search_candidates = search_candidates
        self.search_worlds = search_worlds
        self.allow_individual_attributes = allow_individual_attributes
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def simulate(
        self,
        log: AuctionLog,
        *,
        n_slots: int = 1,
        payment: str = "critical",
        random_state: Any = None,
    ) -> SimulationResult:
        """Run logged or simulated auctions in closed loop, from an empty memory, without changing
        this object.

        Parameters
        ----------
        log : AuctionLog
            The auctions.
        n_slots : int, default=1
            Ads shown in each.
        payment : {"critical", "first", "second"}, default="critical"
            Price rule, see `AdAuctionSimulator`.
        random_state : int, RandomState instance, Generator or None, default=None
            Seed of the noise.

        Returns
        -------
        result : SimulationResult
        """
        self._check()
        params = getattr(self, "params_", None) or starting_parameters(self, [log])
        q_table = self._state.q_table if hasattr(self, "_state") else None
        winners, payments, state = self._play(
            log,
            params,
            n_slots=n_slots,
            payment=payment,
            rng=as_generator(random_state),
            q_table=q_table,
        )
        return summarise(
            log,
            winners,
            payments,
            multipliers=state.table[:-1, :-1].T,
            released=split_levels(state.released, log.n_levels),
            n_snapshots=state.snapshots,
        )

    @property
    def _guarded(self) -> bool:
        return self.max_value_loss is not None or self.min_reach is not None

    @property
    def _n_nodes(self) -> int:
        return 1 if self.noise is None else self.noise.n_nodes

    def _check(self) -> None:
        self._validate_params()
        if self.policy == "sign" and not self.allow_individual_attributes:
            raise ValueError(
                "policy='sign' ranks by an individual's own protected attributes. It exists to "
                "audit such rules; set allow_individual_attributes=True to use it for that."
            )
        if self.noise is not None:
            self.noise.validate()

    def _make_settings(
        self, params: Mapping[str, Any], *, step: float = 0.0, explore: float = 0.0
    ) -> k.Settings:
        return k.Settings(
            policy=POLICIES[self.policy],
            kp=params["kp"],
            ki=params["ki"],
            m_min=params["m_min"],
            m_max=params["m_max"],
            dead_zone=params["dead_zone"],
            batch_size=int(self.batch_size),
            min_impressions=int(self.min_impressions),
            anti_windup=bool(self.anti_windup),
            tree=self.noise is not None and self.noise.mechanism == "tree",
            guarded=self._guarded,
            max_value_loss=np.inf if self.max_value_loss is None else float(self.max_value_loss),
            min_reach=0.0 if self.min_reach is None else float(self.min_reach),
            cost=float(self.action_cost),
            discount=float(self.discount),
            step=float(step),
            explore=float(explore),
        )

    def _make_layout(
        self,
        eligible: Mapping[str, Floats],
        composition: Mapping[str, Floats],
        params: Mapping[str, Any],
    ) -> k.Layout:
        sizes = [e.shape[1] for e in eligible.values()]
        noise = self.noise if self.hold_while_noisy else None
        return make_layout(
            eligible,
            composition,
            weights=self.attribute_weights,
            hold=hold_levels(sizes, self.batch_size, noise),
            m_up=params["m_up"],
            m_down=params["m_down"],
        )

    def _play(
        self,
        log: AuctionLog,
        params: Mapping[str, Any],
        *,
        n_slots: int,
        payment: str,
        rng: np.random.Generator,
        q_table: Floats | None = None,
        step: float = 0.0,
        explore: float = 0.0,
    ) -> tuple[Ints, Floats, k.State]:
        """One closed loop with the given parameters."""
        assert log.composition is not None
        composition, contexts = log.composition, None
        if self.policy == "sign":
            composition, users, allowed = individual_contexts(log)
            contexts = (users, allowed)
        layout = self._make_layout(log.eligible, composition, params)
        settings = self._make_settings(params, step=step, explore=explore)
        return run_log(
            log, settings, layout,
            noise=self.noise, n_slots=n_slots, payment=PAYMENTS[payment], rng=rng, q_table=q_table,
            contexts=contexts,
        )  # fmt: skip
