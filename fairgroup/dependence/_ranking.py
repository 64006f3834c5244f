"""Predictions in order: signed sums over all pairs from one sort and prefix sums.

With s_ij = sgn(y_i - y_j), sgn(0) = 0, and prefix sums C of weights w in the order of y,

    sum_j s_ij w_j = C[start_i] + C[stop_i] - C[n],

where start_i and stop_i bound the run of values equal to y_i. This is exact with ties.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Ranking", "rank"]


@dataclass(frozen=True)
class Ranking:
    """Predictions of one kind of array (NumPy, or torch on any device) and their order.

    Parameters
    ----------
    values : array of float64, shape (n_samples,)
        Predictions minus their median, which keeps digits.
    order : array of int64, shape (n_samples,)
        Stable order of the values.
    xp : module
        ``numpy`` or ``torch``.
    """

    values: Any
    order: Any
    xp: Any

    def __len__(self) -> int:
        return len(self.values)

    @property
    def on_host(self) -> bool:
        """Whether the arrays are NumPy's."""
        return self.xp is np

    @cached_property
    def bounds(self) -> tuple[Any, Any]:
        """Start and stop of each row's run of equal values, as positions in the order."""
        ordered = self.values[self.order]
        start = self.xp.searchsorted(ordered, self.values, side="left")
        return start, self.xp.searchsorted(ordered, self.values, side="right")

    def signed_sum(self, weights: Any) -> Any:
        """Return sum_j s_ij w_j for every row i."""
        start, stop = self.bounds
        prefix = self.empty(len(self) + 1)
        prefix[0] = 0.0
        prefix[1:] = self.xp.cumsum(weights[self.order], 0)
        return prefix[start] + prefix[stop] - prefix[-1]

    def empty(self, *shape: int) -> Any:
        """Return an array of float64 where the predictions are."""
        if self.on_host:
            return np.empty(shape)
        return self.xp.empty(shape, dtype=self.xp.float64, device=self.values.device)

    def like(self, array: Any) -> Any:
        """Bring a NumPy array to where the predictions are."""
        if self.on_host:
            return array
        return self.xp.as_tensor(array, device=self.values.device)

    def through_host(self, compute: Callable[[Ranking], Any]) -> Any:
        """Run what is only there as a compiled loop on the CPU, and bring the result back."""
        host = rank(self.values.cpu().numpy())
        return self.like(compute(host))


def rank(values: Any) -> Ranking:
    """Sort predictions once for all sums over pairs."""
    # The median is subtracted, one of the values: equal predictions stay equal, and predictions
    # that are all equal become zeros, which the mean would miss by rounding.
    if isinstance(values, np.ndarray):
        numbers, places = values.astype(np.float64), np.argsort(values, kind="stable")
        return Ranking(numbers - numbers[places[len(places) // 2]], places, np)
    import torch

    wide = values.detach().to(torch.float64)
    order = torch.sort(wide, stable=True).indices
    return Ranking(wide - wide[order[len(order) // 2]], order, torch)
