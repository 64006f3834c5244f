"""The re-ranker: multipliers that bring the audience of every item close to its eligible audience.

Inspired by the variance reduction system of Timmaraju et al. (KDD 2023); the design is our own and public.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import UnseenGroupError
from fairgroup.groups._frame import lookup, sensitive_frame
from fairgroup.ranking import _kernels as k
from fairgroup.ranking._auctions import AuctionLog, Shares
from fairgroup.ranking._fitting import learn_q_table, search_parameters, starting_parameters
from fairgroup.ranking._noise import NoisyCounter, on_grid, spent
from fairgroup.ranking._policies import (
    PAYMENTS,
    POLICIES,
    empty_state,
    hold_levels,
    individual_contexts,
    make_layout,
    run_log,
)
from fairgroup.ranking._result import SimulationResult, summarise
from fairgroup.ranking._variance import expected_variance, impression_variance, variance_interval
from fairgroup.utils._sklearn import Interval, StrOptions
from fairgroup.utils._validation import as_generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class VarianceAwareReranker(BaseEstimator):
    """Re-rank items so that those who see each item resemble those who are eligible to see it.

    The delivered audience of every covered ad (or job, or other item) is measured for several protected attributes
    at once, in batches, as noisy aggregate counts. From these counts alone a controller sets one multiplier for
    every ad and user *cluster*; nothing that is known about an individual's protected attributes enters a ranking.

    Parameters
    ----------
    policy : {"pi", "threshold", "q", "sign"}, default="pi"
        ``"pi"``: proportional-integral control of the log-multipliers. ``"threshold"``: boost or cut by the sign of
        the variance's gradient. ``"q"``: boost levels chosen by a Q-table that was learned in simulation.
        ``"sign"``: compares each *individual's* own level; for audits of such rules only, and refused without
        ``allow_individual_attributes=True``.
    kp, ki : float, default=2.0 and None
        Gains of ``"pi"``; ``ki=None`` is 0.002 times ``batch_size``.
    m_min, m_max : float, default=0.25 and 4.0
        Hard limits of every multiplier, m_min <= 1 <= m_max. ``m_min=1`` only boosts.
    m_up, m_down : float or None, default=2.0 and 0.5
        Multipliers of ``"threshold"`` and ``"sign"``. None calibrates them per ad on the auctions given to `fit`:
        boosted, the ad would win 40 % of its auctions, cut it would lose 85 %.
    dead_zone : float, default=0.0
        Smallest score that ``"threshold"``, ``"q"`` and ``"sign"`` act on.
    batch_size : int, default=50
        Impressions of an ad between two snapshots (releases of its counts).
    min_impressions : int, default=0
        An ad keeps multiplier 1 until it has more impressions than this.
    attribute_weights : mapping of attribute to float, default=None
        Weight of each attribute in the score; None weighs all by 1.
    noise : NoisyCounter or None, default=None
        Settings of the privacy noise added to every released count, separately for each attribute. None releases
        exact counts.
    hold_while_noisy : bool, default=True
        With noise: keep an attribute's weights as they are while the released total is below
        max(batch_size, 5 K sigma).
    anti_windup : bool, default=False
        ``"pi"``: do not integrate in a snapshot in which over half of the ad's multipliers were at a limit.
    max_value_loss : float or None, default=None
        Cost guardrail: an ad is not boosted while the share of value given up by showing it instead of the usual
        winners is above this.
    min_reach : float or None, default=None
        Reach floor: an ad is not cut while its impressions are below this share of those it would have had in the
        same auctions without multipliers.
    coverage_threshold, coverage_min_impressions : float and int, default=0.10 and 300
        Coverage that `fit` maximises.
    cost_weight : float, default=0.5
        Weight of the lost share of total value in the objective of `fit`.
    action_cost, discount, learning_rate : float, default=0.02, 0.9 and 0.05
        Reward and step of ``"q"``.
    search_iterations, search_candidates, search_worlds : int, default=20, 16 and 2
        Cross-entropy search of `fit` (``"pi"``, ``"threshold"``); ``"q"`` learns for search_iterations times
        search_worlds episodes. ``search_iterations=0`` keeps the parameters as given.
    allow_individual_attributes : bool, default=False
        Must be True for ``policy="sign"``.
    n_jobs : int or None, default=None
        Threads of the search. The result does not depend on it.
    verbose : bool, default=False
        Show the progress of the search.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of search and simulation. The privacy noise of live releases comes from the cryptographically safe
        source unless ``noise`` itself has a ``random_state``.

    Attributes
    ----------
    params_ : dict
        Parameters in use, chosen by `fit`.
    attributes_ : tuple of str
        Protected attributes.
    levels_ : dict of attribute to tuple
        Level names.
    ad_ids_, cluster_ids_ : tuple
        Names of the covered ads and of the clusters.
    eligible_, composition_ : dict of attribute to ndarray
        Eligible distributions (A, K) and group composition of the clusters (C, K).
    released_counts_ : dict of attribute to ndarray of shape (A, K)
        Noisy counts at the last snapshots: all that a multiplier depends on.
    log_weights_ : dict of attribute to ndarray of shape (A, K)
        Index of each level: log-weights of ``"pi"``, gradient direction of the others.
    integral_ : dict of attribute to ndarray of shape (A, K)
        Integral part of ``"pi"``.
    multiplier_table_ : ndarray of shape (A, C)
        Multiplier of every ad for every cluster (for every combination of own levels with ``"sign"``).
    n_impressions_, n_snapshots_ : ndarray of int of shape (A,)
        Impressions and snapshots of every ad.
    q_table_ : ndarray of shape (n_states, 6)
        Action values of ``"q"``.
    search_history_ : list of dict
        One entry per iteration or episode of `fit`.
    privacy_spent_ : dict
        Budget used, per attribute and in total.

    References
    ----------
    Timmaraju et al., "Towards Fairness in Personalized Ads Using Impression Variance Aware Reinforcement Learning",
    KDD 2023 (arXiv 2306.03293). Their formulas, parameters and results are not public; this is our own design.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.ranking import VarianceAwareReranker
    >>> eligible = {"sex": [[0.5, 0.5]]}
    >>> composition = {"sex": [[0.9, 0.1], [0.1, 0.9]]}
    >>> reranker = VarianceAwareReranker(batch_size=10).fit(eligible=eligible, composition=composition)
    >>> _ = reranker.partial_fit(np.zeros(10, dtype=int), sensitive_features={"sex": [0] * 9 + [1]})
    >>> reranker.multipliers([0, 0], [0, 1]).round(2)
    array([0.26, 3.83])
    """

    _parameter_constraints: dict[str, list[Any]] = {
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

    @classmethod
    def published(cls, **overrides: Any) -> Self:
        """Settings of the only public simulation of the system.

        The paper's own settings are not public. These are those of a third-party research simulation: a binary
        boost or cut by 2 and 0.5 after every 10 impressions, with Gaussian noise of epsilon 1 and delta 0.1.

        Parameters
        ----------
        **overrides
            Any parameter.

        Returns
        -------
        reranker : VarianceAwareReranker
        """
        noise = NoisyCounter(noise="gaussian", epsilon=1.0, delta=0.1)
        settings = {"policy": "threshold", "m_up": 2.0, "m_down": 0.5, "batch_size": 10, "noise": noise}
        return cls(**{**settings, "search_iterations": 0, **overrides})

    def fit(
        self,
        auctions: Any = None,
        *,
        eligible: Mapping[str, Any] | None = None,
        composition: Mapping[str, Any] | None = None,
    ) -> Self:
        """Choose the policy's parameters in simulation and forget all deliveries.

        Parameters
        ----------
        auctions : AdAuctionSimulator, AuctionLog, sequence of AuctionLog or None, default=None
            Where candidates for the parameters are tried out, all on the same random numbers. None keeps the
            parameters as they are given.
        eligible : mapping of attribute to array-like or DataFrame of shape (n_ads, K), default=None
            Eligible distribution of each covered ad; a DataFrame names ads (index) and levels (columns). None takes
            those of the first world.
        composition : mapping of attribute to array-like or DataFrame of shape (n_clusters, K), default=None
            Group composition of each user cluster, likewise.

        Returns
        -------
        self : VarianceAwareReranker
        """
        self._check()
        rng = as_generator(self.random_state)
        logs = self._worlds(auctions)
        self._read_shares(logs, eligible, composition)
        self.params_ = starting_parameters(self, logs)
        self.search_history_: list[dict[str, Any]] = []
        q_table = None
        if logs and self.search_iterations and self.policy in ("pi", "threshold"):
            self.params_, self.search_history_ = search_parameters(self, logs, self.params_, rng)
        elif logs and self.search_iterations and self.policy == "q":
            q_table, self.search_history_ = learn_q_table(self, logs, self.params_, rng)
        self._settings = self._make_settings(self.params_)
        self._layout = self._make_layout(self.eligible_, self._contexts_of_users(), self.params_)
        self._state = empty_state(self._layout, n_nodes=self._n_nodes, q_table=q_table)
        seed = None if self.noise is None else self.noise.random_state
        self._source = None if seed is None else as_generator(seed)
        return self

    def partial_fit(
        self,
        ad_id: ArrayLike,
        *,
        cluster: ArrayLike | None = None,
        sensitive_features: Any = None,
        posterior: Mapping[str, ArrayLike] | None = None,
        unadjusted_ad_id: ArrayLike | None = None,
        value: ArrayLike | None = None,
        unadjusted_value: ArrayLike | None = None,
    ) -> Self:
        """Count delivered impressions in time order; snapshots happen on the way.

        Parameters
        ----------
        ad_id : array-like of shape (n,)
            Ad of each impression. Ads that are not covered are passed over.
        cluster : array-like of shape (n,), default=None
            User cluster. For an attribute that neither of the next two gives, the cluster's composition is counted:
            this hides skew *within* clusters.
        sensitive_features : DataFrame or mapping of attribute to array-like of shape (n,), default=None
            Levels, for the aggregate measurement only.
        posterior : mapping of attribute to array-like of shape (n, K), default=None
            Estimated membership instead of levels, see `bisg_posterior`.
        unadjusted_ad_id : array-like of shape (n,), default=None
            Ad that would have been shown without multipliers; needed by the guardrails.
        value, unadjusted_value : array-like of shape (n,), default=None
            Values (bid times action rate plus quality, without multipliers) of the ad shown and of that ad.

        Returns
        -------
        self : VarianceAwareReranker

        Raises
        ------
        UnseenGroupError
            For a level that is not in ``levels_``.
        ValueError
            For missing levels, posteriors that are no distributions, and absent arguments.
        """
        self._feed(ad_id, cluster, sensitive_features, posterior, unadjusted_ad_id, value, unadjusted_value)
        return self

    def progressive_predict(self, ad_id: ArrayLike, **delivered: Any) -> Floats:
        """Multiplier that each impression had, before it was counted, while counting them.

        Parameters
        ----------
        ad_id : array-like of shape (n,)
            Ad of each impression.
        **delivered
            As in `partial_fit`.

        Returns
        -------
        multipliers : ndarray of shape (n,)
        """
        names = ("cluster", "sensitive_features", "posterior", "unadjusted_ad_id", "value", "unadjusted_value")
        unknown = set(delivered) - set(names)
        if unknown:
            raise TypeError(f"progressive_predict got unexpected arguments {sorted(unknown)}.")
        return self._feed(ad_id, *(delivered.get(name) for name in names))

    def multipliers(self, ad_ids: ArrayLike, clusters: ArrayLike, *, sensitive_features: Any = None) -> Floats:
        """Multipliers of candidates.

        Parameters
        ----------
        ad_ids : array-like of shape (n_candidates,) or (n_auctions, n_candidates)
            Unknown ads have multiplier 1.
        clusters : scalar or array-like of shape (n_auctions,)
            User cluster of each auction; an unknown one gives multiplier 1. With one-dimensional ``ad_ids``, also
            one cluster for each of them.
        sensitive_features : DataFrame or mapping, default=None
            Own levels, with ``policy="sign"`` only.

        Returns
        -------
        multipliers : ndarray of the shape of ``ad_ids``
        """
        check_is_fitted(self, "params_")
        ads = self._ad_index(ad_ids)
        contexts = self._user_contexts(clusters, sensitive_features)
        return self._state.table[contexts.reshape(-1, 1) if ads.ndim == 2 else contexts, ads]

    def transform(
        self,
        values: ArrayLike,
        *,
        ad_ids: ArrayLike,
        clusters: ArrayLike,
        quality: ArrayLike | None = None,
        eligible_mask: ArrayLike | None = None,
        sensitive_features: Any = None,
    ) -> Floats:
        """Total values after multiplication: multiplier times value, plus quality.

        Parameters
        ----------
        values : array-like of shape (n_candidates,) or (n_auctions, n_candidates)
            Bid times estimated action rate, not negative.
        ad_ids : array-like of the shape of ``values`` or (n_candidates,)
            Candidates; one-dimensional ids hold for all auctions.
        clusters : scalar or array-like of shape (n_auctions,)
            User clusters.
        quality : array-like that broadcasts to ``values``, default=None
            Added after multiplication.
        eligible_mask : array-like of bool that broadcasts to ``values``, default=None
            Candidates that may be shown.
        sensitive_features : DataFrame or mapping, default=None
            Own levels, with ``policy="sign"`` only.

        Returns
        -------
        totals : ndarray of the shape of ``values``
            -inf for a candidate that may not be shown.
        """
        check_is_fitted(self, "params_")
        v = np.ascontiguousarray(np.atleast_2d(np.asarray(values, dtype=np.float64)))
        if not (v.min(initial=0.0) >= 0 and np.isfinite(v.sum())):
            raise ValueError(
                "values must be finite and >= 0: a multiplier would reverse the meaning of a negative value."
            )
        contexts = np.broadcast_to(self._user_contexts(clusters, sensitive_features), len(v))
        totals = k.total_values(
            v,
            _fill(quality, v.shape, np.float64),
            np.broadcast_to(self._ad_index(ad_ids), v.shape),
            contexts,
            _fill(eligible_mask, v.shape, np.bool_),
            self._state.table,
        )
        return totals[0] if np.ndim(values) == 1 else totals

    def rerank(
        self,
        values: ArrayLike,
        *,
        ad_ids: ArrayLike,
        clusters: ArrayLike,
        quality: ArrayLike | None = None,
        eligible_mask: ArrayLike | None = None,
        sensitive_features: Any = None,
        top: int | None = None,
    ) -> Ints:
        """Order of the candidates by total value, best first; ties keep their order.

        Parameters
        ----------
        values, ad_ids, clusters, quality, eligible_mask, sensitive_features
            As in `transform`, which gives the totals that are sorted.
        top : int or None, default=None
            Number of places; None ranks all.

        Returns
        -------
        order : ndarray of int of shape (n_places,) or (n_auctions, n_places)
            Positions in ``values``; -1 for a place that no eligible candidate fills.
        """
        totals = self.transform(
            values, ad_ids=ad_ids, clusters=clusters, quality=quality,
            eligible_mask=eligible_mask, sensitive_features=sensitive_features,
        )  # fmt: skip
        if top == 1 and totals.shape[-1] > 0:
            order = totals.argmax(axis=-1)[..., None]
        else:
            order = np.argsort(-totals, axis=-1, kind="stable")[..., :top]
        if eligible_mask is not None:
            order = np.where(np.take_along_axis(totals, order, axis=-1) == -np.inf, -1, order)
        return order

    def simulate(
        self, log: AuctionLog, *, n_slots: int = 1, payment: str = "critical", random_state: Any = None
    ) -> SimulationResult:
        """Run logged or simulated auctions in closed loop, from an empty memory, without changing this object.

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
            log, params, n_slots=n_slots, payment=payment, rng=as_generator(random_state), q_table=q_table
        )
        return summarise(
            log,
            winners,
            payments,
            multipliers=state.table[:-1, :-1].T,
            released=_split(state.released, log.n_levels),
            n_snapshots=state.snapshots,
        )

    def report(self, *, level: float = 0.95) -> pd.DataFrame:
        """What is known about every ad and attribute from the released counts.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the interval.

        Returns
        -------
        table : DataFrame
            Indexed by ad and attribute: ``impressions``, ``snapshots``, ``variance`` as released, ``noise_floor``
            (what perfect delivery would show), ``estimate`` with ``lower`` and ``upper`` (corrected for the floor),
            ``held`` (noise dominates), smallest and largest multiplier, ``boost_stopped`` and ``cut_stopped`` by
            the guardrails.
        """
        check_is_fitted(self, "params_")
        s, frames = self._state, []
        released_n = s.impressions - s.in_batch
        noise_var = np.zeros(len(released_n)) if self.noise is None else self.noise.noise_variance(s.snapshots)
        for p, (a, counts) in enumerate(self.released_counts_.items()):
            positive = np.maximum(counts, 0.0)
            estimate, lower, upper = variance_interval(
                positive, self.eligible_[a], noise_var=noise_var, level=level, random_state=0
            )
            floor = expected_variance(self.eligible_[a], np.maximum(released_n, 1), noise_var=noise_var)
            columns = {
                "impressions": s.impressions,
                "snapshots": s.snapshots,
                "variance": impression_variance(positive, self.eligible_[a]),
                "noise_floor": np.where(released_n > 0, floor, np.nan),
                "estimate": estimate,
                "lower": lower,
                "upper": upper,
                "held": counts.sum(axis=1) < self._layout.hold[p],
                "smallest_multiplier": self.multiplier_table_.min(axis=1),
                "largest_multiplier": self.multiplier_table_.max(axis=1),
                "boost_stopped": self._stopped()[0],
                "cut_stopped": self._stopped()[1],
            }
            index = pd.MultiIndex.from_product([self.ad_ids_, [a]], names=["ad", "attribute"])
            frames.append(pd.DataFrame(columns, index=index))
        return pd.concat(frames).sort_index(level=0, sort_remaining=False)

    def get_state(self) -> dict[str, Any]:
        """Copy of everything that deliveries have changed, for an exact restart.

        Returns
        -------
        state : dict of str to ndarray or str
        """
        check_is_fitted(self, "params_")
        state: dict[str, Any] = {name: getattr(self._state, name).copy() for name in k.State._fields}
        if self._source is not None:
            state["noise_source"] = json.dumps(self._source.bit_generator.state)
        return state

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Continue from a state of a re-ranker that was fitted in the same way.

        Parameters
        ----------
        state : mapping
            What `get_state` returned.

        Returns
        -------
        self : VarianceAwareReranker
        """
        check_is_fitted(self, "params_")
        for name in k.State._fields:
            mine, theirs = getattr(self._state, name), np.asarray(state[name])
            if mine.shape != theirs.shape:
                raise ValueError(f"state[{name!r}] has shape {theirs.shape}; this re-ranker needs {mine.shape}.")
            mine[...] = theirs
        if self._source is not None and "noise_source" in state:
            self._source.bit_generator.state = json.loads(str(state["noise_source"]))
        return self

    def to_river(self) -> Any:
        """Wrapper with ``learn_one(x)`` and ``predict_one(x)`` around this object.

        Returns
        -------
        learner : object
            ``x`` is a dict with ``"ad_id"``, ``"cluster"`` and, to learn, one level per attribute; the prediction
            is the multiplier.
        """
        from fairgroup.ranking._river import RiverReranker

        return RiverReranker(self)

    @property
    def released_counts_(self) -> dict[str, Floats]:
        """Noisy counts at the last snapshots."""
        return self._by_attribute("released")

    @property
    def log_weights_(self) -> dict[str, Floats]:
        """Index of each level."""
        return self._by_attribute("index")

    @property
    def integral_(self) -> dict[str, Floats]:
        """Integral part of the controller."""
        return self._by_attribute("integral")

    @property
    def multiplier_table_(self) -> Floats:
        """Multiplier of every ad and cluster."""
        return self._fitted_state.table[:-1, :-1].T

    @property
    def n_impressions_(self) -> Ints:
        """Impressions of every covered ad."""
        return self._fitted_state.impressions

    @property
    def n_snapshots_(self) -> Ints:
        """Snapshots of every covered ad."""
        return self._fitted_state.snapshots

    @property
    def q_table_(self) -> Floats:
        """Action values of the Q policy."""
        return self._fitted_state.q_table

    @property
    def privacy_spent_(self) -> dict[str, dict[str, float]]:
        """Budget of one impression per attribute, and their sum (attributes are separate releases)."""
        n = int(self._fitted_state.snapshots.max(initial=0))
        one = spent(self.noise or NoisyCounter(noise=None), n)
        total = {key: v if key == "n_releases" else v * len(self.attributes_) for key, v in one.items()}
        return {**{a: dict(one) for a in self.attributes_}, "total": total}

    # ------------------------------------------------------------------ inner workings

    @property
    def _fitted_state(self) -> k.State:
        check_is_fitted(self, "params_")
        return self._state

    def _by_attribute(self, field: str) -> dict[str, Floats]:
        sizes = {a: e.shape[1] for a, e in self.eligible_.items()} if hasattr(self, "eligible_") else {}
        return _split(getattr(self._fitted_state, field), sizes)

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
                "policy='sign' ranks by an individual's own protected attributes. It exists to audit such rules; "
                "set allow_individual_attributes=True to use it for that."
            )
        if self.noise is not None:
            self.noise.validate()

    def _worlds(self, auctions: Any) -> list[AuctionLog]:
        if auctions is None:
            return []
        if hasattr(auctions, "sample"):
            return list(auctions.sample(self.search_worlds))
        return list(auctions) if isinstance(auctions, Sequence) else [auctions]

    def _read_shares(
        self, logs: list[AuctionLog], eligible: Mapping[str, Any] | None, composition: Mapping[str, Any] | None
    ) -> None:
        if eligible is None or composition is None:
            if not logs:
                raise ValueError("give eligible and composition, or auctions to take them from.")
            eligible = logs[0].eligible if eligible is None else eligible
            composition = logs[0].composition if composition is None else composition
        if composition is None or set(composition) != set(eligible):
            raise ValueError("eligible and composition must have the same attributes.")
        ads = {a: Shares.read(t, name=f"eligible[{a!r}]") for a, t in eligible.items()}
        clusters = {a: Shares.read(composition[a], name=f"composition[{a!r}]") for a in eligible}
        if len({t.index for t in ads.values()}) != 1 or len({t.index for t in clusters.values()}) != 1:
            raise ValueError("all attributes must have the same ads and the same clusters, in the same order.")
        if any(ads[a].levels != clusters[a].levels for a in ads):
            raise ValueError("eligible and composition must have the same levels, in the same order.")
        self.attributes_: tuple[str, ...] = tuple(ads)
        self.levels_: dict[str, tuple[Hashable, ...]] = {a: t.levels for a, t in ads.items()}
        self.ad_ids_ = next(iter(ads.values())).index
        self.cluster_ids_ = next(iter(clusters.values())).index
        self.eligible_ = {a: t.values for a, t in ads.items()}
        self.composition_ = {a: t.values for a, t in clusters.items()}
        self._ad_names, self._cluster_names = pd.Index(self.ad_ids_), pd.Index(self.cluster_ids_)

    def _contexts_of_users(self) -> dict[str, Floats]:
        """Rows of the multiplier table: clusters, or combinations of own levels for the audit policy."""
        if self.policy != "sign":
            return self.composition_
        sizes = tuple(len(levels) for levels in self.levels_.values())
        grid = np.indices(sizes).reshape(len(sizes), -1)
        return {a: np.eye(n)[codes] for a, n, codes in zip(self.attributes_, sizes, grid, strict=True)}

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
        self, eligible: Mapping[str, Floats], composition: Mapping[str, Floats], params: Mapping[str, Any]
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
            noise=self.noise, n_slots=n_slots, payment=PAYMENTS[payment], rng=rng, q_table=q_table, contexts=contexts,
        )  # fmt: skip

    def _feed(
        self,
        ad_id: ArrayLike,
        cluster: Any,
        sensitive_features: Any,
        posterior: Mapping[str, ArrayLike] | None,
        unadjusted_ad_id: ArrayLike | None,
        value: ArrayLike | None,
        unadjusted_value: ArrayLike | None,
    ) -> Floats:
        check_is_fitted(self, "params_")
        ads = self._ad_index(np.atleast_1d(np.asarray(ad_id)))
        frame = None
        if sensitive_features is not None:
            frame = sensitive_frame(sensitive_features, n_samples=len(ads))[0]
        clusters = _index(self._cluster_names, cluster, len(ads))
        rows = np.concatenate(
            [self._membership(a, frame, posterior, clusters, ads) for a in self.attributes_], axis=1
        )
        contexts = clusters if self.policy != "sign" else self._user_contexts(clusters, sensitive_features)
        due = self._due_snapshots(ads)
        noise = np.zeros((due, rows.shape[1]))
        if self.noise is not None:
            noise = self.noise.draw(noise.shape, self._source)
            rows = on_grid(rows, self.noise.noise_scale)
        outcome = self._outcome(len(ads), unadjusted_ad_id, value, unadjusted_value)
        return k.count_impressions(
            self._state, self._settings, self._layout, ads, contexts, rows, outcome, noise, np.zeros((due, 2))
        )

    def _membership(
        self,
        attribute: str,
        frame: pd.DataFrame | None,
        posterior: Mapping[str, ArrayLike] | None,
        clusters: Ints,
        ads: Ints,
    ) -> Floats:
        """Membership of each impression's user in the levels of one attribute, (n, K)."""
        levels, n = self.levels_[attribute], len(ads)
        if posterior is not None and attribute in posterior:
            rows = np.asarray(posterior[attribute], dtype=np.float64)
            if rows.shape != (n, len(levels)) or not (rows >= 0).all() or np.abs(rows.sum(axis=1) - 1).max() > 1e-3:
                raise ValueError(
                    f"posterior[{attribute!r}] must be {(n, len(levels))} with rows >= 0 that sum to one."
                )
            return rows
        if frame is not None and attribute in frame:
            codes = lookup(frame[attribute], levels)
            if (codes == -1).any():
                raise ValueError(
                    f"{attribute!r} is missing for {int((codes == -1).sum())} impressions; give posterior= for them, "
                    "an unknown level must not count as a fair one."
                )
            if (codes == -2).any():
                bad = frame[attribute].iloc[int(np.argmax(codes == -2))]
                raise UnseenGroupError(f"{attribute!r} has level {bad!r}; known levels are {levels}.")
            return np.eye(len(levels))[codes]
        if (clusters[ads >= 0] < 0).any():
            raise ValueError(
                f"nothing tells {attribute!r} of some impressions: give it in sensitive_features or posterior, or a "
                "known cluster for each."
            )
        return self.composition_[attribute][clusters]

    def _due_snapshots(self, ads: Ints) -> int:
        """Number of snapshots that these impressions will cause."""
        arriving = np.bincount(ads[ads >= 0], minlength=len(self.ad_ids_))
        due = (self._state.in_batch + arriving) // self.batch_size
        if self.noise is not None and self.noise.mechanism == "tree":
            most = int((self._state.snapshots + due).max(initial=0))
            if most > self.noise.max_batches:
                raise ValueError(
                    f"an ad would have {most} snapshots, but the noise tree holds max_batches="
                    f"{self.noise.max_batches}; plan for more or use larger batches."
                )
        return int(due.sum())

    def _outcome(self, n: int, unadjusted: Any, value: Any, unadjusted_value: Any) -> Floats:
        if not self._guarded:
            return np.empty((0, 3))
        if unadjusted is None or value is None or unadjusted_value is None:
            raise ValueError(
                "max_value_loss and min_reach need unadjusted_ad_id, value and unadjusted_value of every impression."
            )
        usual = self._ad_index(np.atleast_1d(np.asarray(unadjusted)))
        return np.stack([np.broadcast_to(np.asarray(x, float), n) for x in (usual, value, unadjusted_value)], axis=1)

    def _stopped(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Ads whose boosts (cost) and cuts (reach) the guardrails hold back."""
        guard, s = self._state.guard, self._settings
        if not s.guarded:
            none = np.zeros(len(guard), dtype=bool)
            return none, none
        lost = guard[:, 3] - guard[:, 2]
        limit = np.where(guard[:, 3] > 0, s.max_value_loss, 0.0) * np.maximum(guard[:, 3], 1e-300)
        return lost > limit, guard[:, 0] < s.min_reach * guard[:, 1]

    def _ad_index(self, ad_ids: ArrayLike) -> Ints:
        array = np.asarray(ad_ids)
        return _index(self._ad_names, array, array.size).reshape(array.shape)

    def _user_contexts(self, clusters: Any, sensitive_features: Any) -> Ints:
        if self.policy != "sign":
            if sensitive_features is not None:
                raise ValueError("sensitive_features do not enter a ranking; only policy='sign' (audits) takes them.")
            flat = np.atleast_1d(np.asarray(clusters))
            return _index(self._cluster_names, flat, len(flat))
        if sensitive_features is None:
            raise ValueError("policy='sign' needs the sensitive_features of every auction's user.")
        frame = sensitive_frame(sensitive_features)[0]
        codes = [lookup(frame[a], self.levels_[a]) for a in self.attributes_]
        if min(int(c.min(initial=0)) for c in codes) < 0:
            raise UnseenGroupError("sensitive_features has missing or unknown levels.")
        return np.ravel_multi_index(tuple(codes), tuple(len(self.levels_[a]) for a in self.attributes_))


def _index(names: pd.Index, values: Any, n: int) -> Ints:
    """Positions of values in names, -1 for None and for unknown ones; integers 0.. need no lookup."""
    if values is None:
        return np.full(n, -1)
    flat = np.atleast_1d(np.asarray(values)).ravel()
    if len(flat) != n:
        raise ValueError(f"expected {n} entries, found {len(flat)}.")
    plain = isinstance(names.dtype, np.dtype) and names.dtype.kind == "i" and flat.dtype.kind in "iu"
    if plain and len(names) and names[0] == 0 and names[-1] == len(names) - 1 and names.is_monotonic_increasing:
        codes = flat.astype(np.int64, copy=False)
        return np.where((codes < 0) | (codes >= len(names)), -1, codes)
    return names.get_indexer(flat).astype(np.int64)


def _fill(values: ArrayLike | None, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Broadcast an optional argument; an empty array stands for "not given"."""
    if values is None:
        return np.empty((0, 0), dtype=dtype)
    return np.broadcast_to(np.asarray(values, dtype=dtype), shape)


def _split(flat: Floats, sizes: Mapping[str, int]) -> dict[str, Floats]:
    ends = np.cumsum(list(sizes.values()))
    return dict(zip(sizes, np.split(flat, ends[:-1], axis=1), strict=True))
