"""Score models at equal disparity (Cruz and Hardt 2024).

Every model's scores get group thresholds that maximise accuracy under the same bound on the
difference of selection rates, so that methods are compared by how well they rank and not by the
disparity at which they happened to stop. A bound of 1 takes a method's own constraint back
("unprocesses" it). Thresholds are chosen on the training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.comparison._thresholds import ScoreThresholds
from fairgroup.groups import GroupCodes

if TYPE_CHECKING:
    from fairgroup.comparison._folds import Fold

__all__ = ["LEVELS", "equalise"]

LEVELS = (0.0, 0.05, 0.1, 1.0)


def equalise(
    result: Fold,
    train: tuple[NDArray[np.float64], NDArray[Any], GroupCodes],
    test_codes: NDArray[np.int32],
    measure: Callable[[NDArray[Any]], dict[str, float]],
    levels: tuple[float, ...],
    pos_label: Any,
) -> list[Fold]:
    """Return the results of the same scores with group thresholds, one per level of disparity.

    Parameters
    ----------
    result : Fold
        Of the model as it is, with its test scores.
    train : (scores, labels, groups)
        Of the training rows.
    test_codes : ndarray of shape (n_test,)
        Groups of the test rows.
    measure : callable
        Predictions of the test rows -> metrics.
    levels : tuple of float
        Bounds on the difference of selection rates.
    pos_label : label
        The positive class.

    Returns
    -------
    results : list of Fold
        Their setting ends in "at disparity <= level".
    """
    scores, labels, groups = train
    assert result.y_score is not None and result.y_pred is not None
    negative = labels[labels != pos_label][0]
    unmitigated = (result.y_pred == pos_label).astype(np.int64)
    out = []
    for level in levels:
        thresholds = ScoreThresholds("demographic_parity", level or None, seed=result.fold)
        thresholds.fit(scores, (labels == pos_label).astype(np.int64), groups)
        decisions = thresholds.predict(result.y_score, test_codes, unmitigated)
        y_pred = np.where(decisions == 1, pos_label, negative).astype(labels.dtype)
        method, setting = result.key
        name = f"{setting + ' ' if setting else ''}at disparity <= {level:g}"
        out.append(replace(result, key=(method, name), y_pred=y_pred, values=measure(y_pred)))
    return out
