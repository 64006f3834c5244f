"""The one list where a method registers to take part in a comparison.

To add a method, append a :class:`Method`: its name in the table, the tasks it can do, how it is
built from the shared base model, and the settings that are swept. The build function imports the
method's room, so that a comparison loads only what takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pandas.api.types import is_numeric_dtype
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairgroup.groups import GroupEncoder

BINARY, MULTICLASS, REGRESSION = "binary", "multiclass", "regression"
UNMITIGATED, CONSTANT = "unmitigated", "constant"
BASES = ("linear", "boosting")
NEWTON_WIDTH = 500


@dataclass(frozen=True)
class Setup:
    """What every method is built from: the same base model on the same features."""

    base: Any
    preprocessor: Any
    constraint: str
    group_encoder: GroupEncoder
    random_state: int | None

    def pipeline(self, estimator: Any) -> Any:
        """Put the shared preprocessing in front of an estimator."""
        return make_pipeline(clone(self.preprocessor), estimator)


@dataclass(frozen=True)
class Method:
    """A method that takes part: name, tasks, how to build it, the settings to sweep, and, where
    it cannot share every base model, what says why not (nothing where it can).
    """

    name: str
    tasks: tuple[str, ...]
    build: Callable[[Setup], Any]
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    obstacle: Callable[[Any], str] = lambda base: ""


def _unmitigated(setup: Setup) -> Any:
    return setup.pipeline(clone(setup.base))


def _constant_class(setup: Setup) -> Any:
    return DummyClassifier(strategy="prior")


def _constant_number(setup: Setup) -> Any:
    return DummyRegressor(strategy="mean")


def _threshold_optimizer(setup: Setup) -> Any:
    from fairgroup.comparison._adapters import GroupThresholds

    return GroupThresholds(
        setup.pipeline(clone(setup.base)),
        constraint=setup.constraint,
        group_encoder=setup.group_encoder,
        random_state=setup.random_state,
    )


def _reduction(setup: Setup) -> Any:
    from fairgroup.comparison._adapters import ReductionClassifier

    return setup.pipeline(
        ReductionClassifier(
            clone(setup.base),
            constraint=setup.constraint,
            group_encoder=setup.group_encoder,
            random_state=setup.random_state,
        )
    )


def _grid_search(setup: Setup) -> Any:
    reduction = _reduction(setup)
    # The grid has one dimension less than there are groups: with several, the models must be more
    # and lie closer to the unmitigated one to be of use.
    if len(setup.group_encoder.labels_) > 2:
        reduction.set_params(
            reductionclassifier__grid_size=30, reductionclassifier__grid_limit=0.2
        )
    return reduction


def _bounded_group_loss(setup: Setup) -> Any:
    from fairgroup.comparison._adapters import ReductionRegressor

    return setup.pipeline(
        ReductionRegressor(
            clone(setup.base),
            group_encoder=setup.group_encoder,
            random_state=setup.random_state,
        )
    )


def _frontier(setup: Setup) -> Any:
    from fairgroup.information import FrontierPostProcessor

    return FrontierPostProcessor(
        setup.pipeline(clone(setup.base)),
        level="group",
        encoder=setup.group_encoder,
        random_state=setup.random_state,
    )


def _fair_trees(setup: Setup) -> Any:
    from fairgroup.postprocessing import FairTTTSCV

    return FairTTTSCV(
        setup.pipeline(clone(setup.base)),
        constraint=setup.constraint,
        scope=("protected", "proxies"),
        cv=2,
        encoder=setup.group_encoder,
        random_state=setup.random_state,
    )


def _no_trees(base: Any) -> str:
    from fairgroup.postprocessing._readers import is_readable

    if is_readable(base):
        return ""
    return (
        f"it changes the splits of trees, and the base model is {type(base).__name__}; with "
        'base="boosting", or a tree model of your own, it takes part'
    )


def _correlation_remover(setup: Setup) -> Any:
    from fairgroup.comparison._adapters import Decorrelated

    return Decorrelated(clone(setup.base), preprocessor=clone(setup.preprocessor))


def _groupwise(setup: Setup, name: str) -> Any:
    from fairgroup import online
    from fairgroup.groups import MembershipEncoder

    encoder = MembershipEncoder(
        intersections=True, min_group_size=30, missing=setup.group_encoder.missing
    )
    return setup.pipeline(getattr(online, name)(encoder=encoder))


def _groupwise_class(setup: Setup) -> Any:
    return _groupwise(setup, "GroupwiseClassifier")


def _groupwise_number(setup: Setup) -> Any:
    return _groupwise(setup, "GroupwiseRegressor")


def _aranyani_class(setup: Setup) -> Any:
    from fairgroup.forest import AranyaniClassifier

    # A table's rows may be sorted by anything, a stream's are not.
    return setup.pipeline(
        AranyaniClassifier(
            constraint=setup.constraint,
            shuffle=True,
            encoder=setup.group_encoder,
            random_state=setup.random_state,
        )
    )


def _aranyani_number(setup: Setup) -> Any:
    from fairgroup.forest import AranyaniRegressor

    return setup.pipeline(
        AranyaniRegressor(
            shuffle=True, encoder=setup.group_encoder, random_state=setup.random_state
        )
    )


def _distance_covariance(setup: Setup, name: str, **params: Any) -> Any:
    from fairgroup import dependence
    from fairgroup.groups import SensitiveEncoder

    # Attributes mean groups here, also those that are coded as numbers.
    groups = setup.group_encoder
    kinds = {
        column: "categorical" if len(levels) > 2 else "binary"
        for column, levels in zip(groups.columns_, groups.levels_, strict=True)
    }
    encoder = SensitiveEncoder(kinds=kinds, missing="group")
    return setup.pipeline(getattr(dependence, name)(encoder=encoder, **params))


def _distance_covariance_binary(setup: Setup) -> Any:
    name = "DistanceCovarianceClassifier"
    return _distance_covariance(setup, name, constraint=setup.constraint)


def _distance_covariance_class(setup: Setup) -> Any:
    # With several classes none is the favourable one; given the class covers it.
    given = setup.constraint != "demographic_parity"
    constraint = "equalized_odds" if given else "demographic_parity"
    return _distance_covariance(setup, "DistanceCovarianceClassifier", constraint=constraint)


def _distance_covariance_number(setup: Setup) -> Any:
    return _distance_covariance(setup, "DistanceCovarianceRegressor")


METHODS: tuple[Method, ...] = (
    Method(UNMITIGATED, (BINARY, MULTICLASS, REGRESSION), _unmitigated),
    Method(CONSTANT, (BINARY, MULTICLASS), _constant_class),
    Method(CONSTANT, (REGRESSION,), _constant_number),
    Method(
        "threshold optimizer",
        (BINARY,),
        _threshold_optimizer,
        {"tolerance": [None, 0.03, 0.06, 0.1, 0.2]},
    ),
    Method(
        "exponentiated gradient",
        (BINARY,),
        _reduction,
        {"reductionclassifier__tolerance": [0.01, 0.05, 0.1]},
    ),
    Method(
        "grid search",
        (BINARY,),
        _grid_search,
        {"reductionclassifier__constraint_weight": [0.1, 0.5, 0.9]},
    ),
    Method(
        "frontier post-processing",
        (BINARY, MULTICLASS),
        _frontier,
        {"epsilon_global": [0.0, 0.0005, 0.002, 0.01]},
    ),
    Method("FairTTTS", (BINARY,), _fair_trees, {"tol": [0.02, 0.05, 0.1]}, _no_trees),
    Method(
        "bounded group loss",
        (REGRESSION,),
        _bounded_group_loss,
        {"reductionregressor__loss_bound": [0.8, 0.9, 1.0]},
    ),
    Method(
        "correlation remover",
        (BINARY, MULTICLASS, REGRESSION),
        _correlation_remover,
        {"alpha": [0.5, 1.0]},
    ),
    Method(
        "distance covariance",
        (BINARY,),
        _distance_covariance_binary,
        {"distancecovarianceclassifier__fairness_weight": [1.0, 3.0, 10.0, 30.0]},
    ),
    Method(
        "distance covariance",
        (MULTICLASS,),
        _distance_covariance_class,
        {"distancecovarianceclassifier__fairness_weight": [1.0, 3.0, 10.0]},
    ),
    Method(
        "distance covariance",
        (REGRESSION,),
        _distance_covariance_number,
        {"distancecovarianceregressor__fairness_weight": [1.0, 3.0, 10.0]},
    ),
    Method("groupwise online", (BINARY,), _groupwise_class),
    Method("groupwise online", (REGRESSION,), _groupwise_number),
    Method(
        "Aranyani",
        (BINARY, MULTICLASS),
        _aranyani_class,
        {"aranyaniclassifier__fairness_weight": [0.1, 0.5, 2.0]},
    ),
    Method(
        "Aranyani",
        (REGRESSION,),
        _aranyani_number,
        {"aranyaniregressor__fairness_weight": [0.3, 1.0]},
    ),
)


def default_methods(task: str) -> dict[str, Method]:
    """Return the methods that can do a task, by name."""
    return {method.name: method for method in METHODS if task in method.tasks}


def obstacles(task: str, base: Any) -> dict[str, str]:
    """Return the methods that can do a task but not with this base model, and why."""
    found = {name: method.obstacle(base) for name, method in default_methods(task).items()}
    return {name: reason for name, reason in found.items() if reason}


def base_model(base: Any, task: str, X: Any, random_state: int | None) -> Any:
    """Return the model that all methods share: "linear", "boosting" or the user's own."""
    if not isinstance(base, str):
        return base
    if base == "linear":
        return Ridge() if task == REGRESSION else _logistic(X)
    if base == "boosting":
        boosting = (
            HistGradientBoostingRegressor if task == REGRESSION else HistGradientBoostingClassifier
        )
        return boosting(random_state=random_state)
    raise ValueError(f"base={base!r}; expected one of {list(BASES)} or an estimator.")


def _logistic(X: Any) -> LogisticRegression:
    # Newton's method needs a handful of steps where L-BFGS needs a hundred, which matters to the
    # methods that refit the model dozens of times; each costs the square of the encoded width.
    width = X.shape[1]
    if hasattr(X, "columns"):
        width = sum(1 if is_numeric_dtype(X[c].dtype) else X[c].nunique() for c in X.columns)
    solver = "newton-cholesky" if width <= NEWTON_WIDTH else "lbfgs"
    return LogisticRegression(max_iter=1000, solver=solver)


def default_preprocessor(X: Any) -> Any:
    """Return the shared preprocessing: numbers imputed and scaled, everything else one-hot."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    if not hasattr(X, "columns"):
        return numbers
    categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=10, sparse_output=False
    )
    is_number = make_column_selector(dtype_include=["number", "bool"])
    is_category = make_column_selector(dtype_exclude=["number", "bool"])
    return make_column_transformer(
        (numbers, is_number), (categories, is_category), verbose_feature_names_out=False
    )
