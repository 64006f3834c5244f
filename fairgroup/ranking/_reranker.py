"""The re-ranker: multipliers that bring the audience of an item close to its eligible audience.

Inspired by the variance reduction system of Timmaraju et al. (KDD 2023); the design is our own.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups._frame import sensitive_frame
from fairgroup.ranking import _kernels as k
from fairgroup.ranking._auctions import AuctionLog, read_audience
from fairgroup.ranking._controller import Controller
from fairgroup.ranking._fitting import learn_q_table, search_parameters, starting_parameters
from fairgroup.ranking._impressions import membership_rows, positions_of
from fairgroup.ranking._ledger import Ledger
from fairgroup.ranking._noise import NoisyCounter, on_grid
from fairgroup.ranking._policies import empty_state
from fairgroup.ranking._ranks import Ranks
from fairgroup.ranking._variance import expected_variance
from fairgroup.utils._validation import as_generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class VarianceAwareReranker(Ranks, Ledger, Controller):
    """Re-rank items so that those who see each item resemble those who are eligible to see it.

    The delivered audience of every covered ad (or job, or other item) is measured for several
    protected attributes at once, in batches, as noisy aggregate counts. From these counts alone a
    controller sets one multiplier for every ad and user *cluster*; nothing that is known about an
    individual's protected attributes enters a ranking.

    Parameters
    ----------
    policy : {"pi", "threshold", "q", "sign"}, default="pi"
        ``"pi"``: proportional-integral control of the log-multipliers. ``"threshold"``: boost or
        cut by the sign of the variance's gradient. ``"q"``: boost levels chosen by a Q-table that
        was learned in simulation. ``"sign"``: compares each *individual's* own level; for audits
        of such rules only, and refused without ``allow_individual_attributes=True``.
    kp, ki : float, default=2.0 and None
        Gains of ``"pi"``; ``ki=None`` is 0.002 times ``batch_size``.
    m_min, m_max : float, default=0.25 and 4.0
        Hard limits of every multiplier, m_min <= 1 <= m_max. ``m_min=1`` only boosts.
    m_up, m_down : float or None, default=2.0 and 0.5
        Multipliers of ``"threshold"`` and ``"sign"``. None calibrates them per ad on the auctions
        given to `fit`: boosted, the ad would win 40 % of its auctions, cut it would lose 85 %.
    dead_zone : float, default=0.0
        Smallest score that ``"threshold"``, ``"q"`` and ``"sign"`` act on.
    batch_size : int, default=50
        Impressions of an ad between two snapshots (releases of its counts).
    min_impressions : int, default=0
        An ad keeps multiplier 1 until it has more impressions than this.
    attribute_weights : mapping of attribute to float, default=None
        Weight of each attribute in the score; None weighs all by 1.
    noise : NoisyCounter or None, default=None
        Settings of the privacy noise added to every released count, separately for each attribute.
        None releases exact counts.
    hold_while_noisy : bool, default=True
        With noise: keep an attribute's weights as they are while the released total is below
        max(batch_size, 5 K sigma).
    anti_windup : bool, default=False
        ``"pi"``: do not integrate in a snapshot in which over half of the ad's multipliers were at
        a limit.
    max_value_loss : float or None, default=None
        Cost guardrail: an ad is not boosted while the share of value given up by showing it
        instead of the usual winners is above this.
    min_reach : float or None, default=None
        Reach floor: an ad is not cut while its impressions are below this share of those it would
        have had in the same auctions without multipliers.
    coverage_threshold, coverage_min_impressions : float and int, default=0.10 and 300
        Coverage that `fit` maximises.
    cost_weight : float, default=0.5
        Weight of the lost share of total value in the objective of `fit`.
    action_cost, discount, learning_rate : float, default=0.02, 0.9 and 0.05
        Reward and step of ``"q"``.
    search_iterations, search_candidates, search_worlds : int, default=20, 16 and 2
        Cross-entropy search of `fit` (``"pi"``, ``"threshold"``); ``"q"`` learns for
        search_iterations times search_worlds episodes. ``search_iterations=0`` keeps the
        parameters as given.
    allow_individual_attributes : bool, default=False
        Must be True for ``policy="sign"``.
    n_jobs : int or None, default=None
        Threads of the search. The result does not depend on it.
    verbose : bool, default=False
        Show the progress of the search.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of search and simulation. The privacy noise of live releases comes from the
        cryptographically safe source unless ``noise`` itself has a ``random_state``.

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
        Multiplier of every ad for every cluster (for every combination of own levels with
        ``"sign"``).
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
    Timmaraju et al., "Towards Fairness in Personalized Ads Using Impression Variance Aware
    Reinforcement Learning", KDD 2023 (arXiv 2306.03293). Their formulas, parameters and results
    are not public; this is our own design.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.ranking import VarianceAwareReranker
    >>> eligible = {"sex": [[0.5, 0.5]]}
    >>> composition = {"sex": [[0.9, 0.1], [0.1, 0.9]]}
    >>> reranker = VarianceAwareReranker(batch_size=10).fit(
    ...     eligible=eligible, composition=composition
    ... )
    >>> _ = reranker.partial_fit(
    ...     np.zeros(10, dtype=int), sensitive_features={"sex": [0] * 9 + [1]}
    ... )
    >>> reranker.multipliers([0, 0], [0, 1]).round(2)
    array([0.27, 3.64])
    """

    @classmethod
    def published(cls, **overrides: Any) -> Self:
        """Settings of the only public simulation of the system.

        The paper's own settings are not public. These are those of a third-party research
        simulation: a binary boost or cut by 2 and 0.5 after every 10 impressions, with Gaussian
        noise of epsilon 1 and delta 0.1.

        Parameters
        ----------
        **overrides
            Any parameter.

        Returns
        -------
        reranker : VarianceAwareReranker
        """
        noise = NoisyCounter(noise="gaussian", epsilon=1.0, delta=0.1)
        settings = {
            "policy": "threshold",
            "m_up": 2.0,
            "m_down": 0.5,
            "batch_size": 10,
            "noise": noise,
        }
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
            Where candidates for the parameters are tried out, all on the same random numbers. None
            keeps the parameters as they are given.
        eligible : mapping of attribute to array-like of shape (n_ads, K), default=None
            Eligible distribution of each covered ad; a DataFrame names ads (index) and levels
            (columns). None takes those of the first world.
        composition : mapping of attribute to array-like of shape (n_clusters, K), default=None
            Group composition of each user cluster, likewise.

        Returns
        -------
        self : VarianceAwareReranker

        Warns
        -----
        FairnessWarning
            When an ad of ``coverage_min_impressions`` would seem uneven (its expected variance is
            above ``coverage_threshold``) even if delivery were perfect.
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
        self._warn_where_noise_dominates()
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
            User cluster. For an attribute that neither of the next two gives, the cluster's
            composition is counted: this hides skew *within* clusters.
        sensitive_features : DataFrame or mapping of array-like of shape (n,), default=None
            Levels of each attribute, for the aggregate measurement only.
        posterior : mapping of attribute to array-like of shape (n, K), default=None
            Estimated membership instead of levels, see `bisg_posterior`.
        unadjusted_ad_id : array-like of shape (n,), default=None
            Ad that would have been shown without multipliers; needed by the guardrails.
        value, unadjusted_value : array-like of shape (n,), default=None
            Values (bid times action rate plus quality, without multipliers) of the ad shown and of
            that ad.

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
        self._feed(
            ad_id,
            cluster,
            sensitive_features,
            posterior,
            unadjusted_ad_id,
            value,
            unadjusted_value,
        )
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
        names = (
            "cluster",
            "sensitive_features",
            "posterior",
            "unadjusted_ad_id",
            "value",
            "unadjusted_value",
        )
        unknown = set(delivered) - set(names)
        if unknown:
            raise TypeError(f"progressive_predict got unexpected arguments {sorted(unknown)}.")
        return self._feed(ad_id, *(delivered.get(name) for name in names))

    def to_river(self) -> Any:
        """Wrapper with ``learn_one(x)`` and ``predict_one(x)`` around this object.

        Returns
        -------
        learner : object
            ``x`` is a dict with ``"ad_id"``, ``"cluster"`` and, to learn, one level per attribute;
            the prediction is the multiplier.
        """
        from fairgroup.ranking._river import RiverReranker

        return RiverReranker(self)

    def _worlds(self, auctions: Any) -> list[AuctionLog]:
        if auctions is None:
            return []
        if hasattr(auctions, "sample"):
            return list(auctions.sample(self.search_worlds))
        return list(auctions) if isinstance(auctions, Sequence) else [auctions]

    def _read_shares(
        self,
        logs: list[AuctionLog],
        eligible: Mapping[str, Any] | None,
        composition: Mapping[str, Any] | None,
    ) -> None:
        if eligible is None or composition is None:
            if not logs:
                raise ValueError("Give eligible and composition, or auctions to take them from.")
            eligible = logs[0].eligible if eligible is None else eligible
            composition = logs[0].composition if composition is None else composition
        assert composition is not None
        ads, clusters = read_audience(eligible, composition)
        self.attributes_: tuple[str, ...] = tuple(ads)
        self.levels_: dict[str, tuple[Hashable, ...]] = {a: t.levels for a, t in ads.items()}
        self.ad_ids_ = next(iter(ads.values())).index
        self.cluster_ids_ = next(iter(clusters.values())).index
        self.eligible_ = {a: t.values for a, t in ads.items()}
        self.composition_ = {a: t.values for a, t in clusters.items()}
        self._ad_positions = positions_of(self.ad_ids_)
        self._cluster_positions = positions_of(self.cluster_ids_)

    def _warn_where_noise_dominates(self) -> None:
        n = self.coverage_min_impressions
        if n == 0:
            return
        snapshots = -(-n // self.batch_size)
        noise_var = 0.0 if self.noise is None else float(self.noise.noise_variance(snapshots))
        for a, eligible in self.eligible_.items():
            floor = expected_variance(eligible.mean(axis=0), n, noise_var=noise_var)
            if floor > self.coverage_threshold:
                warnings.warn(
                    f"{a!r} has {eligible.shape[1]} levels: with {n} impressions even perfectly "
                    f"proportional delivery shows a variance of {floor:.2f}, more than "
                    f"{self.coverage_threshold}. Use fewer levels, less noise, or larger batches, "
                    "or judge larger ads only (coverage_min_impressions).",
                    FairnessWarning,
                    stacklevel=3,
                )

    def _contexts_of_users(self) -> dict[str, Floats]:
        """Rows of the multiplier table: clusters, or for audits combinations of own levels."""
        if self.policy != "sign":
            return self.composition_
        sizes = tuple(len(levels) for levels in self.levels_.values())
        grid = np.indices(sizes).reshape(len(sizes), -1)
        return {
            a: np.eye(n)[codes] for a, n, codes in zip(self.attributes_, sizes, grid, strict=True)
        }

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
        clusters = self._cluster_index(cluster, len(ads))
        rows = np.concatenate(
            [
                membership_rows(
                    a,
                    self.levels_[a],
                    self.composition_[a],
                    frame=frame,
                    posterior=posterior,
                    clusters=clusters,
                    covered=ads >= 0,
                )
                for a in self.attributes_
            ],
            axis=1,
        )
        contexts = (
            clusters
            if self.policy != "sign"
            else self._user_contexts(clusters, sensitive_features)
        )
        outcome = self._outcome(len(ads), unadjusted_ad_id, value, unadjusted_value)
        due = self._due_snapshots(ads)
        noise = np.zeros((due, rows.shape[1]))
        if self.noise is not None:
            noise = self.noise.draw(noise.shape, self._source)
            rows = on_grid(rows, self.noise.noise_scale)
        return k.count_impressions(
            self._state,
            self._settings,
            self._layout,
            ads,
            contexts,
            rows,
            outcome,
            noise,
            np.zeros((due, 2)),
        )

    def _due_snapshots(self, ads: Ints) -> int:
        """Number of snapshots that these impressions will cause."""
        arriving = np.bincount(ads[ads >= 0], minlength=len(self.ad_ids_))
        due = (self._state.in_batch + arriving) // self.batch_size
        if self.noise is not None and self.noise.mechanism == "tree":
            most = int((self._state.snapshots + due).max(initial=0))
            if most > self.noise.max_batches:
                raise ValueError(
                    f"An ad would have {most} snapshots, but the noise tree holds max_batches="
                    f"{self.noise.max_batches}; plan for more or use larger batches."
                )
        return int(due.sum())

    def _outcome(self, n: int, unadjusted: Any, value: Any, unadjusted_value: Any) -> Floats:
        if not self._guarded:
            return np.empty((0, 3))
        if unadjusted is None or value is None or unadjusted_value is None:
            raise ValueError(
                "max_value_loss and min_reach need unadjusted_ad_id, value and unadjusted_value "
                "of every impression."
            )
        usual = self._ad_index(np.atleast_1d(np.asarray(unadjusted)))
        return np.stack(
            [np.broadcast_to(np.asarray(x, float), n) for x in (usual, value, unadjusted_value)],
            axis=1,
        )
