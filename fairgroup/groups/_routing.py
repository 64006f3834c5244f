"""Handing groups to any estimator: which methods take them, and calling those with them.

An estimator takes groups in a method when it, or a part of it, requests ``sensitive_features``
there.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sklearn import config_context
from sklearn.utils.metadata_routing import MetadataRouter

from fairgroup.utils._sklearn import request_metadata, routing_of

__all__ = [
    "PREDICTORS",
    "call_with_groups",
    "request_everywhere",
    "request_groups",
    "takes_groups",
]

PREDICTORS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score")
_PARAM = "sensitive_features"


def request_groups(estimator: Any) -> None:
    """Make every part that can take groups request them, unless its user has decided.

    Parameters
    ----------
    estimator : estimator
        Changed in place; hand in a clone.
    """
    request_everywhere(estimator, _PARAM)


def request_everywhere(estimator: Any, param: str) -> None:
    """Make every part whose methods name ``param`` request it, unless its user has decided."""
    nested = estimator.get_params().values() if hasattr(estimator, "get_params") else ()
    for part in (estimator, *nested):
        if hasattr(part, "fit") and not isinstance(part, type):
            methods = ("fit", "partial_fit", *PREDICTORS)
            # fairlearn's reductions hand ``**kwargs`` of fit on to their constraint's load_data.
            loads = param == _PARAM and hasattr(getattr(part, "constraints", None), "load_data")
            request_metadata(part, param, methods, also=("fit",) if loads else ())


def takes_groups(estimator: Any, method: str) -> bool:
    """Return whether ``sensitive_features`` is used when the method is called."""
    routing = routing_of(estimator)
    return hasattr(estimator, method) and _PARAM in routing.consumes(method, [_PARAM])


def call_with_groups(
    estimator: Any,
    method: str,
    X: Any,
    sensitive_features: Any,
    *targets: Any,
    params: dict[str, Any] | None = None,
) -> Any:
    """Call a method, with the groups where it takes them.

    Metadata routing is then switched on for estimators that have parts (a Pipeline, a search),
    because only routing reaches the part that wants the groups.
    """
    params = dict(params or {})
    context: AbstractContextManager[Any] = nullcontext()
    if takes_groups(estimator, method):
        params[_PARAM] = sensitive_features
        if isinstance(routing_of(estimator), MetadataRouter):
            context = config_context(enable_metadata_routing=True)
    with context:
        return getattr(estimator, method)(X, *targets, **params)
