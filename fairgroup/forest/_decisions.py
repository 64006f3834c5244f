"""How the decisions of a classifier have fared so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairgroup.forest._learned import LearnedNumbers
from fairgroup.forest._running import accuracy_of, divide, parity_band, rates_of
from fairgroup.forest._state import DEMOGRAPHIC_PARITY, Tally

__all__ = ["DecisionNumbers"]

Floats = NDArray[np.float64]


class DecisionNumbers(LearnedNumbers):
    """Running numbers that decisions have and numeric predictions do not."""

    classes_: NDArray

    @property
    def running_accuracy_(self) -> float:
        """Share of correct decisions, of those whose label is known."""
        return float(accuracy_of(self._tally()))

    @property
    def running_positive_rate_(self) -> Floats:
        """Share of decisions for ``classes_[1]`` by group; of each class for more than two."""
        means = rates_of(self._tally(), DEMOGRAPHIC_PARITY).means[0]
        return means[:, 0] if len(self.classes_) == 2 else means

    def running_parity_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Confidence sequence for the parity of the decisions so far.

        ``running_parity_`` is what happened, exactly; this is about the means behind it: the
        average, over a group's rows, of the probability that the decision would be for a class
        given everything before the row, its group, and (for the notions that condition on it) its
        label. It assumes nothing else: rows may depend on the past, and drift. It holds at all
        times at once, so that it may be looked at after every row.

        Parameters
        ----------
        confidence : float, default=0.95
            Probability that it holds at all times, for all groups.

        Returns
        -------
        low, high : float
            NaN until two groups have occurred.

        References
        ----------
        Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
        sequences", Annals of Statistics 49, 2021, equation (14).
        """
        if not 0 < confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1, got {confidence!r}.")
        tally = self._tally()
        low, high = parity_band(rates_of(tally, self._rules.notion), confidence)
        return float(low), float(high)

    def _report_columns(self, tally: Tally) -> dict[str, NDArray]:
        labelled, decided = tally.confusion.sum(axis=(1, 2)), tally.decided.sum(axis=1)
        report = {"n": decided.astype(np.int64), "labelled": labelled.astype(np.int64)}
        report["accuracy"] = divide(np.trace(tally.confusion, axis1=1, axis2=2), labelled)
        if len(self.classes_) > 2:
            shares = divide(tally.decided, decided[:, None])
            names = [f"rate of {label}" for label in self.classes_]
            return report | dict(zip(names, shares.T, strict=True))
        by_label = divide(tally.confusion[:, :, 1], tally.confusion.sum(axis=2))
        report["positive_rate"] = divide(tally.decided[:, 1], decided)
        report["true_positive_rate"] = by_label[:, 1]
        report["false_positive_rate"] = by_label[:, 0]
        return report
