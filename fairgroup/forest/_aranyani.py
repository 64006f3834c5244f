"""Soft oblique forests that learn from a stream: what classifier and regressor share.

Basu Roy Chowdhury, Monath, Beirami, Kidambi, Dubey, Ahmed, Chaturvedi, "Enhancing Group Fairness
in Online Settings Using Oblique Decision Forests", ICLR 2024 (arXiv 2310.11401).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator

from fairgroup.exceptions import FairgroupWarning, FairnessWarning, UnseenGroupError
from fairgroup.forest._export import ReadableTrees
from fairgroup.forest._passes import ForwardPasses
from fairgroup.forest._pending import DelayedLabels
from fairgroup.forest._saved import SavedState
from fairgroup.forest._state import (
    ALARM,
    DEMOGRAPHIC_PARITY,
    EQUAL_OPPORTUNITY,
    EQUALIZED_ODDS,
    FIXED,
    NODE,
    OUTPUT,
    RUNNING,
    UNSCALED,
    Rules,
    fresh_state,
    leaf_view,
    node_view,
    tally_views,
)
from fairgroup.forest._stream_kernels import WHOLE, learn_rows
from fairgroup.groups import GroupEncoder
from fairgroup.groups._consume import GroupConsumer, encode_groups
from fairgroup.utils._sklearn import Interval, StrOptions
from fairgroup.utils._validation import as_generator

__all__ = ["AranyaniBase"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]

LEVELS = {"node": NODE, "output": OUTPUT}
NOTIONS = {
    None: DEMOGRAPHIC_PARITY,
    "demographic_parity": DEMOGRAPHIC_PARITY,
    "equal_opportunity": EQUAL_OPPORTUNITY,
    "equalized_odds": EQUALIZED_ODDS,
}
# Rules that say which arrays there are or what they mean, and their parameters.
BUILT_IN = {
    "n_trees": "n_estimators",
    "depth": "max_depth",
    "level": "level",
    "notion": "constraint",
    "fair": "Whether there is a fairness term (constraint, fairness_weight)",
    "scaling": "standardize",
    "scale_target": "standardize_target",
}
SCALINGS = {None: UNSCALED, "running": RUNNING, "fit": FIXED}


class AranyaniBase(
    ForwardPasses, ReadableTrees, DelayedLabels, SavedState, GroupConsumer, BaseEstimator
):
    """Everything but the label; see the subclasses for the parameters."""

    __metadata_request__partial_fit: ClassVar = {"sensitive_groups": False}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "max_depth": [Interval(Integral, 1, None, closed="left")],
        "fairness_weight": [Interval(Real, 0, None, closed="left")],
        "max_unfairness": [None, Interval(Real, 0, None, closed="left")],
        "level": [StrOptions(set(LEVELS))],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "huber_slope": [StrOptions({"unit", "delta"})],
        "group_reduction": [StrOptions({"mean", "max"})],
        "decay": [Interval(Real, 0, 1, closed="right")],
        "wait_for_groups": ["boolean"],
        "optimizer": [StrOptions({"adam", "sgd"})],
        "learning_rate": [Interval(Real, 0, None, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "dual_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "standardize": [None, StrOptions({"running", "fit"})],
        "init_scale": [StrOptions({"sqrt"}), Interval(Real, 0, None, closed="neither")],
        "encoder": [None, GroupEncoder, FrozenEstimator],
        "random_state": ["random_state"],
    }

    # The subclasses' __init__ store these.
    n_estimators: int
    max_depth: int
    fairness_weight: float
    max_unfairness: float | None
    level: str
    constraint: str | None
    huber_delta: float
    huber_slope: str
    group_reduction: str
    decay: float
    wait_for_groups: bool
    optimizer: str
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    dual_learning_rate: float
    batch_size: int
    n_epochs: int
    shuffle: bool
    standardize: str | None
    init_scale: float | str
    encoder: GroupEncoder | None
    random_state: Any

    n_features_in_: int
    encoder_: GroupEncoder | None

    @property
    def _n_classes(self) -> int:
        """Columns of a leaf; 1 for numbers."""
        raise NotImplementedError

    def _check_batch(self, X: Any, y: Any, *, first: bool, least: int) -> tuple[Floats, Floats]:
        """Features, and labels as the loop reads them."""
        raise NotImplementedError

    def _check_labels(self, y: NDArray) -> Floats:
        """Labels as the loop reads them."""
        raise NotImplementedError

    @property
    def _is_fair(self) -> bool:
        wanted = self.fairness_weight > 0 or self.max_unfairness is not None
        return self.constraint is not None and wanted

    @property
    def _first_weight(self) -> float:
        return float(self.fairness_weight) if self._is_fair else 0.0

    # ---- learning -------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, sensitive_features: Any) -> Self:
        """Forget everything and run through the rows ``n_epochs`` times."""
        self._forget()
        X, y = self._check_batch(X, y, first=True, least=1)
        encoder, codes = self._encode(sensitive_features, len(X), None)
        self._fit_checked(X, y, encoder, codes)
        self._warn_about_groups(codes)
        return self

    def _fit_checked(
        self, X: Floats, y: Floats, encoder: GroupEncoder | None, codes: Codes
    ) -> None:
        self._start(X.shape[1], encoder)
        self._fix_scaler(X)
        for rows in self._epochs(len(X)):
            self._run(X[rows], y[rows], codes[rows], WHOLE)

    def _epochs(self, n_rows: int) -> Iterator[slice | NDArray[np.intp]]:
        """Order of the rows in each pass."""
        generator = as_generator(self._seed).spawn(1)[0]
        for _ in range(self.n_epochs):
            yield generator.permutation(n_rows) if self.shuffle else slice(None)

    def _learn(
        self,
        X: Any,
        y: Any,
        *,
        sensitive_features: Any,
        sensitive_groups: Any = None,
    ) -> Floats:
        """Validate a batch, learn it row by row, and return the outputs (n, C) before."""
        first = not hasattr(self, "_state")
        least = 0 if hasattr(y, "__len__") and len(y) == 0 else 1
        if first:
            self._validate_params()
        X, y = self._check_batch(X, y, first=first, least=least)
        known = getattr(self, "encoder_", None)
        encoder, codes = self._encode(sensitive_features, len(X), sensitive_groups)
        if first:
            self._start(X.shape[1], encoder)
        else:
            self._follow_parameters()
        if not first and encoder is not known:
            self._open_groups(encoder)
        if encoder is not known:
            self._warn_about_lone_group()
        self._fix_scaler(X)
        return self._run(X, y, codes, WHOLE)

    def _run(self, X: Floats, y: Floats, codes: Codes, mode: int, outputs: Any = None) -> Floats:
        """Hand checked rows to the compiled loop."""
        rules, state = self._rules, self._state
        if outputs is None:
            outputs = np.empty((len(X), rules.n_outputs))
        tally = tally_views(state.tally, rules.n_groups, rules.n_classes)
        leaves = leaf_view(state.theta, rules)
        X = np.ascontiguousarray(X)
        learn_rows(X, y, codes, state, tally, leaves, rules, mode, outputs)
        if state.counters[ALARM] == 1:
            state.counters[ALARM] = 2  # said once
            warnings.warn(
                "More than 99 % of the node outputs of 100 rows were 0 or 1 to six digits: such "
                "nodes hardly learn. Standardise the features, or use standardize='running'.",
                FairgroupWarning,
                stacklevel=4,
            )
        return outputs

    def _start(self, n_features: int, encoder: GroupEncoder | None) -> None:
        """Draw the parameters: weights, then biases, then leaves, as published."""
        self._seed = self._drawn_seed()
        self.encoder_ = encoder
        rules = self._make_rules(n_features, self._count_groups(encoder))
        generator = as_generator(self._seed)
        scale = self.init_scale
        factor = 1.0 / np.sqrt(n_features + 1) if isinstance(scale, str) else float(scale)
        theta = np.empty(rules.n_parameters)
        nodes, leaves = node_view(theta, rules), leaf_view(theta, rules)
        nodes[..., :-1] = factor * generator.normal(size=(*nodes.shape[:2], n_features))
        nodes[..., -1] = factor * generator.normal(size=nodes.shape[:2])
        leaves[:] = generator.uniform(size=leaves.shape)
        self._rules = rules
        self._state = fresh_state(rules, theta, fairness_weight=self._first_weight)
        self._reset_pending()

    def _drawn_seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(as_generator(self.random_state).integers(2**31 - 1))

    def _make_rules(self, n_features: int, n_groups: int) -> Rules:
        notion = NOTIONS[self.constraint]
        target = self.max_unfairness
        return Rules(
            n_trees=int(self.n_estimators),
            depth=int(self.max_depth),
            n_classes=self._n_classes,
            n_features=n_features,
            n_groups=n_groups,
            n_strata=self._n_classes if notion == EQUALIZED_ODDS else 1,
            level=LEVELS[self.level],
            notion=notion,
            fair=bool(self._is_fair),
            wait=bool(self.wait_for_groups),
            unit_slope=self.huber_slope == "unit",
            largest_pair=self.group_reduction == "max",
            delta=float(self.huber_delta),
            decay=float(self.decay),
            adam=self.optimizer == "adam",
            learning_rate=float(self.learning_rate),
            beta_1=float(self.beta_1),
            beta_2=float(self.beta_2),
            epsilon=float(self.epsilon),
            batch_size=int(self.batch_size),
            scaling=SCALINGS[self.standardize],
            scale_target=bool(getattr(self, "standardize_target", False)),
            max_unfairness=float("nan") if target is None else float(target),
            dual_rate=float(self.dual_learning_rate),
        )

    def _follow_parameters(self) -> None:
        """Let parameters that were set since the first rows take effect, where they can."""
        rules = self._make_rules(self.n_features_in_, self._rules.n_groups)
        for rule, parameter in BUILT_IN.items():
            if getattr(rules, rule) != getattr(self._rules, rule):
                raise ValueError(
                    f"{parameter} was changed after the first rows, and what has been learned "
                    "does not fit the new value; set it back, or begin anew with fit."
                )
        self._rules = rules
        if self.max_unfairness is None:
            self._state.weight[:] = self._first_weight

    def _fix_scaler(self, X: Floats) -> None:
        """Under ``standardize="fit"`` the first rows fix the scale."""
        scaler = self._state.scaler
        if self._rules.scaling == FIXED and len(X) and scaler[0, 0] == 0:
            scaler[0] = len(X)
            scaler[1] = X.mean(axis=0)
            scaler[2] = ((X - scaler[1]) ** 2).sum(axis=0)

    def _forget(self) -> None:
        """Back to before the first row."""
        for name in ("_state", "_rules", "encoder_", "feature_names_in_", "n_features_in_"):
            if hasattr(self, name):
                delattr(self, name)

    # ---- groups ---------------------------------------------------------------------------

    @staticmethod
    def _count_groups(encoder: GroupEncoder | None) -> int:
        return 1 if encoder is None else len(encoder.labels_)

    def _encode(
        self, sensitive_features: Any, n_rows: int, declared: Any
    ) -> tuple[GroupEncoder | None, Codes]:
        """Groups of rows to learn from; the first rows, or ``declared``, say which there are."""
        known = getattr(self, "encoder_", None)
        begun = hasattr(self, "_state") and self.t_ > 0
        if declared is not None and known is not None:
            self._transform(known, declared)  # refuses groups that are not known
        elif declared is not None and not begun:
            known = self._encoder_for(declared)
        if n_rows == 0:
            return known, np.empty(0, dtype=np.int32)
        if known is None and not begun:
            if sensitive_features is None and not self._is_fair:
                return None, np.zeros(n_rows, dtype=np.int32)
            known, groups = encode_groups(
                sensitive_features, n_rows, encoder=self.encoder, estimator=self
            )
            return known, groups.codes
        return known, self._look_up(known, sensitive_features, n_rows)

    def _encoder_for(self, declared: Any) -> GroupEncoder:
        """Encoder of declared groups, which say nothing about sizes; a frozen one stays."""
        encoder = GroupEncoder() if self.encoder is None else self.encoder
        if not encoder.intersections:
            raise ValueError(
                f"{type(self).__name__} needs every row in one group, but the encoder has "
                "intersections=False; set it to True."
            )
        if isinstance(encoder, FrozenEstimator):
            return encoder
        return clone(encoder).set_params(min_group_size=0).fit(declared)

    def _look_up(
        self, encoder: GroupEncoder | None, sensitive_features: Any, n_rows: int
    ) -> Codes:
        """Codes of further rows, among the groups that are known."""
        if sensitive_features is None:
            if encoder is None:
                return np.zeros(n_rows, dtype=np.int32)
            if self._is_fair:
                warnings.warn(
                    f"{n_rows} rows came without sensitive_features; they train the task only.",
                    FairnessWarning,
                    stacklevel=5,
                )
            return np.full(n_rows, -1, dtype=np.int32)
        if encoder is None:
            raise ValueError(
                "sensitive_features was given, but the first rows had none. Give it from the "
                "start, or name the groups with sensitive_groups in the first partial_fit."
            )
        codes = self._transform(encoder, sensitive_features)
        if len(codes) != n_rows:
            raise ValueError(
                f"sensitive_features has {len(codes)} rows, but X has {n_rows}; "
                "both must describe the same rows."
            )
        return codes

    def _transform(self, encoder: GroupEncoder, attributes: Any) -> Codes:
        try:
            return encoder.transform(attributes).codes
        except UnseenGroupError as error:
            raise UnseenGroupError(
                f"{error} Known are {', '.join(map(repr, self._names(encoder)))}; name all groups "
                "with sensitive_groups in the first partial_fit."
            ) from error

    @staticmethod
    def _names(encoder: GroupEncoder) -> list[str]:
        return [", ".join(map(str, label)) for label in encoder.labels_]

    def _open_groups(self, encoder: GroupEncoder | None) -> None:
        """Make room for groups after a start without rows."""
        self.encoder_ = encoder
        self._rules = self._make_rules(self.n_features_in_, self._count_groups(encoder))
        theta = self._state.theta
        self._state = fresh_state(self._rules, theta, fairness_weight=self._first_weight)

    def _warn_about_groups(self, codes: Codes) -> None:
        if self._is_fair and self.encoder_ is not None and len(np.unique(codes[codes >= 0])) < 2:
            warnings.warn(
                "All rows are in one group: nothing was done for fairness.",
                FairnessWarning,
                stacklevel=4,
            )

    def _warn_about_lone_group(self) -> None:
        if self._is_fair and self._rules.n_groups == 1 and self.encoder_ is not None:
            warnings.warn(
                f"The only group is {self.groups_[0]!r}, and no other one can join: nothing will "
                "be done for fairness. Name all groups with sensitive_groups in the first "
                "partial_fit.",
                FairnessWarning,
                stacklevel=4,
            )

    def to_river(
        self, *, sensitive_features: Any = (), classes: Any = None, groups: Any = None
    ) -> Any:
        """Wrap this model as a river model, which shares its state.

        Parameters
        ----------
        sensitive_features : sequence of str, default=()
            Keys of ``x`` that are protected attributes; they are not features.
        classes : array-like, default=None
            All classes. None: False and True, or 0 and 1, after the first label.
        groups : array-like or DataFrame, default=None
            Rows of attributes that show all groups, as ``sensitive_groups`` of `partial_fit`.
            Needed if the model has not learned yet and ``sensitive_features`` are named.

        Returns
        -------
        model : river.base.Classifier or river.base.Regressor
        """
        from fairgroup.forest._river import wrap

        return wrap(self, sensitive_features, classes, groups)
