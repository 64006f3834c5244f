"""What the regularised classifier and regressor share: parameters, penalty, linear fits."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from fairgroup.dependence._conditioning import CONSTRAINTS
from fairgroup.dependence._dual import smallest_weight
from fairgroup.dependence._linear import Coefficients, LinearFit, WhitenedDesign, fit_linear
from fairgroup.dependence._losses import Loss
from fairgroup.dependence._objective import Objective, Target
from fairgroup.dependence._penalty import DependencePenalty
from fairgroup.dependence._prepared_penalty import PreparedPenalty
from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import SensitiveEncoder
from fairgroup.groups._consume import GroupConsumer
from fairgroup.groups._frame import sensitive_frame
from fairgroup.utils._sklearn import Interval, StrOptions

__all__ = ["COMMON_CONSTRAINTS", "DependenceModel"]

Floats = NDArray[np.float64]

COMMON_CONSTRAINTS = {
    "fairness_weight": [Interval(Real, 0, None, closed="left")],
    "max_unfairness": [Interval(Real, 0, None, closed="neither"), None],
    "penalty": [StrOptions({"ccdcov", "jdcov", "sum_dcov", "dcor", "joint"})],
    "c": [Interval(Real, 0, None, closed="neither")],
    "constraint": [StrOptions(set(CONSTRAINTS))],
    "normalise": [StrOptions({"dvar"}), None],
    "encoder": [SensitiveEncoder, None],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "hidden_layer_sizes": ["array-like"],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "optimizer": [StrOptions({"adam", "adamw", "sgd"})],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "batch_size": [
        StrOptions({"auto", "full"}),
        Interval(Integral, 4, None, closed="left"),
    ],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "warm_start": ["boolean"],
    "device": [StrOptions({"auto", "cpu", "cuda"})],
    "mixed_precision": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}

_OF_LINEAR = ("coef_", "intercept_", "optimality_")
_OF_NETWORKS = ("module_", "_net", "_net_inputs", "_generator")


class DependenceModel(GroupConsumer, BaseEstimator):
    """Fit scores under loss plus penalty; subclasses know about targets and predictions."""

    __metadata_request__fit: ClassVar = {"control_features": True}
    __metadata_request__partial_fit: ClassVar = {"control_features": True}

    fairness_weight: float
    max_unfairness: float | None
    penalty: str
    c: float
    constraint: str
    normalise: str | None
    penalise: str
    encoder: SensitiveEncoder | None
    alpha: float
    model: Any
    hidden_layer_sizes: Any
    dropout: float
    optimizer: str
    learning_rate: float
    batch_size: Any
    max_iter: int
    tol: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    warm_start: bool
    device: str
    mixed_precision: bool
    random_state: Any
    verbose: Any

    def _prepare(
        self,
        sensitive_features: Any,
        n_samples: int,
        *,
        y: Any,
        control_features: Any,
        sample_weight: Any,
        again: bool = False,
    ) -> PreparedPenalty | None:
        """Bind the penalty to the rows; None without protected attributes, with a warning.

        ``again`` keeps the encoder of an earlier call; too few rows are then no error.
        """
        encoder = getattr(self, "encoder_", None) if again else None
        encoder = self.encoder if encoder is None else encoder
        if sensitive_features is None:
            warnings.warn(
                f"{type(self).__name__} was fitted without sensitive_features: "
                "nothing was done for fairness. Pass them to fit, through metadata routing inside "
                "Pipelines and searches, or wrap the estimator in SensitiveColumns.",
                FairnessWarning,
                stacklevel=4,
            )
            self.encoder_ = None
            return None
        sensitive_features = sensitive_frame(sensitive_features, n_samples=n_samples)[0]
        penalty = DependencePenalty(
            self.penalty,
            c=self.c,
            estimator="U" if sample_weight is None else "V",
            constraint=self.constraint,
            normalise=self.normalise,
            encoder=encoder,
        )
        prepared = penalty.prepare(
            sensitive_features,
            y=y,
            control_features=control_features,
            sample_weight=sample_weight,
            allow_few=again,
        )
        self.encoder_ = prepared.encoder_
        return prepared

    def _train(
        self, X: Floats, loss: Loss, target: Target, penalty: PreparedPenalty | None
    ) -> None:
        objective = Objective(loss, target, penalty, penalise=self.penalise)
        self._unit = objective.unit = objective.null_loss()
        self._forget("duality_gap_")
        if not self._by_steps():
            self._forget(*_OF_NETWORKS)
            self._train_linear(X, objective)
        else:
            from fairgroup.dependence._network import train_network

            self._forget(*_OF_LINEAR)
            train_network(self, X, objective)
        self.penalty_method_ = None if penalty is None else penalty.method_

    def _continue(
        self, X: Floats, loss: Loss, target: Target, penalty: PreparedPenalty | None
    ) -> None:
        from fairgroup.dependence._network import continue_network

        objective = Objective(loss, target, penalty, penalise=self.penalise)
        if not hasattr(self, "_unit"):
            self._unit = objective.null_loss()
        objective.unit = self._unit
        continue_network(self, X, objective)
        self.penalty_method_ = None if penalty is None else penalty.method_

    def _by_steps(self) -> bool:
        """Whether the model is a network; raises for what is no model."""
        if isinstance(self.model, str) and self.model in ("linear", "mlp"):
            return self.model != "linear"
        if not hasattr(self.model, "parameters"):
            raise ValueError(
                f'model must be "linear", "mlp" or a torch.nn.Module; got {self.model!r}.'
            )
        return True

    def _internal_weight(self, weight: float, objective: Objective) -> float:
        """Return the factor of the penalty beside the loss relative to that of a constant."""
        return weight if self._unit_free else weight / objective.unit

    @property
    def _unit_free(self) -> bool:
        return self.normalise == "dvar" or self.penalty == "dcor"

    def _train_linear(self, X: Floats, objective: Objective) -> None:
        design = WhitenedDesign(X, objective.target.weights)

        def solve(weight: float, previous: LinearFit | None) -> LinearFit:
            warm = self._warm() if previous is None else (previous.intercept, previous.coef)
            return fit_linear(
                design,
                objective,
                fairness_weight=self._internal_weight(weight, objective),
                alpha=self.alpha,
                tol=self.tol,
                max_iter=self.max_iter,
                warm=warm,
            )

        def unfairness(fit: LinearFit) -> float:
            raw = X @ fit.coef + fit.intercept
            raw = raw[:, 0] if raw.shape[1] == 1 else raw
            return objective.penalty_and_gradient(raw)[0]

        penalised = objective.penalty is not None
        if penalised and self.max_unfairness is not None:
            result = smallest_weight(
                solve, unfairness, self.max_unfairness, first=self.fairness_weight or 1.0
            )
            fit, self.fairness_weight_ = result.fit, result.weight
            self.unfairness_ = result.unfairness
            self._report_limit(result.reached)
        else:
            self.fairness_weight_ = float(self.fairness_weight) if penalised else 0.0
            fit = solve(self.fairness_weight_, None)
            self.unfairness_ = unfairness(fit) if penalised else np.nan
        self._keep_linear(fit)
        self._warn_if_too_strong(objective)

    def _report_limit(self, reached: bool) -> None:
        limit = self.max_unfairness
        assert limit is not None
        unit = self._unit if self._unit_free else 1.0
        self.duality_gap_ = unit * self.fairness_weight_ * max(0.0, limit - self.unfairness_)
        if not reached:
            warnings.warn(
                f"max_unfairness={limit:g} was not reached: the penalty is "
                f"{self.unfairness_:.3g} at fairness_weight={self.fairness_weight_:.3g}. Allow "
                "more, raise max_iter, or drop features that stand for the attributes.",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _keep_linear(self, fit: LinearFit) -> None:
        if not np.isfinite(fit.loss_curve[-1]) or not np.isfinite(fit.coef).all():
            raise ValueError(
                "The fit diverged. Scale the features, raise alpha, or lower fairness_weight."
            )
        self._set_coefficients(fit.intercept, fit.coef)
        self.loss_curve_, self.penalty_curve_ = fit.loss_curve, fit.penalty_curve
        self.n_iter_ = len(fit.loss_curve) - 1
        self.optimality_ = fit.optimality
        if not fit.converged:
            warnings.warn(
                f"The fit stopped after {self.n_iter_} iterations with a gradient of "
                f"{fit.optimality:.1e}; tol is {self.tol:g}. Raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _warn_if_too_strong(self, objective: Objective) -> None:
        """Warn where the best constant, which depends on nothing, has the lower loss."""
        if self.penalise == "response" and np.ndim(objective.target.offset):
            return  # predictions of a constant rate depend on the exposure
        if self.unfairness_ < 0 and self.loss_curve_[-1] > self._unit:
            warnings.warn(
                f"fairness_weight={self.fairness_weight_:g} is too strong: the loss is above that "
                "of the best constant, which depends on nothing. The unbiased penalty can be "
                "negative, and rewards such predictions. Lower it, or set max_unfairness.",
                FairnessWarning,
                stacklevel=6,
            )

    def _warm(self) -> Coefficients | None:
        if not self.warm_start or not hasattr(self, "coef_"):
            return None
        intercept = np.atleast_1d(np.asarray(self.intercept_, dtype=np.float64))
        coef = np.atleast_2d(self.coef_).T
        return (intercept, coef) if len(coef) == self.n_features_in_ else None

    def _forget(self, *names: str) -> None:
        """Drop what a previous fit has left and this one does not set."""
        for name in names:
            if hasattr(self, name):
                delattr(self, name)

    def _set_coefficients(self, intercept: Floats, coef: Floats) -> None:
        raise NotImplementedError

    def _scores(self, X: Floats) -> Floats:
        """Return scores without exposure, shape (n_samples,) or (n_samples, n_classes)."""
        if hasattr(self, "module_"):
            from fairgroup.dependence._network import scores_of

            return scores_of(self, X)
        raw = X @ np.atleast_2d(self.coef_).T + self.intercept_
        return raw[:, 0] if raw.shape[1] == 1 else raw
