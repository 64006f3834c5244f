"""One pass of counting: cells x true labels x predicted labels.

Every label metric of every group, attribute and of the whole is a ratio of sums of this one small
table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_TABLE = 50_000_000


def count_table(
    cells: NDArray[np.integer],
    y_true: NDArray[np.integer],
    y_pred: NDArray[np.integer],
    *,
    n_cells: int,
    n_classes: int,
) -> NDArray[np.int64]:
    """Count the rows of each (cell, true label, predicted label).

    Parameters
    ----------
    cells, y_true, y_pred : ndarray of int, shape (n_samples,)
        Codes in 0 .. n_cells - 1 and 0 .. n_classes - 1.
    n_cells, n_classes : int
        Sizes of the table.

    Returns
    -------
    counts : ndarray of int64, shape (n_cells, n_classes, n_classes)
    """
    flat = table_cells(cells, y_true, y_pred, n_cells=n_cells, n_classes=n_classes)
    counts = np.bincount(flat, minlength=n_cells * n_classes**2)
    return counts.reshape(n_cells, n_classes, n_classes)


def table_cells(
    cells: NDArray[np.integer],
    y_true: NDArray[np.integer],
    y_pred: NDArray[np.integer],
    *,
    n_cells: int,
    n_classes: int,
) -> NDArray[np.intp]:
    """Return each row's place in the flattened table of `count_table`.

    Raises
    ------
    ValueError
        When the table would be so large that the labels cannot be meant as classes.
    """
    if n_cells * n_classes**2 > MAX_TABLE:
        raise ValueError(
            f"y_true and y_pred have {n_classes} distinct labels in {n_cells} cells, "
            "too many to count; "
            "for numeric targets ask for regression metrics, e.g. metrics=['mean_absolute_error']."
        )
    flat = np.multiply(cells, n_classes, dtype=np.intp)
    flat += y_true
    flat *= n_classes
    flat += y_pred
    return flat


def sum_cells(
    table: NDArray[np.number], group_of_cell: NDArray[np.intp], n_groups: int
) -> NDArray:
    """Add up the cells of each group along the first axis.

    Parameters
    ----------
    table : ndarray of shape (n_cells, ...)
        Additive quantities of the cells.
    group_of_cell : ndarray of int, shape (n_cells,)
        Group of each cell, -1 for a cell that is in none.
    n_groups : int
        Number of groups.

    Returns
    -------
    sums : ndarray of shape (n_groups, ...)
        Zero for a group without cells.
    """
    if len(group_of_cell) == n_groups and (group_of_cell == np.arange(n_groups)).all():
        return table
    order = np.argsort(group_of_cell, kind="stable")
    order = order[np.searchsorted(group_of_cell[order], 0) :]
    groups, starts = np.unique(group_of_cell[order], return_index=True)
    sums = np.zeros((n_groups, *table.shape[1:]), dtype=table.dtype)
    if len(groups):
        sums[groups] = np.add.reduceat(table[order], starts, axis=0)
    return sums
