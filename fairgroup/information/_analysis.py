"""From a table of counts to every number of a decomposition: values, bias, tests, intervals."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fairgroup.exceptions import FairgroupWarning, FairnessWarning
from fairgroup.information._federated import privacy_noise
from fairgroup.information._intervals import (
    Jackknife,
    bootstrap_tables,
    intervals,
    jackknife,
    miller_madow,
    test_of_no_disparity,
)
from fairgroup.information._measures import information, normalise, unit
from fairgroup.information._pid import unique_information
from fairgroup.information._terms import TERMS, Evaluator, largest_parity_gap
from fairgroup.utils._validation import as_generator

__all__ = ["Settings", "analyse", "analyse_margins"]

Array = NDArray[np.float64]
_SMALL_SAMPLE = 1000
_SMALL_EXPECTED = 5


@dataclass(frozen=True)
class Settings:
    """The parameters of a decomposition that the analysis of a table depends on."""

    base: float | str
    solver: str
    tol: float
    max_iter: int
    bias_correction: str | None
    n_bootstrap: int
    confidence_level: float
    ci_method: str
    stratify_clients: bool
    random_state: Any
    privacy_epsilon: float | None = None

    def evaluator(self, *, at_most: float = np.inf) -> Evaluator:
        """Return what computes the terms of a batch of tables."""
        return Evaluator(self.solver, min(self.tol * unit(self.base), at_most), self.max_iter)


def analyse(counts: Array, settings: Settings) -> dict[str, Any]:
    """Decompose a table.

    Parameters
    ----------
    counts : ndarray of shape (m, k, n)
        Groups, predictions, clients.
    settings : Settings

    Returns
    -------
    found : dict
        The fitted attributes of DisparityDecomposition without their trailing underscore, besides
        ``"five"`` (the terms) and ``"parity"`` (m, 5).
    """
    nats = unit(settings.base)
    n_groups, _, n_clients = counts.shape
    joint = normalise(counts, n_axes=3)
    evaluate = settings.evaluator()
    plug_in = evaluate(counts[None])[0]
    five, clients, parity = Evaluator.split(plug_in, n_groups, n_clients)
    weight = joint.sum((0, 1))
    client_information = float(information(joint.sum(1))) / nats
    uncertainty = _Uncertainty(counts, settings, plug_in)
    p_global, p_local = test_of_no_disparity(counts) if _whole(counts) else (np.nan, np.nan)
    return {
        "five": _correct(five / nats, [uncertainty.bias.get(name, 0.0) for name in TERMS]),
        "parity": parity,
        "n_samples": float(counts.sum()),
        "client_information": client_information,
        "unique_client": max(client_information - float(five[1]) / nats, 0.0),
        "client_weight": weight,
        "client_disparity": np.divide(
            clients / nats, weight, out=np.zeros_like(clients), where=weight > 0
        ),
        "statistical_parity": largest_parity_gap(joint.sum(2)),
        "client_statistical_parity": np.array(
            [largest_parity_gap(joint[:, :, s]) for s in range(n_clients)]
        ),
        "p_value_global": p_global,
        "p_value_local": p_local,
        "bias": uncertainty.bias,
        "standard_errors": uncertainty.errors,
        "confidence_intervals": uncertainty.intervals,
        "client_intervals": uncertainty.client_intervals,
        **_certificate(
            evaluate.worst_gap / nats,
            [counts.sum(axes) for axes in ((1, 2), (0, 2), (0, 1))],
            settings,
        ),
    }


def analyse_margins(
    pooled: Array,
    sizes: Array,
    local_sum: float | None,
    *,
    base: float | str,
    solver: str,
    tol: float,
    max_iter: int,
) -> dict[str, Any]:
    """Decompose from the pooled table and the clients' group sizes; see ``from_aggregates``.

    Parameters
    ----------
    pooled : ndarray of shape (m, k)
        Groups and predictions, all clients together.
    sizes : ndarray of shape (m, n)
        Groups and clients.
    local_sum : float or None
        Sum over clients of rows times disparity inside.
    base, solver, tol, max_iter
        As in DisparityDecomposition.

    Returns
    -------
    found : dict
        Like :func:`analyse`, as far as these numbers tell.
    """
    nats = unit(base)
    total = float(pooled.sum())
    first, second = pooled / total, sizes / total
    unique = unique_information(
        first[None], second[None], solver=solver, tol=tol * nats, max_iter=max_iter
    )
    overall = float(information(first)) / nats
    local = np.nan if local_sum is None else float(local_sum) / total
    value = float(np.clip(unique.value[0] / nats, 0.0, np.nanmin([overall, local])))
    settings = Settings(base, solver, tol, max_iter, None, 0, 0.95, "shifted", False, None)
    client_information = float(information(second)) / nats
    return {
        "five": np.array([value, overall - value, local - value, overall, local]),
        "n_samples": total,
        "client_information": client_information,
        "unique_client": max(client_information - (overall - value), 0.0),
        "client_weight": second.sum(0),
        "statistical_parity": largest_parity_gap(first),
        "bias": {},
        "standard_errors": {},
        "confidence_intervals": {},
        "client_intervals": None,
        **_certificate(
            float(unique.gap[0]) / nats, [pooled.sum(1), pooled.sum(0), sizes.sum(0)], settings
        ),
    }


def _certificate(gap: float, margins: list[Array], settings: Settings) -> dict[str, Any]:
    """Which solver was used and how far from the optimum it can be; warn where there is something
    to know.
    """
    if gap > settings.tol:
        warnings.warn(
            f"The duality gap {gap:.2g} is above tol={settings.tol:g}; unique_ is an upper bound "
            "within it.",
            ConvergenceWarning,
            stacklevel=5,
        )
    for margin, what in zip(margins, ("group", "level of prediction", "client"), strict=True):
        if (margin > 0).sum() == 1:
            warnings.warn(
                f"The table has only one {what}; the decomposition is trivial.",
                FairnessWarning,
                stacklevel=5,
            )
    exact = (margins[0] > 0).sum() <= 2 and settings.solver in ("auto", "closed_form")
    solver = "closed_form" if exact else ("ipm" if settings.solver == "auto" else settings.solver)
    return {"duality_gap": gap, "solver": solver}


class _Uncertainty:
    """Bias, standard errors and intervals of the terms, in units of the base."""

    def __init__(self, counts: Array, settings: Settings, plug_in: Array) -> None:
        self.counts, self.settings, self.plug_in = counts, settings, plug_in
        self.bias: dict[str, float] = {}
        self.errors: dict[str, float] = {}
        self.intervals: dict[str, tuple[float, float]] = {}
        self.client_intervals: Array | None = None
        by_jackknife = settings.ci_method == "jackknife"
        corrects = settings.bias_correction
        if (by_jackknife or settings.n_bootstrap or corrects) and not _whole(counts):
            raise ValueError(
                "Bias correction and intervals need whole counts, but the table holds weights. "
                "Use n_bootstrap=0 and "
                "bias_correction=None, or round the table to an effective sample size yourself."
            )
        # The jackknife multiplies differences by N, so the solver's own error must be far below 1
        # / N.
        spread = (
            jackknife(counts, settings.evaluator(at_most=1e-11), plug_in)
            if by_jackknife or corrects == "jackknife"
            else None
        )
        self._correct_bias(spread)
        samples = None if by_jackknife or not settings.n_bootstrap else self._resample()
        if samples is not None or by_jackknife:
            _warn_if_small(counts)
            self._bound(samples, spread)

    def _correct_bias(self, spread: Jackknife | None) -> None:
        nats = unit(self.settings.base)
        if self.settings.bias_correction == "jackknife" and spread is not None:
            self.bias = dict(zip(TERMS, (spread.bias[:5] / nats).tolist(), strict=True))
        elif self.settings.bias_correction == "miller-madow":
            of_global, of_local = (bias / nats for bias in miller_madow(self.counts))
            self.bias = {
                "redundant": of_global,
                "masked": of_local,
                "global": of_global,
                "local": of_local,
            }

    def _resample(self) -> Array:
        evaluate = self.settings.evaluator()
        rng = as_generator(self.settings.random_state)
        chunks = bootstrap_tables(
            self.counts,
            self.settings.n_bootstrap,
            rng,
            stratified=self.settings.stratify_clients,
        )
        return np.concatenate([evaluate(self._with_noise(chunk, rng)) for chunk in chunks])

    def _with_noise(self, tables: Array, rng: np.random.Generator) -> Array:
        """Resamples carry the same privacy noise as the table, so that intervals know of it."""
        if self.settings.privacy_epsilon is None:
            return tables
        noise = privacy_noise(tables.shape, self.settings.privacy_epsilon, rng)
        noisy = np.maximum(tables + noise, 0)
        # A table that the noise empties says nothing; it counts as the unperturbed one.
        lost = noisy.sum((1, 2, 3)) == 0
        return np.where(lost[:, None, None, None], tables, noisy)

    def _bound(self, samples: Array | None, spread: Jackknife | None) -> None:
        n_groups, _, n_clients = self.counts.shape
        scale = np.ones(len(self.plug_in))
        scale[: 5 + n_clients] = 1 / unit(self.settings.base)
        names = [*TERMS, *[""] * n_clients, *(f"parity_{name}" for name in TERMS)]
        names += [""] * (len(self.plug_in) - len(names))
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", RuntimeWarning
            )  # a group that is absent has no parity gap
            bounds = intervals(
                self.plug_in,
                samples,
                method=self.settings.ci_method,
                level=self.settings.confidence_level,
                spread=spread,
                percentile_terms=np.array([name.endswith("unique") for name in names]),
            )
            if samples is not None:
                errors = np.nanstd(samples, axis=0, ddof=1)
            else:
                assert spread is not None
                errors = spread.standard_error
        bounds, errors = bounds * scale[:, None], errors * scale
        for i, name in enumerate(names):
            if name and (name in TERMS or n_groups == 2):
                self.intervals[name] = (float(bounds[i, 0]), float(bounds[i, 1]))
                self.errors[name] = float(errors[i])
        self.client_intervals = bounds[5 : 5 + n_clients]


def _whole(counts: Array) -> bool:
    return bool((counts == np.round(counts)).all())


def _correct(five: Array, bias: list[float]) -> Array:
    """Subtract the bias; terms stay non-negative and the two sums hold."""
    corrected = np.maximum(five - np.asarray(bias), 0.0)
    if not np.any(bias):
        return corrected
    unique = min(corrected[0], corrected[3], corrected[4])
    return np.array(
        [unique, corrected[3] - unique, corrected[4] - unique, corrected[3], corrected[4]]
    )


def _warn_if_small(counts: Array) -> None:
    total = counts.sum()
    expected = (
        counts.sum((1, 2))[:, None, None]
        * counts.sum((0, 2))[:, None]
        * counts.sum((0, 1))
        / total**2
    )
    smallest = expected[expected > 0].min()
    if total < _SMALL_SAMPLE or smallest < _SMALL_EXPECTED:
        warnings.warn(
            f"The table has {total:g} rows and a smallest expected cell of {smallest:.2g}; with "
            "fewer than "
            f"{_SMALL_SAMPLE} rows or {_SMALL_EXPECTED} expected per cell intervals cover less "
            "often than they say.",
            FairgroupWarning,
            stacklevel=6,
        )
