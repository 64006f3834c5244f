"""Readers of fitted tree models: from a library's object to :class:`TreeEnsemble`.

A reader is found by the dotted name of the model's class or of one of its bases, so that optional
libraries are never imported to look.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_array, get_tags

from fairgroup.postprocessing._trees import MEAN, SUM, TreeEnsemble, TreeTable, join_trees

__all__ = ["TreeReader", "is_readable", "reader_for", "register_tree_reader", "unwrap"]

Array = NDArray[Any]


class TreeReader:
    """How the trees of one kind of fitted model are read; subclass it and register an instance.

    See Also
    --------
    register_tree_reader : Makes a reader known.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from fairgroup.postprocessing import TreeReader, register_tree_reader
    >>> class MyTree(DecisionTreeClassifier):
    ...     pass
    >>> class MyReader(TreeReader):
    ...     def read(self, estimator): ...
    >>> register_tree_reader(MyTree, MyReader())
    """

    def read(self, estimator: Any) -> TreeEnsemble:
        """Return the trees of a fitted model.

        Parameters
        ----------
        estimator : estimator
            Fitted.

        Returns
        -------
        trees : TreeEnsemble
        """
        raise NotImplementedError

    def inputs(self, estimator: Any, X: Any) -> Array:
        """Return X as the trees see it: float32 or float64, C-contiguous.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        inputs : ndarray of shape (n_samples, n_inputs)
        """
        finite = "allow-nan" if get_tags(estimator).input_tags.allow_nan else True
        return check_array(X, dtype=np.float32, order="C", ensure_all_finite=finite)

    def margin(self, estimator: Any, X: Any) -> Array:
        """Return the model's own margin; needed for ``combine="sum"``, where it gives the offset.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        margin : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return np.asarray(estimator.decision_function(X))


_READERS: dict[str, TreeReader] = {}


def register_tree_reader(estimator_class: type | str, reader: TreeReader) -> None:
    """Teach FairTTTS to read the trees of another class of models.

    Parameters
    ----------
    estimator_class : type or str
        The class, or its dotted name, which needs no import. Subclasses are read alike.
    reader : TreeReader
        Reads it. A reader registered later replaces an earlier one.

    See Also
    --------
    FairTTTS : Uses the readers.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from fairgroup.postprocessing import TreeReader, register_tree_reader
    >>> class Stump(DecisionTreeClassifier):
    ...     pass
    >>> class StumpReader(TreeReader):
    ...     def read(self, estimator): ...
    >>> register_tree_reader(Stump, StumpReader())
    """
    if not hasattr(reader, "read"):
        raise TypeError(
            f"reader must be an instance of a TreeReader with a method read; found {reader!r}."
        )
    name = estimator_class if isinstance(estimator_class, str) else _dotted(estimator_class)
    _READERS[name] = reader


def reader_for(estimator: Any) -> TreeReader:
    """Return the reader of a model.

    Raises
    ------
    TypeError
        For a model that no reader knows; the message lists those that are known.
    """
    for cls in type(estimator).__mro__:
        reader = _READERS.get(_dotted(cls))
        if reader is not None:
            return reader
    known = ", ".join(sorted({name.rsplit(".", 1)[1] for name in _READERS}))
    raise TypeError(
        f"estimator={type(estimator).__name__} is no tree model that FairTTTS can read. It reads "
        f"{known}, and Pipelines that end in one of them; add a reader with register_tree_reader."
    )


def is_readable(estimator: Any) -> bool:
    """Return whether a reader knows the model."""
    try:
        reader_for(unwrap(estimator))
    except TypeError:
        return False
    return True


def unwrap(estimator: Any) -> Any:
    """Return the model inside of FrozenEstimator."""
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return estimator


