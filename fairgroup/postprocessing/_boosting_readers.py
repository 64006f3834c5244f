"""Readers of XGBoost and LightGBM models, from the JSON that the libraries write themselves.

Neither library is imported here: a model that reaches a reader has brought its own.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import check_array

from fairgroup.postprocessing import _readers
from fairgroup.postprocessing._trees import SUM, TreeEnsemble, TreeTable, join_trees

__all__ = ["LightGBMReader", "XGBoostReader"]

Array = NDArray[Any]


class _Grown:
    """Collects the nodes of one tree, in the order in which they are met."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.bitsets: list[Array] = []

    def add(self, **node: Any) -> int:
        leaf = {"left": -1, "right": -1, "feature": 0, "threshold": 0.0, "value": 0.0}
        self.rows.append({**leaf, "cut": 0.0, "missing": False, "category": -1, **node})
        return len(self.rows) - 1

    def categories(self, levels: list[int]) -> int:
        words = np.zeros(max(levels, default=0) // 32 + 1, np.uint32)
        for level in levels:
            words[level // 32] |= np.uint32(1 << level % 32)
        self.bitsets.append(words)
        return len(self.bitsets) - 1

    def table(self, output: int) -> TreeTable:
        column = {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}
        return TreeTable(
            column["left"],
            column["right"],
            column["feature"],
            column["threshold"],
            column["value"].astype(np.float64)[:, None],
            cover=column["cover"],
            cut=column["cut"],
            missing_left=column["missing"],
            category=column["category"],
            bitsets=self.bitsets,
            output=output,
        )


class XGBoostReader(_readers.TreeReader):
    """XGBClassifier and XGBRegressor with the tree booster; the rule is x < threshold in float32.

    Categorical splits are refused: their codes depend on the frame that is predicted.
    """

    def read(self, estimator: Any) -> TreeEnsemble:
        booster = estimator.get_booster()
        names = booster.feature_names
        places = {name: i for i, name in enumerate(names)} if names else {}
        dump = booster.get_dump(dump_format="json", with_stats=True)
        link, n_outputs = _xgboost_link(estimator)
        first, last = _xgboost_rounds(estimator, n_outputs, len(dump))
        tables = []
        for t in range(first, last):
            grown = _Grown()
            _xgboost_node(json.loads(dump[t]), grown, places)
            tables.append(grown.table(t % n_outputs))
        return join_trees(tables, booster.num_features(), combine=SUM, link=link)

    def inputs(self, estimator: Any, X: Any) -> Array:
        found = check_array(X, dtype=np.float32, order="C", ensure_all_finite="allow-nan")
        missing = getattr(estimator, "missing", np.nan)
        if missing is not None and not np.isnan(missing):
            found = np.where(found == np.float32(missing), np.float32(np.nan), found)
        return found

    def margin(self, estimator: Any, X: Any) -> Array:
        return np.asarray(estimator.predict(X, output_margin=True), dtype=np.float64)


def _xgboost_rounds(estimator: Any, n_outputs: int, n_trees: int) -> tuple[int, int]:
    """Trees that the model uses: after early stopping those up to the best round."""
    best = getattr(estimator, "best_iteration", None) if _stopped_early(estimator) else None
    last = n_trees if best is None else min(n_trees, (best + 1) * n_outputs)
    return 0, last


def _stopped_early(estimator: Any) -> bool:
    return getattr(estimator, "early_stopping_rounds", None) is not None


def _xgboost_link(estimator: Any) -> tuple[str, int]:
    objective = str(estimator.objective)
    if getattr(estimator, "booster", None) in {"gblinear", "dart"}:
        raise ValueError(f"FairTTTS reads booster='gbtree'; found {estimator.booster!r}.")
    if getattr(estimator, "num_parallel_tree", None) not in {None, 1}:
        raise ValueError("FairTTTS reads XGBoost with num_parallel_tree=1.")
    if is_classifier(estimator):
        if objective.startswith("multi:"):
            return "softmax", len(estimator.classes_)
        if objective == "binary:logistic":
            return "logit", 1
    elif objective in {"reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"}:
        return "identity", 1
    elif objective in {"count:poisson", "reg:gamma", "reg:tweedie"}:
        return "log", 1
    raise ValueError(f"FairTTTS cannot read XGBoost's objective {objective!r}.")


def _xgboost_node(node: dict[str, Any], grown: _Grown, places: dict[str, int]) -> int:
    if "leaf" in node:
        return grown.add(value=node["leaf"], cover=node["cover"])
    if not isinstance(node["split_condition"], int | float):
        raise ValueError(
            "This XGBoost model has categorical splits, which FairTTTS does not read; encode the "
            "categories as numbers or as 0/1 columns."
        )
    split = np.float32(node["split_condition"])
    name = node["split"]
    place = grown.add(
        feature=places[name] if name in places else int(name[1:]),
        threshold=float(split),
        cut=float(np.nextafter(split, np.float32(-np.inf))),
        missing=node["missing"] == node["yes"],
        cover=node["cover"],
    )
    children = {child["nodeid"]: child for child in node["children"]}
    for side, child in (("left", node["yes"]), ("right", node["no"])):
        grown.rows[place][side] = _xgboost_node(children[child], grown, places)
    return place


class LightGBMReader(_readers.TreeReader):
    """LGBMClassifier and LGBMRegressor; leaves contain the shrinkage.

    Categories must be numbers in X, not pandas categories.
    """

    def read(self, estimator: Any) -> TreeEnsemble:
        best = estimator.booster_.best_iteration
        model = estimator.booster_.dump_model(num_iteration=best if best > 0 else None)
        if model.get("pandas_categorical"):
            raise ValueError(
                "This LightGBM model was fitted on pandas categories, which FairTTTS does not "
                "read; give the categories as numbers."
            )
        n_outputs = model["num_tree_per_iteration"]
        link = _lightgbm_link(estimator, n_outputs)
        tables = []
        for tree in model["tree_info"]:
            grown = _Grown()
            _lightgbm_node(tree["tree_structure"], grown)
            tables.append(grown.table(tree["tree_index"] % n_outputs))
        n_inputs = model["max_feature_idx"] + 1
        return join_trees(tables, n_inputs, combine=SUM, single=False, link=link)

    def inputs(self, estimator: Any, X: Any) -> Array:
        return check_array(X, dtype=np.float64, order="C", ensure_all_finite="allow-nan")

    def margin(self, estimator: Any, X: Any) -> Array:
        return np.asarray(estimator.predict(X, raw_score=True))


def _lightgbm_link(estimator: Any, n_outputs: int) -> str:
    objective = str(estimator.objective_)
    if is_classifier(estimator) and objective in {"binary", "multiclass", "softmax"}:
        return "logit" if n_outputs == 1 else "softmax"
    if not is_classifier(estimator):
        if objective in {"poisson", "gamma", "tweedie"}:
            return "log"
        if objective in {"regression", "regression_l1", "huber", "fair", "quantile", "mape"}:
            return "identity"
    raise ValueError(f"FairTTTS cannot read LightGBM's objective {objective!r}.")


def _lightgbm_node(node: dict[str, Any], grown: _Grown) -> int:
    if "leaf_value" in node:
        cover = node.get("leaf_count", node.get("leaf_weight", 1.0))
        return grown.add(value=node["leaf_value"], cover=cover)
    split: dict[str, Any] = {"feature": node["split_feature"], "cover": node["internal_count"]}
    if node["decision_type"] == "==":
        levels = [int(level) for level in str(node["threshold"]).split("||")]
        split["category"] = grown.categories(levels)
    else:
        split["threshold"] = split["cut"] = float(node["threshold"])
        if node["missing_type"] == "NaN":
            split["missing"] = node["default_left"]
        elif node["missing_type"] == "None":
            # LightGBM then reads a missing value as zero.
            split["missing"] = split["cut"] >= 0
        else:
            raise ValueError(
                "This LightGBM model was fitted with zero_as_missing=True, which FairTTTS does "
                "not read."
            )
    place = grown.add(**split)
    grown.rows[place]["left"] = _lightgbm_node(node["left_child"], grown)
    grown.rows[place]["right"] = _lightgbm_node(node["right_child"], grown)
    return place
