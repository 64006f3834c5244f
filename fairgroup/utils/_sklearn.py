"""The one place that imports private or very new names of scikit-learn."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from sklearn import get_config
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as rows_of
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_params,
)
from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
from sklearn.utils.metadata_routing import (
    MetadataRequest,
    MetadataRouter,
    get_routing_for_object,
)

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    CALLBACKS = True
except ImportError:  # scikit-learn < 1.9
    CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in: without callbacks there is nothing to support."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method unchanged."""
        return method


def routing_enabled() -> bool:
    """Return whether metadata routing is on."""
    return bool(get_config()["enable_metadata_routing"])


def request_metadata(
    estimator: Any, param: str, methods: Iterable[str], *, also: Iterable[str] = ()
) -> None:
    """Make an estimator request ``param`` in those of ``methods`` whose signature names it.

    Unlike ``set_fit_request`` this needs no method of its own for each call, leaves a request that
    was made before as it is, and covers methods of ``also`` that take the parameter through
    ``**kwargs``.
    """
    requests = routing_of(estimator)
    if not isinstance(requests, MetadataRequest) or not hasattr(estimator, "__dict__"):
        return
    wanted = {method for method in methods if _names(getattr(estimator, method, None), param)}
    for method in sorted(wanted | set(also)):
        request = getattr(requests, method)
        if request.requests.get(param) is None:
            request.add_request(param=param, alias=True)
            estimator._metadata_request = requests


def routing_of(estimator: Any) -> MetadataRequest | MetadataRouter:
    """Return a copy of the estimator's routing; an empty one where scikit-learn has built none."""
    try:
        return get_routing_for_object(estimator)
    except NotImplementedError:
        return MetadataRequest(owner=estimator)


def hide_metadata(routing: MetadataRequest | MetadataRouter, param: str) -> None:
    """Take every request for ``param`` out of a routing, which must be a copy."""
    if isinstance(routing, MetadataRouter):
        for _, part in routing:
            hide_metadata(part.router, param)
        return
    for of_method in vars(routing).values():
        if hasattr(of_method, "requests"):
            of_method.requests.pop(param, None)


def _names(method: Any, param: str) -> bool:
    return callable(method) and param in inspect.signature(method).parameters


__all__ = [
    "CALLBACKS",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "VisualBlock",
    "fit_context",
    "hide_metadata",
    "request_metadata",
    "routing_enabled",
    "routing_of",
    "rows_of",
    "validate_params",
    "with_callbacks",
]
