"""Runs the kernels over rows: threads, number types, one result per output."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray

from fairgroup.postprocessing._kernels import (
    Settings,
    expect_everywhere,
    expect_protected,
    simulate,
)
from fairgroup.postprocessing._rules import FlipRules, as_nodes
from fairgroup.postprocessing._trees import MEAN, TreeEnsemble

__all__ = ["TreePass", "row_seeds"]

Array = NDArray[Any]


class TreePass:
    """Everything fixed about an ensemble and its rules; each method is one pass over rows.

    Parameters
    ----------
    trees : TreeEnsemble
    rules : FlipRules
    dtype : {"float64", "float32"}
        Precision of the arithmetic; float32 only where the model itself rounds its inputs to it.
    n_jobs : int or None
        Threads.
    """

    def __init__(
        self,
        trees: TreeEnsemble,
        rules: FlipRules,
        *,
        dtype: str = "float64",
        n_jobs: int | None = None,
    ) -> None:
        self.trees, self.rules, self.n_jobs = trees, rules, n_jobs
        self.dtype = np.float32 if dtype == "float32" and trees.single else np.float64
        self.depth = int(trees.depth.max())
        # Two classes: the second one's share says everything.
        self.pair = trees.link == "probability" and trees.value.shape[1] == 2

    def expect(self, inputs: Array, boost: Array, settings: Settings) -> Array:
        """Expected output, (n, n_outputs): mean of the trees, or their sum."""
        return self._finish(self._expect(inputs, boost, settings, self._value(), slice(None)))

    def variance(self, inputs: Array, boost: Array, settings: Settings) -> Array:
        """Variance of the output when every tree is walked once."""
        trees, value = self.trees, self._value()
        channels = value.shape[1]
        total = np.zeros((len(inputs), self._n_outputs(value)))
        both = np.hstack([value, value**2])
        for t in range(trees.n_trees):
            found = self._expect(inputs, boost, settings, both, slice(t, t + 1))
            spread = found[:, channels:] - found[:, :channels] ** 2
            first = int(trees.output[t])
            total[:, first : first + channels] += np.maximum(spread, 0.0)
        if trees.combine == MEAN:
            total /= trees.n_trees**2
        return np.repeat(total, 2, axis=1) if self.pair else total

    def simulate(
        self, inputs: Array, boost: Array, settings: Settings, n_walks: int, seed: int
    ) -> Array:
        """Mean output of random walks, ``n_walks`` through every tree."""
        value, trees = self._value(), self.trees
        nodes = as_nodes(trees, self.rules, self.dtype, value)
        seeds = row_seeds(inputs, seed)
        out = np.zeros((len(inputs), self._n_outputs(value)))

        def run(rows: slice) -> None:
            simulate(
                inputs[rows],
                nodes,
                trees.bounds,
                trees.output,
                seeds[rows],
                n_walks,
                boost[rows],
                settings,
                out[rows],
            )

        self._in_threads(run, len(inputs))
        return self._finish(out)

    def _value(self) -> Array:
        return self.trees.value[:, 1:] if self.pair else self.trees.value

    def _n_outputs(self, value: Array) -> int:
        return int(self.trees.output.max()) + value.shape[1]

    def _expect(
        self, inputs: Array, boost: Array, settings: Settings, value: Array, which: slice
    ) -> Array:
        trees = self.trees
        stop = trees.n_trees if which.stop is None else which.stop
        bounds = trees.bounds[which.start or 0 : stop + 1]
        alone = which.stop is not None
        output = np.zeros(1, np.int64) if alone else trees.output
        nodes = as_nodes(trees, self.rules, self.dtype, value)
        n_outputs = value.shape[1] if alone else self._n_outputs(value)
        out = np.zeros((len(inputs), n_outputs))
        used = np.zeros(inputs.shape[1], bool)
        used[trees.feature[trees.is_split]] = True

        def run(rows: slice) -> None:
            shared = (inputs[rows], nodes, bounds, output)
            rest = (self.depth, boost[rows], settings, out[rows])
            if settings.noise:
                expect_everywhere(*shared, used, *rest)
            else:
                expect_protected(*shared, *rest)

        self._in_threads(run, len(inputs))
        return out

    def _finish(self, out: Array) -> Array:
        if self.trees.combine == MEAN:
            out /= self.trees.n_trees
        return np.hstack([1 - out, out]) if self.pair else out

    def _in_threads(self, run: Callable[[slice], None], n_rows: int) -> None:
        """Rows do not depend on each other, so any split gives the same bits."""
        n_jobs = min(effective_n_jobs(self.n_jobs), max(n_rows // 512, 1))
        edges = np.linspace(0, n_rows, n_jobs + 1).astype(int)
        parts = [slice(a, b) for a, b in pairwise(edges)]
        if n_jobs == 1:
            run(parts[0])
            return
        Parallel(n_jobs=n_jobs, prefer="threads")(delayed(run)(part) for part in parts)


def row_seeds(inputs: Array, seed: int) -> NDArray[np.uint64]:
    """One stream of random numbers per distinct row: equal people walk alike, in any batch."""
    bits = np.ascontiguousarray(inputs + 0.0, dtype=np.float64).view(np.uint64)
    state = np.full(len(inputs), np.uint64(seed))
    with np.errstate(over="ignore"):
        for column in bits.T:
            state = (state ^ column) * np.uint64(0x9E3779B97F4A7C15)
            state ^= state >> np.uint64(29)
    return state
