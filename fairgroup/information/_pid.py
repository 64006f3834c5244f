"""Partial information decomposition of a joint table (BROJA), exact for two groups and certified
for more.

Definition of unique information: Bertschinger, Rauh, Olbrich, Jost, Ay, Entropy 16 (2014). Its use
for local and global fairness: Hamman and Dutta, ICLR 2024, Definition 3 and the identities after
it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from sklearn.exceptions import ConvergenceWarning

from fairgroup.information._closed_form import binary_coupling, binary_unique
from fairgroup.information._measures import (
    _scalar,
    as_tables,
    clip_rounding,
    information,
    normalise,
    unit,
)
from fairgroup.information._solver import _feasible_law, margin_problem

__all__ = ["PIDResult", "Unique", "pid_broja", "unique_information"]

Array = NDArray[np.float64]
SOLVERS = ("auto", "closed_form", "ipm", "cvxpy")


@dataclass(frozen=True)
class PIDResult:
    """Decomposition of the information that two sources carry about a target.

    Every field is a float for one table and an array for a batch of tables, in the base that was
    asked for.

    Attributes
    ----------
    unique1, unique2 : float or ndarray of shape (...)
        Information about the target that only the first (second) source has.
    redundant : float or ndarray of shape (...)
        Information that both sources have.
    synergy : float or ndarray of shape (...)
        Information that appears only when both sources are seen together.
    mi1, mi2, mi_joint : float or ndarray of shape (...)
        Mutual information of the target with the first source, the second, and the pair;
        ``mi1 = unique1 + redundant`` and ``mi_joint = unique1 + unique2 + redundant + synergy``.
    duality_gap : float or ndarray of shape (...)
        The true ``unique1`` lies in ``[unique1 - duality_gap, unique1]``; 0 for the closed form.
    n_iter : int or ndarray of shape (...)
        Newton steps; 0 for the closed form.
    coupling : ndarray of shape (..., m, k, n) or None
        An optimal law with the same (target, source) margins, if it was asked for.

    Examples
    --------
    >>> from fairgroup.information import pid_broja
    >>> xor = [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]
    >>> result = pid_broja(xor)
    >>> float(result.synergy), float(result.redundant)
    (1.0, 0.0)
    """

    unique1: Any
    unique2: Any
    redundant: Any
    synergy: Any
    mi1: Any
    mi2: Any
    mi_joint: Any
    duality_gap: Any
    n_iter: Any
    coupling: Array | None = None


def pid_broja(
    table: ArrayLike,
    *,
    base: float | str = 2,
    solver: str = "auto",
    tol: float = 1e-9,
    max_iter: int = 100,
    return_coupling: bool = False,
) -> PIDResult:
    """Decompose the information of two sources about a target (BROJA).

    Parameters
    ----------
    table : array-like of shape (..., m, k, n)
        Counts or probabilities with the axes (target, first source, second source); leading axes
        are a batch that is solved in one call. For the disparity of a model over clients the
        target is the protected group, the first source the prediction, the second the client.
    base : float or "e", default=2
        Base of the logarithm: 2 gives bits.
    solver : {"auto", "closed_form", "ipm", "cvxpy"}, default="auto"
        ``"auto"`` takes the exact closed form wherever only two levels of the target occur and the
        interior point method elsewhere. ``"cvxpy"`` is a slow independent check (extra
        ``optimize``).
    tol : float, default=1e-9
        Wanted duality gap, in units of the base.
    max_iter : int, default=100
        Largest number of Newton steps.
    return_coupling : bool, default=False
        Also return an optimal law of (target, first, second).

    Returns
    -------
    result : PIDResult

    Raises
    ------
    ValueError
        For a bad table, or ``solver="closed_form"`` with more than two levels of the target.

    Warns
    -----
    ConvergenceWarning
        When a duality gap above ``tol`` is left.

    Notes
    -----
    The unique information is the minimum of ``I_Q(target; first | second)`` over all laws Q that
    keep the two margins (target, first) and (target, second). Cost for a batch of P tables: O(P (k
    + n) log(k + n)) for two groups, O(P m^3 k (k^2 + n)) per Newton step, 7 to 15 steps, for more
    (k and n exchanged if k > n).

    References
    ----------
    Bertschinger et al., "Quantifying unique information", Entropy 16 (2014), Definition 1.

    Examples
    --------
    Group membership (first axis), decision (second) and hospital (third):

    >>> from fairgroup.information import pid_broja
    >>> result = pid_broja([[[40, 20], [10, 30]], [[15, 25], [35, 25]]])
    >>> print(f"{result.unique1:.6f} {result.redundant:.6f} {result.synergy:.6f}")
    0.029049 0.000000 0.070183
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {SOLVERS}; found {solver!r}.")
    nats = unit(base)
    joint = normalise(as_tables(table, n_axes=3), n_axes=3)
    batch = joint.shape[:-3]
    joint = joint.reshape(-1, *joint.shape[-3:])
    first, second = joint.sum(3), joint.sum(2)
    found = unique_information(
        first,
        second,
        solver=solver,
        tol=tol * nats,
        max_iter=max_iter,
        want_law=return_coupling,
    )
    if (found.gap > tol * nats).any():
        warnings.warn(
            f"The duality gap of {int((found.gap > tol * nats).sum())} of {len(joint)} tables is "
            f"above tol={tol:g} "
            f"(largest {found.gap.max() / nats:.2g}); the values stay valid upper bounds within "
            "their gap.",
            ConvergenceWarning,
            stacklevel=2,
        )
    terms = {name: value / nats for name, value in decompose(joint, found).items()}
    return PIDResult(
        **{name: _scalar(value.reshape(batch)) for name, value in terms.items()},
        n_iter=found.n_iter.reshape(batch)[()],
        coupling=None if found.law is None else found.law.reshape(*batch, *joint.shape[1:]),
    )


