"""Tables of any kind: put them together, and notice when validation rows are training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

__all__ = ["check_no_overlap", "concatenate"]


def concatenate(first: Any, second: Any) -> Any:
    """Rows of both; None stands for no rows."""
    if first is None:
        return second
    if isinstance(first, pd.DataFrame):
        return pd.concat([first, second], ignore_index=True)
    if scipy.sparse.issparse(first):
        return scipy.sparse.vstack([first, second], format="csr")
    if hasattr(first, "vstack"):  # polars
        return first.vstack(second)
    return np.concatenate([first, second])


def check_no_overlap(X: Any, X_val: Any) -> None:
    """Refuse validation rows that are rows of the pool, as far as one can see.

    Raises
    ------
    ValueError
        When both are one object, or share memory, or have rows with the same label and values.
    """
    same = X is X_val
    if isinstance(X, np.ndarray) and isinstance(X_val, np.ndarray):
        blocks = X.flags.c_contiguous and X_val.flags.c_contiguous
        same = same or (blocks and np.may_share_memory(X, X_val))
    elif isinstance(X, pd.DataFrame) and isinstance(X_val, pd.DataFrame):
        common = X.index.intersection(X_val.index)
        if X.index.is_unique and X_val.index.is_unique and len(common):
            same = same or X.loc[common].equals(X_val.loc[common])
    if same:
        raise ValueError(
            "X_val has rows of X: scores on training data say nothing about learning. Split "
            "first, or leave X_val out to have a part of the pool held out."
        )
