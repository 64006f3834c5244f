"""Cross-entropy search for the parameters of a policy (Rubinstein and Kroese, 2004)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

Floats = NDArray[np.float64]


def cross_entropy_search(
    objective: Callable[[Floats], Floats],
    start: Floats,
    spread: Floats,
    bounds: Floats,
    *,
    n_iterations: int,
    n_candidates: int,
    n_elite: int,
    rng: np.random.Generator,
    verbose: bool = False,
) -> tuple[Floats, list[dict[str, Any]]]:
    """Maximise ``objective`` over a box.

    Parameters
    ----------
    objective : callable
        Maps candidates (n, d) to scores (n,). It should use the same random numbers for all.
    start, spread : ndarray of shape (d,)
        Mean and standard deviation of the first generation; ``start`` is its first candidate.
    bounds : ndarray of shape (d, 2)
        Lower and upper limits; candidates are clipped.
    n_iterations, n_candidates, n_elite : int
        Generations, their size, and how many of the best the next Gaussian is fitted to.
    rng : Generator
        Source of the candidates.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    best : ndarray of shape (d,)
        Best candidate of all generations; never worse than ``start`` on the objective.
    history : list of dict
        One entry per generation: ``mean``, ``std``, ``best_score``, ``mean_score``.
    """
    mean, std = start.copy(), spread.copy()
    best, best_score, history = start.copy(), -np.inf, []
    for iteration in tqdm(range(n_iterations), desc="policy search", disable=not verbose):
        candidates = mean + std * rng.standard_normal((n_candidates, start.size))
        candidates[0] = start if iteration == 0 else best
        candidates = np.clip(candidates, bounds[:, 0], bounds[:, 1])
        scores = objective(candidates)
        order = np.argsort(-scores, kind="stable")
        if scores[order[0]] > best_score:
            best, best_score = candidates[order[0]].copy(), float(scores[order[0]])
        elite = candidates[order[:n_elite]]
        mean, std = elite.mean(axis=0), elite.std(axis=0)
        history.append(
            {
                "mean": mean,
                "std": std,
                "best_score": best_score,
                "mean_score": float(scores.mean()),
            }
        )
    return best, history
