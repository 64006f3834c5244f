"""What is compared: every method with every one of its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from fairgroup.comparison._defaults import (
    CONSTANT,
    UNMITIGATED,
    Setup,
    default_methods,
    obstacles,
)

__all__ = ["Candidate", "make_candidates"]


@dataclass(frozen=True)
class Candidate:
    """One row of the table: an estimator, not fitted, under its method's and setting's name."""

    method: str
    setting: str
    estimator: Any

    @property
    def key(self) -> tuple[str, str]:
        """Index of its row."""
        return (self.method, self.setting)


def make_candidates(
    estimators: Mapping[str, Any] | None, task: str, setup: Setup, names: Any = None
) -> list[Candidate]:
    """List all candidates.

    Parameters
    ----------
    estimators : mapping of name to estimator or (estimator, grid), or None
        The user's own; the unmitigated and the constant model are added. None takes the defaults.
    task : {"binary", "multiclass", "regression"}
        What is predicted.
    setup : Setup
        Shared base model and preprocessing of the default methods.
    names : sequence of str or None
        Which of the default methods take part; None for all that can share the base model.

    Returns
    -------
    candidates : list of Candidate

    Raises
    ------
    ValueError
        For a grid with parameters that the estimator does not have, and for names of methods that
        are unknown or cannot share the base model.
    """
    known = default_methods(task)
    chosen = {}
    if estimators is None:
        chosen = _chosen(known, obstacles(task, setup.base), names)
    plan: dict[str, tuple[Any, Mapping[str, Any]]] = {
        name: (method.build(setup), method.grid) for name, method in chosen.items()
    }
    for name, given in (estimators or {}).items():
        plan[str(name)] = given if isinstance(given, tuple) else (given, {})
    for name in (UNMITIGATED, CONSTANT):
        if name not in plan:
            plan[name] = (known[name].build(setup), {})
    return [
        candidate
        for name, (estimator, grid) in plan.items()
        for candidate in _expand(name, estimator, grid)
    ]


def _chosen(known: dict[str, Any], unfit: dict[str, str], names: Any) -> dict[str, Any]:
    if names is None:
        return {name: method for name, method in known.items() if name not in unfit}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"methods={unknown} are not known for this task; known are {list(known)}."
        )
    for name in names:
        if name in unfit:
            raise ValueError(f"methods has {name!r}, which cannot take part: {unfit[name]}.")
    return {name: known[name] for name in names}


def _expand(name: str, estimator: Any, grid: Mapping[str, Any]) -> list[Candidate]:
    if not hasattr(estimator, "fit") or isinstance(estimator, type):
        raise TypeError(
            f"estimators[{name!r}] must be an estimator or (estimator, grid); found {estimator!r}."
        )
    candidates = []
    for values in ParameterGrid(dict(grid)):
        try:
            configured = clone(estimator).set_params(**values)
        except ValueError as error:
            raise ValueError(f"estimators[{name!r}]: {error}") from error
        setting = ", ".join(f"{key.split('__')[-1]}={_short(v)}" for key, v in values.items())
        candidates.append(Candidate(name, setting, configured))
    return candidates


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
