"""What FairTTTS and FairTTTSCV share: the model inside, its trees, its groups."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import Tags, assert_all_finite, check_array, column_or_1d, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupCodes
from fairgroup.groups._consume import GroupConsumer, encode_groups
from fairgroup.postprocessing._explain import FairTTTSExplanation, explain
from fairgroup.postprocessing._kernels import Settings
from fairgroup.postprocessing._protected import (
    Protected,
    find_protected,
    groups_of,
    unprivileged_groups,
)
from fairgroup.postprocessing._readers import reader_for, unwrap
from fairgroup.postprocessing._rules import Favorable, FlipRules
from fairgroup.postprocessing._trees import MEAN, TreeEnsemble
from fairgroup.utils._validation import check_weights

__all__ = ["TreePostProcessor"]

Array = NDArray[Any]


def _classifies(self: Any) -> bool:
    return bool(is_classifier(unwrap(self._model())))


def _has_margin(self: Any) -> bool:
    if hasattr(self, "trees_"):
        return bool(self.trees_.link in {"logit", "softmax"})
    return _classifies(self) and hasattr(self._model(), "decision_function")


class TreePostProcessor(GroupConsumer, MetaEstimatorMixin, BaseEstimator):
    """Fits or takes over a tree model, reads its trees, and predicts from its changed output."""

    __metadata_request__predict: ClassVar = {"sensitive_features": True}
    __metadata_request__predict_proba: ClassVar = {"sensitive_features": True}
    __metadata_request__decision_function: ClassVar = {"sensitive_features": True}
    __metadata_request__score: ClassVar = {"sensitive_features": True}

    estimator: Any
    protected_inputs: Any
    unprivileged: Any
    favorable_class: Any
    encoder: Any
    trees_: TreeEnsemble
    _acting_rules: FlipRules

    # What the subclasses define -----------------------------------------------------------

    def _output(self, X: Any, sensitive_features: Any) -> Array:
        """Changed output of the trees: distribution, margin or mean."""
        raise NotImplementedError

    def _prepared(self, X: Any, sensitive_features: Any) -> tuple[Array, Array]:
        """The tree's inputs, and the amplification per row and attribute."""
        raise NotImplementedError

    @property
    def _settings(self) -> Settings:
        raise NotImplementedError

    # Fitting ------------------------------------------------------------------------------

    def _model(self) -> Any:
        if self.estimator is not None:
            return self.estimator
        # A share of the weight rather than of the rows: repeating a row is weighing it twice.
        return DecisionTreeClassifier(max_depth=8, min_weight_fraction_leaf=0.005, random_state=0)

    def _check_target(self, X: Any, y: ArrayLike) -> Array:
        validate_data(self, X, skip_check_array=True)
        target: Array = column_or_1d(y, warn=True)
        if not _classifies(self):
            return np.asarray(target, dtype=np.float64)
        assert_all_finite(target, input_name="y")
        check_classification_targets(target)
        return target

    def _fit_model(self, X: Any, y: Array, sample_weight: ArrayLike | None) -> Any:
        model = clone(self._model())
        params = {}
        if sample_weight is not None:
            last = model.steps[-1] if isinstance(model, Pipeline) else (None, model)
            if has_fit_parameter(last[1], "sample_weight"):
                prefix = "" if last[0] is None else f"{last[0]}__"
                params[f"{prefix}sample_weight"] = sample_weight
        return model.fit(X, y, **params)

    def _take_over(self, model: Any, y: Array) -> None:
        """Store the fitted model and its trees; check that it fits the target."""
        self.estimator_ = model
        if _classifies(self):
            self.classes_ = np.asarray(unwrap(model).classes_)
            strange = np.setdiff1d(np.unique(y), self.classes_)
            if len(strange):
                raise ValueError(
                    f"y has the classes {strange.tolist()}, which the fitted estimator does not "
                    f"know; it has {self.classes_.tolist()}."
                )
            if len(self.classes_) < 2:
                raise ValueError(
                    f"y has one class only, {self.classes_.tolist()}; FairTTTS needs two."
                )
        self.trees_ = reader_for(self._trees_of(model)).read(self._trees_of(model))

    def _favorable(self) -> Favorable:
        if not _classifies(self):
            wanted = {None: 1, "high": 1, "low": -1}
            if self.favorable_class not in wanted:
                raise ValueError(
                    f"favorable_class={self.favorable_class!r}: for a regressor it is 'high', "
                    "'low' or None."
                )
            return Favorable(0, wanted[self.favorable_class])
        if self.favorable_class is None:
            asked = self.encoder_ is not None and self.protected_inputs is not None
            if len(self.classes_) > 2 and asked:
                raise ValueError(
                    f"favorable_class is needed with {len(self.classes_)} classes; name one of "
                    f"{self.classes_.tolist()}."
                )
            index = len(self.classes_) - 1
        else:
            at = np.flatnonzero(self.classes_ == self.favorable_class)
            if not len(at):
                raise ValueError(
                    f"favorable_class={self.favorable_class!r} is not among the classes "
                    f"{self.classes_.tolist()}."
                )
            index = int(at[0])
        if self.trees_.link == "logit":
            return Favorable(0, 1 if index == 1 else -1)
        return Favorable(index)

    def _outcome(self, y: Array) -> Array:
        """Large where the true outcome is favourable."""
        sign = self._favorable().sign
        if not _classifies(self):
            return sign * y
        index = self.favorable_index_
        return (y == self.classes_[index]).astype(np.float64)

    def _set_favorable(self) -> Favorable:
        favorable = self._favorable()
        if _classifies(self):
            logit = self.trees_.link == "logit"
            self.favorable_index_ = (favorable.sign > 0) * 1 if logit else favorable.index
        return favorable

    def _find_groups(self, sensitive_features: Any, n_samples: int) -> GroupCodes:
        self.encoder_, groups = encode_groups(
            sensitive_features, n_samples, encoder=self.encoder, estimator=self
        )
        return groups

    def _find_protected(self, groups: GroupCodes, model: Any, trees: TreeEnsemble) -> Protected:
        known = self.encoder_ is not None
        protected = find_protected(
            self.protected_inputs,
            trees.n_inputs,
            input_names=self._input_names(model),
            source_names=list(getattr(self, "feature_names_in_", ())),
            group_columns=groups.columns if known else (),
        )
        if trees.input_order is not None:
            protected = Protected(protected.of_input[trees.input_order], protected.names)
        if not known:
            protected = Protected(np.full_like(protected.of_input, -1), (None,))
        return protected

    def _warn_without_effect_on_groups(self, protected: Protected, n_nodes: int) -> None:
        """Say so when nothing can be done, and why."""
        if self.encoder_ is None:
            return
        if not protected.found:
            warnings.warn(
                f"{type(self).__name__} found no protected inputs: none of the tree's columns "
                "is named like a column of sensitive_features. Name them in protected_inputs; "
                "nothing was done for fairness.",
                FairnessWarning,
                stacklevel=4,
            )
        elif not n_nodes:
            warnings.warn(
                f"{type(self).__name__} has no protected node to act on: no tree splits on "
                "protected_inputs, so no group is treated differently.",
                FairnessWarning,
                stacklevel=4,
            )

    def _find_unprivileged(
        self, groups: GroupCodes, protected: Protected, y: Array, weights: Array
    ) -> tuple[NDArray[np.bool_], ...]:
        if self.encoder_ is None:
            return (np.zeros(1, bool),)
        outcome, found = self._outcome(y), []
        for name, of_attribute in zip(protected.names, groups_of(groups, protected), strict=True):
            chosen = self.unprivileged
            if name is not None:
                if chosen is not None and not isinstance(chosen, Mapping):
                    raise ValueError(
                        "With several protected attributes, unprivileged is a mapping of column "
                        f"to levels, or None; found {chosen!r}."
                    )
                chosen = None if chosen is None or name not in chosen else {name: chosen[name]}
            found.append(unprivileged_groups(chosen, of_attribute, outcome, weights))
        return tuple(found)

    def explain(self, X: Any, *, sensitive_features: Any = None) -> FairTTTSExplanation:
        """Return which nodes act, on how many people, and which decisions change.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; needed if `fit` had them.

        Returns
        -------
        explanation : FairTTTSExplanation
        """
        inputs, boost = self._prepared(X, sensitive_features)
        groups = self._codes(sensitive_features, len(inputs))
        before = np.asarray(self.estimator_.predict(X))
        after = self.predict(X, sensitive_features=sensitive_features)
        sign = 1
        if _classifies(self):
            best = self.classes_[self.favorable_index_]
            before, after = (before == best) * 1.0, (after == best) * 1.0
        else:
            sign = self._favorable().sign
        return explain(
            self.trees_,
            self._acting_rules,
            inputs,
            boost,
            self._settings,
            groups,
            sign * before,
            sign * after,
            input_names=self._tree_input_names(),
        )

    # Inputs -------------------------------------------------------------------------------

    def _trees_of(self, model: Any) -> Any:
        model = unwrap(model)
        while isinstance(model, Pipeline):
            model = unwrap(model.steps[-1][1])
        return model

    def _through_pipeline(self, model: Any, X: Any) -> Any:
        """X as it reaches the tree model, which may be the last step of nested pipelines."""
        model = unwrap(model)
        while isinstance(model, Pipeline):
            X = model[:-1].transform(X) if len(model.steps) > 1 else X
            model = unwrap(model.steps[-1][1])
        return X

    def _inputs(self, X: Any, model: Any = None) -> Array:
        model = self.estimator_ if model is None else model
        trees = self._trees_of(model)
        return reader_for(trees).inputs(trees, self._through_pipeline(model, X))

    def _input_names(self, model: Any = None) -> list[str] | None:
        model = unwrap(self.estimator_ if model is None else model)
        names = getattr(self, "feature_names_in_", None)
        while isinstance(model, Pipeline):
            if len(model.steps) > 1:
                try:
                    names = model[:-1].get_feature_names_out(names)
                except (AttributeError, ValueError):
                    names = None
            model = unwrap(model.steps[-1][1])
        return None if names is None else [str(name) for name in names]

    def _tree_input_names(self) -> list[str]:
        names = self._input_names() or [f"x{i}" for i in range(self.trees_.n_inputs)]
        order = self.trees_.input_order
        return names if order is None else [names[i] for i in order]

    def _check_rows(self, X: Any) -> None:
        check_is_fitted(self)
        if isinstance(X, np.ndarray) and X.ndim < 2:
            check_array(X)  # says to reshape
        validate_data(self, X, reset=False, skip_check_array=True)

    def _codes(self, sensitive_features: Any, n_samples: int) -> GroupCodes:
        if self.encoder_ is None:
            return GroupCodes.everyone(n_samples)
        if sensitive_features is None:
            raise ValueError(
                f"{type(self).__name__} was fitted with sensitive_features and needs them to "
                "predict: who gets the amplified probability depends on the group. Hand them "
                "over, or wrap the estimator in SensitiveColumns."
            )
        groups = self.encoder_.transform(sensitive_features)
        if len(groups) != n_samples:
            raise ValueError(
                f"sensitive_features has {len(groups)} rows, but X has {n_samples}; "
                "both must describe the same rows."
            )
        return groups

    def _with_offset(self, change: Array, X: Any, ordinary: Array) -> Array:
        """Margins: the model's own, plus what changed in the trees."""
        if self.trees_.combine == MEAN:
            return change
        trees = self._trees_of(self.estimator_)
        own = reader_for(trees).margin(trees, self._through_pipeline(self.estimator_, X))
        return np.asarray(own).reshape(len(change), -1) + (change - ordinary)

    # Predicting ---------------------------------------------------------------------------

    def predict(self, X: Any, *, sensitive_features: Any = None) -> Array:
        """Predict with the decisions softened.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; needed if `fit` had them.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Classes, or numbers for a regressor.

        Raises
        ------
        ValueError
            Without the groups that `fit` had.
        """
        if _classifies(self):
            found = self.predict_proba(X, sensitive_features=sensitive_features)
            return self.classes_[found.argmax(axis=1)]
        output = self._output(X, sensitive_features)[:, 0]
        return np.exp(output) if self.trees_.link == "log" else output

    @available_if(_classifies)
    def predict_proba(self, X: Any, *, sensitive_features: Any = None) -> Array:
        """Return class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; needed if `fit` had them.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        output = self._output(X, sensitive_features)
        if self.trees_.link == "logit":
            second = expit(self._shrink(output[:, 0], X, sensitive_features))
            return np.column_stack([1 - second, second])
        return softmax(output, axis=1) if self.trees_.link == "softmax" else output

    @available_if(_has_margin)
    def decision_function(self, X: Any, *, sensitive_features: Any = None) -> Array:
        """Return the expected margin; only for boosting.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; needed if `fit` had them.

        Returns
        -------
        margin : ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        output = self._output(X, sensitive_features)
        return output[:, 0] if self.trees_.link == "logit" else output

    def score(
        self, X: Any, y: ArrayLike, *, sensitive_features: Any = None, sample_weight: Any = None
    ) -> float:
        """Return accuracy, or R squared for a regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            True outcome.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; needed if `fit` had them.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        score : float
        """
        metric = accuracy_score if _classifies(self) else r2_score
        predicted = self.predict(X, sensitive_features=sensitive_features)
        return float(metric(y, predicted, sample_weight=sample_weight))

    def _shrink(self, margin: Array, X: Any, sensitive_features: Any) -> Array:
        """Hook for a link that accounts for the spread of the margin."""
        return margin

    def _weights(self, sample_weight: ArrayLike | None, n_samples: int) -> Array:
        return check_weights(sample_weight, n_samples)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self._model())
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        tags.target_tags = inner.target_tags
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = False
        tags.target_tags.multi_output = False
        tags.target_tags.single_output = True
        tags.target_tags.required = True
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.input_tags.sparse = False
        return tags