def _dotted(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _one_output(estimator: Any) -> None:
    if getattr(estimator, "n_outputs_", 1) > 1:
        raise ValueError(
            f"{type(estimator).__name__} was fitted with {estimator.n_outputs_} outputs; FairTTTS "
            "handles one. Fit one model per output."
        )


def _sklearn_table(tree: Any, columns: Array, classes: Array | None, n_classes: int) -> TreeTable:
    """One grown tree of scikit-learn; ``classes`` places its classes among those of the whole."""
    value = np.array(tree.value[:, 0, :])
    if classes is not None:
        placed = np.zeros((len(value), n_classes))
        # Fractions since scikit-learn 1.3, counts before: counts would let large leaves dominate.
        placed[:, classes] = value / value.sum(axis=1, keepdims=True)
        value = placed
    return TreeTable(
        tree.children_left,
        tree.children_right,
        columns[np.maximum(tree.feature, 0)],
        tree.threshold,
        value,
        missing_left=tree.missing_go_to_left,
    )


class _Tree(TreeReader):
    """DecisionTree and ExtraTree."""

    def read(self, estimator: Any) -> TreeEnsemble:
        _one_output(estimator)
        return _forest([estimator], estimator, [np.arange(estimator.n_features_in_)])


class _Forest(TreeReader):
    """RandomForest and ExtraTrees."""

    def read(self, estimator: Any) -> TreeEnsemble:
        _one_output(estimator)
        everything = np.arange(estimator.n_features_in_)
        return _forest(estimator.estimators_, estimator, [everything] * len(estimator.estimators_))


class _Bagging(TreeReader):
    """Bagging of trees, each of which may see a part of the columns."""

    def read(self, estimator: Any) -> TreeEnsemble:
        strange = {type(t).__name__ for t in estimator.estimators_ if not hasattr(t, "tree_")}
        if strange:
            raise TypeError(
                f"FairTTTS reads Bagging of trees; found Bagging of {sorted(strange)}."
            )
        return _forest(estimator.estimators_, estimator, estimator.estimators_features_)


def _forest(trees: Any, whole: Any, columns: Any) -> TreeEnsemble:
    classify = is_classifier(whole)
    n_classes = len(whole.classes_) if classify else 1
    tables = [
        _sklearn_table(
            tree.tree_,
            np.asarray(used),
            _class_places(tree, whole) if classify else None,
            n_classes,
        )
        for tree, used in zip(trees, columns, strict=True)
    ]
    link = "probability" if classify else "identity"
    return join_trees(tables, whole.n_features_in_, combine=MEAN, link=link)


def _class_places(tree: Any, whole: Any) -> Array:
    """Where a member's classes stand among those of the whole.

    The members of a forest count all classes, by number; those of Bagging only those in their
    sample.
    """
    if tree is whole or len(tree.classes_) == len(whole.classes_):
        return np.arange(len(whole.classes_))
    return np.asarray(tree.classes_).astype(np.int64)


class _GradientBoosting(TreeReader):
    """scikit-learn's GradientBoosting; leaves are re-optimised, so inner values are not used."""

    def read(self, estimator: Any) -> TreeEnsemble:
        everything = np.arange(estimator.n_features_in_)
        tables = []
        for stage in estimator.estimators_:
            for k, member in enumerate(stage):
                table = _sklearn_table(member.tree_, everything, None, 1)
                table.value = table.value * estimator.learning_rate
                table.cover = member.tree_.weighted_n_node_samples
                table.output = k
                tables.append(table)
        link = _link(estimator, estimator.estimators_.shape[1])
        return join_trees(tables, estimator.n_features_in_, combine=SUM, link=link)

    def margin(self, estimator: Any, X: Any) -> Array:
        if is_classifier(estimator):
            return np.asarray(estimator.decision_function(X))
        return np.asarray(estimator.predict(X))


def _link(estimator: Any, n_outputs: int) -> str:
    if not is_classifier(estimator):
        return "identity"
    if getattr(estimator, "loss", "log_loss") != "log_loss":
        raise ValueError(
            f"FairTTTS reads boosting with loss='log_loss'; found {estimator.loss!r}."
        )
    return "logit" if n_outputs == 1 else "softmax"


class _HistGradientBoosting(TreeReader):
    """scikit-learn's HistGradientBoosting; leaves contain the learning rate."""

    def read(self, estimator: Any) -> TreeEnsemble:
        tables = [
            self._table(predictor, k)
            for stage in estimator._predictors
            for k, predictor in enumerate(stage)
        ]
        link = _link(estimator, estimator.n_trees_per_iteration_)
        if not is_classifier(estimator) and estimator.loss in {"poisson", "gamma"}:
            link = "log"
        categorical = getattr(estimator, "is_categorical_", None)
        order = None
        if categorical is not None and estimator._preprocessor is not None:
            order = np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])
        return join_trees(
            tables,
            estimator.n_features_in_,
            combine=SUM,
            single=False,
            link=link,
            input_order=order,
        )

    @staticmethod
    def _table(predictor: Any, output: int) -> TreeTable:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        categorical = nodes["is_categorical"].astype(bool) & ~leaf
        return TreeTable(
            np.where(leaf, -1, nodes["left"].astype(np.int64)),
            np.where(leaf, -1, nodes["right"].astype(np.int64)),
            nodes["feature_idx"],
            np.where(categorical, 0.0, nodes["num_threshold"]),
            nodes["value"][:, None],
            cover=nodes["count"],
            missing_left=nodes["missing_go_to_left"],
            category=np.where(categorical, nodes["bitset_idx"].astype(np.int64), -1),
            bitsets=list(predictor.raw_left_cat_bitsets),
            output=output,
        )

    def inputs(self, estimator: Any, X: Any) -> Array:
        prepared = estimator._preprocess_X(X, reset=False)
        return np.ascontiguousarray(prepared, dtype=np.float64)

    def margin(self, estimator: Any, X: Any) -> Array:
        if is_classifier(estimator):
            return np.asarray(estimator.decision_function(X))
        predicted = np.asarray(estimator.predict(X))
        return np.log(predicted) if estimator.loss in {"poisson", "gamma"} else predicted


def _register_defaults() -> None:
    from fairgroup.postprocessing._boosting_readers import LightGBMReader, XGBoostReader

    for kind in ("Classifier", "Regressor"):
        for name in (f"DecisionTree{kind}", f"ExtraTree{kind}"):
            register_tree_reader(f"sklearn.tree._classes.{name}", _Tree())
        for name in (f"RandomForest{kind}", f"ExtraTrees{kind}"):
            register_tree_reader(f"sklearn.ensemble._forest.{name}", _Forest())
        register_tree_reader(f"sklearn.ensemble._bagging.Bagging{kind}", _Bagging())
        register_tree_reader(f"sklearn.ensemble._gb.GradientBoosting{kind}", _GradientBoosting())
        register_tree_reader(
            "sklearn.ensemble._hist_gradient_boosting.gradient_boosting."
            f"HistGradientBoosting{kind}",
            _HistGradientBoosting(),
        )
        register_tree_reader(f"xgboost.sklearn.XGB{kind}", XGBoostReader())
        register_tree_reader(f"lightgbm.sklearn.LGBM{kind}", LightGBMReader())


_register_defaults()