class Unique(NamedTuple):
    """Unique information of the first source of a batch, in nats: value, certificate, steps,
    optimal law.
    """

    value: Array
    gap: Array
    n_iter: NDArray[np.intp]
    law: Array | None


def decompose(joint: Array, found: Unique) -> dict[str, Array]:
    """All terms of the decomposition, in nats, from the table and the unique information of the
    first source.

    Parameters
    ----------
    joint : ndarray of shape (p, m, k, n)
        Probabilities.
    found : Unique
        What :func:`unique_information` gave for the margins of ``joint``.

    Returns
    -------
    terms : dict of str to ndarray of shape (p,)
    """
    p, m, k, n = joint.shape
    mi1, mi2 = information(joint.sum(3)), information(joint.sum(2))
    mi_joint = information(joint.reshape(p, m, k * n))
    given_second = np.maximum(mi_joint - mi2, 0.0)
    unique1 = np.clip(found.value, 0.0, np.minimum(mi1, given_second))
    redundant = mi1 - unique1
    return {
        "unique1": unique1,
        "unique2": np.maximum(mi2 - redundant, 0.0),
        "redundant": redundant,
        "synergy": given_second - unique1,
        "mi1": mi1,
        "mi2": mi2,
        "mi_joint": mi_joint,
        "duality_gap": found.gap,
    }


def unique_information(
    first: Array,
    second: Array,
    *,
    solver: str = "auto",
    tol: float = 1e-9,
    max_iter: int = 100,
    want_law: bool = False,
) -> Unique:
    """Unique information of the first source from the two margins alone, in nats.

    Parameters
    ----------
    first : ndarray of shape (p, m, k)
        Joint probabilities of target and first source.
    second : ndarray of shape (p, m, n)
        Joint probabilities of target and second source.
    solver, tol, max_iter
        As in :func:`pid_broja`; ``tol`` in nats.
    want_law : bool, default=False
        Also return optimal laws.

    Returns
    -------
    found : Unique
    """
    p = len(first)
    n_target, n_first, n_second = (
        (margin > 0).sum(1) for margin in (first.sum(2), first.sum(1), second.sum(1))
    )
    if solver == "closed_form" and (n_target > 2).any():
        raise ValueError(
            f"solver='closed_form' needs at most two groups; a table has {n_target.max()}. Use "
            "solver='ipm' or 'auto'."
        )
    value, gap = np.zeros(p), np.zeros(p)
    n_iter = np.zeros(p, dtype=np.intp)
    law = _product_law(first, second) if want_law else None
    trivial = (n_target < 2) | (n_first < 2) | (n_second < 2)
    alone = (n_target > 1) & (n_first > 1) & (n_second < 2)
    value[alone] = information(first[alone])
    exact = ~trivial & (n_target == 2) & (solver in ("auto", "closed_form"))
    _solve_exact(np.flatnonzero(exact), first, second, value, law)
    rest = np.flatnonzero(~trivial & ~exact)
    if len(rest):
        a, b = first[rest], second[rest]
        if solver == "cvxpy":
            from fairgroup.information._cvxpy import margin_problem_cvxpy

            optimum = margin_problem_cvxpy(a, b)
        else:
            optimum = margin_problem(a, b, tol=tol, max_iter=max_iter)
        entropy = xlogy(b.sum(1), b.sum(1)).sum(1) - xlogy(b, b).sum((1, 2))
        value[rest] = clip_rounding(entropy + optimum.upper)
        gap[rest] = np.maximum(optimum.upper - optimum.lower, 0.0)
        n_iter[rest] = optimum.n_iter
        if law is not None:
            law[rest] = optimum.law
    return Unique(value, gap, n_iter, law)


def _solve_exact(
    rows: NDArray[np.intp], first: Array, second: Array, value: Array, law: Array | None
) -> None:
    """Closed form for the problems in ``rows``, which have two levels of the target."""
    if len(rows) == 0:
        return
    a, b = first[rows], second[rows]
    levels = np.broadcast_to(np.arange(2)[:, None], (len(rows), 2, 1))
    if first.shape[1] > 2:
        levels = np.argsort(a.sum(2) <= 0, axis=1, kind="stable")[:, :2, None]
        a, b = np.take_along_axis(a, levels, 1), np.take_along_axis(b, levels, 1)
    value[rows] = binary_unique(a, b)[0]
    if law is None:
        return
    law[rows] = 0.0
    for i, row in enumerate(rows):
        coupling = binary_coupling(a[i], b[i])[None]
        law[row, levels[i, :, 0]] = _feasible_law(coupling, a[[i]], b[[i]])[0]


def _product_law(first: Array, second: Array) -> Array:
    """Both sources independent given the target: a member of the feasible set, optimal in the
    trivial cases.
    """
    mass = first.sum(2)
    inverse = np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0)
    return first[..., None] * second[:, :, None] * inverse[..., None, None]
