"""Where does a disparity come from: inside the sites, or from the way the groups are spread over
them.

Hamman and Dutta, "Demystifying Local & Global Fairness Trade-offs in Federated Learning Using
Partial Information Decomposition", ICLR 2024: global disparity = unique + redundant, local
disparity = unique + masked.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.groups._shown import GroupsShown
from fairgroup.information._analysis import Settings, analyse, analyse_margins
from fairgroup.information._counts import Levels, encode
from fairgroup.information._display import DisparityDecompositionDisplay
from fairgroup.information._explain import explain
from fairgroup.information._measures import as_tables
from fairgroup.information._pid import SOLVERS
from fairgroup.information._scores import is_score, learn_levels, threshold_labels
from fairgroup.information._table import LabelledTable, Rows, named_levels
from fairgroup.information._terms import TERMS
from fairgroup.utils._sklearn import HasMethods, Interval, StrOptions, fit_context

__all__ = ["DisparityDecomposition"]

Array = NDArray[np.float64]


class DisparityDecomposition(GroupsShown, BaseEstimator):
    """Split the disparity of predictions over clients into unique, redundant and masked parts.

    Global disparity is the mutual information between group and prediction in the pooled
    population (zero: statistical parity), local disparity the average of the same inside the
    clients. *Unique* disparity counts in both; *redundant* disparity is seen only in the pooled
    population, because groups and decisions differ between clients; *masked* disparity is seen
    only inside the clients and cancels in the pool. Only the counts of (group, prediction, client)
    are needed, so clients need not share rows.

    Parameters
    ----------
    base : float or "e", default=2
        Base of the logarithm; 2 gives bits.
    solver : {"auto", "closed_form", "ipm", "cvxpy"}, default="auto"
        See :func:`pid_broja`.
    tol : float, default=1e-9
        Wanted duality gap, in units of the base.
    max_iter : int, default=100
        Largest number of Newton steps.
    threshold : float or None, default=None
        Turns scores into two decisions, below and at or above it.
    score_bins : int, "auto", "isotonic" or None, default=None
        Turns scores into levels: equally filled bins (``"auto"``: 5 to 20 by sample size), or the
        steps of the isotonic regression of the group on the score (two groups only).
    bias_correction : {None, "miller-madow", "jackknife"}, default=None
        Plug-in information is biased upwards in small samples. Miller-Madow corrects global and
        local (and with them redundant and masked), the jackknife every term.
    n_bootstrap : int, default=0
        Number of multinomial resamples of the table for intervals.
    confidence_level : float, default=0.95
        Coverage of the intervals.
    ci_method : {"shifted", "hybrid", "percentile", "basic", "jackknife"}, default="shifted"
        ``"shifted"``: percentile interval minus twice the bootstrap's bias. It is an interval for
        the true value: where the plug-in bias is large (many small clients) it lies below the
        estimate, unless that is corrected. ``"hybrid"``: percentile for the unique term, basic for
        the others. All are clipped at 0. ``"jackknife"`` needs no bootstrap.
    stratify_clients : bool, default=False
        Keep the size of every client in the bootstrap.
    privacy_epsilon : float or None, default=None
        Tells that the counts carry the noise of ``client_counts(privacy_epsilon=...)``. Bootstrap
        resamples then carry it too, so that the intervals account for its spread and its bias.
    encoder : GroupEncoder or None, default=None
        How protected attributes become groups.
    random_state : int, RandomState, Generator or None, default=None
        Randomness of the bootstrap.

    Attributes
    ----------
    counts_ : ndarray of shape (n_groups, n_levels, n_clients)
        The table.
    z_labels_, y_labels_, client_labels_ : tuple
        Levels along its axes.
    n_samples_ : float
        Rows, or the sum of weights.
    global_disparity_, local_disparity_ : float
        I(group; prediction) and I(group; prediction | client).
    unique_, redundant_, masked_ : float
        ``global_disparity_ = unique_ + redundant_`` and ``local_disparity_ = unique_ + masked_``.
    unique_client_ : float
        What only the client tells about the group.
    client_information_ : float
        I(group; client): how unevenly the groups are spread.
    client_disparity_, client_weight_ : ndarray of shape (n_clients,)
        Disparity inside each client and its share of the rows; the products sum to
        ``local_disparity_``.
    statistical_parity_ : float
        Largest difference of the predictions' laws between two groups (total variation; for two
        decisions the demographic parity difference).
    client_statistical_parity_ : ndarray of shape (n_clients,)
        The same inside each client; NaN where a client has one group only.
    parity_ : DataFrame
        The same split in units of statistical parity, each group against the rest: columns unique,
        redundant, masked, global, local; with two groups both rows agree.
    duality_gap_ : float
        The true unique disparity lies in ``[unique_ - duality_gap_, unique_]`` (before bias
        correction).
    solver_ : {"closed_form", "ipm", "cvxpy"}
        What was used.
    confidence_intervals_ : dict of str to tuple
        Interval of each term (and ``"parity_..."`` with two groups); empty if none were asked for.
    client_intervals_ : ndarray of shape (n_clients, 2) or None
        Intervals of ``client_weight_ * client_disparity_``.
    standard_errors_, bias_ : dict of str to float
        Of each term, from the jackknife or the bootstrap; the bias is zero where it was not
        estimated.
    p_value_global_, p_value_local_ : float
        G-tests of global and of local fairness; NaN for weighted tables.

    See Also
    --------
    FairnessFrontier : The best accuracy that any model can reach at given disparities.
    pid_broja : The decomposition of a plain table.

    References
    ----------
    Hamman and Dutta, ICLR 2024, Definition 3 and Section 3; Bertschinger et al., Entropy 16
    (2014).

    Examples
    --------
    Two hospitals, each fair inside; the groups and the admission rates differ between them.

    >>> import numpy as np
    >>> from fairgroup.information import DisparityDecomposition
    >>> table = np.zeros((2, 2, 2))
    >>> table[:, :, 0] = [[360, 40], [90, 10]]
    >>> table[:, :, 1] = [[50, 50], [200, 200]]
    >>> audit = DisparityDecomposition().fit_counts(table)
    >>> print(f"global {audit.global_disparity_:.3f} local {abs(audit.local_disparity_):.3f}")
    global 0.051 local 0.000
    >>> print(f"redundant {audit.redundant_:.3f}")
    redundant 0.051
    """

    _parameter_constraints = {
        "base": [Interval(Real, 1, None, closed="neither"), StrOptions({"e"})],
        "solver": [StrOptions(set(SOLVERS))],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "threshold": [Interval(Real, None, None, closed="neither"), None],
        "score_bins": [
            Interval(Integral, 2, None, closed="left"),
            StrOptions({"auto", "isotonic"}),
            None,
        ],
        "bias_correction": [StrOptions({"miller-madow", "jackknife"}), None],
        "n_bootstrap": [Interval(Integral, 0, None, closed="left")],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "ci_method": [StrOptions({"shifted", "hybrid", "percentile", "basic", "jackknife"})],
        "stratify_clients": ["boolean"],
        "privacy_epsilon": [Interval(Real, 0, None, closed="neither"), None],
        "encoder": [HasMethods(["fit", "transform"]), None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        *,
        base: float | str = 2,
        solver: str = "auto",
        tol: float = 1e-9,
        max_iter: int = 100,
        threshold: float | None = None,
        score_bins: int | str | None = None,
        bias_correction: str | None = None,
        n_bootstrap: int = 0,
        confidence_level: float = 0.95,
        ci_method: str = "shifted",
        stratify_clients: bool = False,
        privacy_epsilon: float | None = None,
        encoder: GroupEncoder | None = None,
        random_state: Any = None,
    ) -> None:
        self.base = base
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.threshold = threshold
        self.score_bins = score_bins
        self.bias_correction = bias_correction
        self.n_bootstrap = n_bootstrap
        self.confidence_level = confidence_level
        self.ci_method = ci_method
        self.stratify_clients = stratify_clients
        self.privacy_epsilon = privacy_epsilon
        self.encoder = encoder
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        y_pred: Any,
        *,
        sensitive_features: Any,
        clients: Any = None,
        given: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Count and decompose.

        Parameters
        ----------
        y_pred : array-like of shape (n_samples,)
            Decisions, or scores together with ``threshold`` or ``score_bins``. Dask series of one
            frame are reduced to counts by Dask; then all arguments must be Dask series.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Protected attributes.
        clients : array-like of shape (n_samples,) or (n_samples, n_columns)
            Second source: the site of each row, or the true label (statistical parity against
            equalized odds), a feature, a region, a period of time.
        given : array-like
            Another name for ``clients`` that reads better for those other sources.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights; intervals and tests then are not available.

        Returns
        -------
        self : DisparityDecomposition

        Raises
        ------
        ValueError
            For different lengths, missing values, or scores with too many levels to be decisions.

        Warns
        -----
        FairnessWarning
            When there is only one group, one level of prediction or one client.
        """
        self._forget()
        return self._count(y_pred, sensitive_features, _one_of(clients, given), sample_weight)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        y_pred: Any,
        *,
        sensitive_features: Any,
        clients: Any = None,
        given: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Add rows to the table and decompose again; new groups, levels and clients may appear.

        Score bins are learned from the first call.

        Parameters
        ----------
        y_pred, sensitive_features, clients, given, sample_weight
            As in :meth:`fit`.

        Returns
        -------
        self : DisparityDecomposition
        """
        return self._count(y_pred, sensitive_features, _one_of(clients, given), sample_weight)

    @fit_context(prefer_skip_nested_validation=True)
    def fit_counts(
        self, table: ArrayLike, *, labels: Sequence[Sequence[Hashable]] | None = None
    ) -> Self:
        """Decompose a table of counts.

        Parameters
        ----------
        table : array-like of shape (n_groups, n_levels, n_clients)
            Counts with the axes group, prediction, client.
        labels : sequence of three sequences, default=None
            Levels along the axes; None numbers them.

        Returns
        -------
        self : DisparityDecomposition

        Raises
        ------
        ValueError
            For a table that is not three-dimensional, negative or all zero, or labels that do not
            fit it.
        """
        self._forget()
        self._add(LabelledTable.from_counts(table, labels, "group, prediction, client"))
        return self._analyse()

    @classmethod
    def from_aggregates(
        cls,
        global_table: ArrayLike,
        group_sizes: ArrayLike,
        local_sum: float | None = None,
        *,
        labels: Sequence[Sequence[Hashable]] | None = None,
        **params: Any,
    ) -> Self:
        """Decompose without seeing any client's decisions.

        Unique and redundant disparity depend on the pooled table, which a secure sum delivers, and
        on the clients' group sizes; the local and the masked one need one further number per
        client, again summed.

        Parameters
        ----------
        global_table : array-like of shape (n_groups, n_levels)
            Sum over clients of their tables (group, prediction).
        group_sizes : array-like of shape (n_groups, n_clients)
            Rows of each group at each client.
        local_sum : float, default=None
            Sum over clients of (rows times disparity inside the client), in units of ``base``.
            None leaves local and masked disparity NaN.
        labels : sequence of three sequences, default=None
            Names of groups, levels and clients.
        **params : dict
            Parameters of the constructor.

        Returns
        -------
        decomposition : DisparityDecomposition
            Fitted, without intervals and without per-client values.

        Raises
        ------
        ValueError
            When the two tables disagree on the sizes of the groups.
        """
        self = cls(**params)
        self._validate_params()
        pooled = as_tables(global_table, n_axes=2, name="global_table")
        sizes = as_tables(group_sizes, n_axes=2, name="group_sizes")
        if pooled.shape[0] != sizes.shape[0] or not np.allclose(pooled.sum(1), sizes.sum(1)):
            raise ValueError(
                f"global_table counts {pooled.sum(1).tolist()} rows per group and group_sizes "
                f"{sizes.sum(1).tolist()}; "
                "both must describe the same rows."
            )
        shape = (*pooled.shape, sizes.shape[1])
        self.z_labels_, self.y_labels_, self.client_labels_ = named_levels(labels, shape)
        self.counts_ = None
        self._set(
            analyse_margins(
                pooled,
                sizes,
                local_sum,
                base=self.base,
                solver=self.solver,
                tol=self.tol,
                max_iter=self.max_iter,
            )
        )
        return self

    def merge(self, other: DisparityDecomposition) -> Self:
        """Add the table of another decomposition and decompose again.

        Parameters
        ----------
        other : DisparityDecomposition
            Fitted on rows (not from aggregates).

        Returns
        -------
        self : DisparityDecomposition

        Raises
        ------
        ValueError
            When one of the two holds no table.
        """
        check_is_fitted(other)
        check_is_fitted(self)
        table = other._table()
        if self._table() is None or table is None:
            raise ValueError(
                "merge needs two decompositions with counts; one was made from aggregates."
            )
        self._add(table)
        return self._analyse()

    def summary(self) -> pd.DataFrame:
        """Return one row per term: estimate, interval, standard error and bias.

        Returns
        -------
        summary : DataFrame
            In units of ``base``; with two groups also the split in units of statistical parity.
        """
        check_is_fitted(self)
        values = dict(zip(TERMS, self._five, strict=True))
        if len(self.z_labels_) == 2 and self.counts_ is not None:
            values |= {f"parity_{name}": float(self.parity_[name].iloc[0]) for name in TERMS}
        rows = {
            name: {
                "estimate": value,
                "lower": self.confidence_intervals_.get(name, (np.nan, np.nan))[0],
                "upper": self.confidence_intervals_.get(name, (np.nan, np.nan))[1],
                "standard_error": self.standard_errors_.get(name, np.nan),
                "bias": self.bias_.get(name, 0.0),
            }
            for name, value in values.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("term")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per client: its share of the rows, disparity, contribution to the local
        one, parity gap.

        Returns
        -------
        frame : DataFrame
        """
        check_is_fitted(self)
        if self.counts_ is None:
            raise ValueError("A decomposition from aggregates has no values per client.")
        frame = pd.DataFrame(
            {
                "weight": self.client_weight_,
                "disparity": self.client_disparity_,
                "contribution": self.client_weight_ * self.client_disparity_,
                "statistical_parity": self.client_statistical_parity_,
            },
            index=pd.Index(self.client_labels_, name="client", tupleize_cols=False),
        )
        if self.client_intervals_ is not None:
            frame["lower"], frame["upper"] = self.client_intervals_.T
        return frame

    def explain(self) -> str:
        """Say in plain words what was found.

        Returns
        -------
        text : str
        """
        check_is_fitted(self)
        return explain(self)

    def _groups_seen(self) -> list[tuple[str, str]]:
        return [(str(label), "") for label in getattr(self, "z_labels_", ())]

    def plot(self, **kwargs: Any) -> DisparityDecompositionDisplay:
        """Draw the terms as stacked bars, and the clients.

        Parameters
        ----------
        **kwargs : dict
            Handed to :meth:`DisparityDecompositionDisplay.from_estimator`.

        Returns
        -------
        display : DisparityDecompositionDisplay
        """
        return DisparityDecompositionDisplay.from_estimator(self, **kwargs)

    def _forget(self) -> None:
        for name in ("counts_", "score_levels_"):
            if hasattr(self, name):
                delattr(self, name)

    def _count(
        self, y_pred: Any, sensitive_features: Any, clients: Any, sample_weight: Any
    ) -> Self:
        if clients is None:
            warnings.warn(
                "No clients were given: the data is one client, and all disparity is unique.",
                FairnessWarning,
                stacklevel=4,
            )
        rows = Rows(
            y_pred,
            sensitive_features,
            clients,
            sample_weight,
            encoder=self.encoder,
            estimator=self,
        )
        self._add(rows.table(*self._predictions(rows)))
        return self._analyse()

    def _predictions(self, rows: Rows) -> tuple[NDArray[np.int64], Levels]:
        """Codes and labels: decisions as they are, scores by threshold or bins."""
        if self.threshold is None and self.score_bins is None:
            if is_score(np.asarray(rows.values).ravel()):
                raise ValueError(
                    "y_pred holds continuous scores. Give threshold=... to turn them into "
                    "decisions, or score_bins=... ('auto' is a good start) to decompose scores."
                )
            return encode(rows.values, name="y_pred")
        score = np.asarray(rows.values, dtype=np.float64).ravel()
        if not np.isfinite(score).all():
            raise ValueError(
                "y_pred holds NaN or infinite scores; leave these rows out or fill them."
            )
        if self.threshold is not None:
            return (score >= self.threshold).astype(np.int64), threshold_labels(self.threshold)
        if not hasattr(self, "score_levels_"):
            self.score_levels_ = learn_levels(
                score, self.score_bins or "auto", rows.groups.codes, rows.weight
            )
        return self.score_levels_.encode(score), self.score_levels_.labels

    def _table(self) -> LabelledTable | None:
        if getattr(self, "counts_", None) is None:
            return None
        return LabelledTable(self.counts_, (self.z_labels_, self.y_labels_, self.client_labels_))

    def _add(self, table: LabelledTable) -> None:
        """Add a table to the one there is; the levels become the sorted union."""
        mine = self._table()
        total = table if mine is None else mine + table
        self.counts_: Array | Any = total.counts
        self.z_labels_, self.y_labels_, self.client_labels_ = total.labels

    def _analyse(self) -> Self:
        """Decompose the table and set what follows from it."""
        params = self.get_params(deep=False)
        settings = Settings(**{name: params[name] for name in Settings.__dataclass_fields__})
        self._set(analyse(self.counts_, settings))
        self.parity_ = pd.DataFrame(
            self._parity,
            columns=list(TERMS),
            index=pd.Index(self.z_labels_, name="group", tupleize_cols=False),
        )
        return self

    def _set(self, found: dict[str, Any]) -> None:
        """Set the results; a trailing underscore makes them public."""
        self._five = found.pop("five")
        self._parity = found.pop("parity", None)
        (
            self.unique_,
            self.redundant_,
            self.masked_,
            self.global_disparity_,
            self.local_disparity_,
        ) = map(float, self._five)
        for name, value in found.items():
            setattr(self, f"{name}_", value)


def _one_of(clients: Any, given: Any) -> Any:
    if clients is not None and given is not None:
        raise ValueError(
            "clients and given are two names for the same argument; give one of them."
        )
    return given if clients is None else clients
