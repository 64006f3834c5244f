"""Labels that come late: decisions wait for them under a number."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from fairgroup.forest._state import Rules, State
from fairgroup.forest._stream_kernels import DECIDE, RESOLVE

__all__ = ["DelayedLabels"]

Floats = NDArray[np.float64]


class DelayedLabels:
    """Mixin with ``_hold`` and `resolve`."""

    _rules: Rules
    _state: State
    _waiting: dict[int, tuple[Floats, int, Floats]]  # number -> row, group, outputs
    _next_number: int
    encoder_: Any

    def _look_up(self, encoder: Any, sensitive_features: Any, n_rows: int) -> NDArray[np.int32]:
        raise NotImplementedError

    def _check_labels(self, y: NDArray) -> Floats:
        raise NotImplementedError

    def _run(self, X: Floats, y: Floats, codes: Any, mode: int, outputs: Any = None) -> Floats:
        raise NotImplementedError

    def _reset_pending(self) -> None:
        self._waiting, self._next_number = {}, 0

    @property
    def n_waiting_(self) -> int:
        """Decisions whose label has not come yet."""
        return len(getattr(self, "_waiting", ()))

    def _hold(self, X: ArrayLike, sensitive_features: Any) -> tuple[NDArray[np.int64], Floats]:
        """Decide rows; under demographic parity they enter the fairness statistics now."""
        check_is_fitted(self, "_state")
        rows: Floats = validate_data(self, X, reset=False, dtype=np.float64, ensure_min_samples=0)
        codes = self._look_up(self.encoder_, sensitive_features, len(rows))
        outputs = self._run(rows, np.empty(len(rows)), codes, DECIDE)
        ids = self._next_number + np.arange(len(rows))
        self._next_number += len(rows)
        for i, number in enumerate(ids.tolist()):
            self._waiting[number] = (rows[i].copy(), int(codes[i]), outputs[i].copy())
        return ids, outputs

    def resolve(self, ids: ArrayLike, y: ArrayLike) -> Self:
        """Learn from rows that `enqueue` decided, now that their labels are known.

        Accuracy is counted for the decision that was taken then; the task is learned with the
        parameters of now. Under "equal_opportunity" and "equalized_odds" the row enters the
        fairness statistics now, because they need its label.

        Parameters
        ----------
        ids : array-like of shape (n,)
            Numbers that `enqueue` returned, in any order.
        y : array-like of shape (n,)
            Their labels.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a number that is not waiting, or given twice.
        """
        check_is_fitted(self, "_state")
        numbers, labels = np.atleast_1d(np.asarray(ids)), np.atleast_1d(np.asarray(y))
        if numbers.shape != labels.shape or numbers.ndim != 1:
            raise ValueError(f"ids has shape {numbers.shape}, but y has {labels.shape}.")
        keys = numbers.tolist()
        strange = [key for key in keys if key not in self._waiting]
        if strange:
            raise ValueError(
                f"{len(strange)} of {len(keys)} ids do not wait for a label, the first is "
                f"{strange[0]!r}; give those of enqueue, each once."
            )
        if len(set(keys)) < len(keys):
            raise ValueError("ids must be distinct, but some are given twice.")
        if not keys:
            return self
        encoded = self._check_labels(labels)
        rows, codes, outputs = zip(*(self._waiting[key] for key in keys), strict=True)
        given = np.vstack(outputs)
        self._run(np.vstack(rows), encoded, np.array(codes, dtype=np.int32), RESOLVE, given)
        for key in keys:
            del self._waiting[key]
        return self

    def _pending_state(self) -> dict[str, NDArray]:
        waiting = self._waiting
        n, rules = len(waiting), self._rules
        rows = [row for row, _, _ in waiting.values()]
        outputs = [out for _, _, out in waiting.values()]
        return {
            "waiting_ids": np.array(list(waiting), dtype=np.int64),
            "waiting_rows": np.array(rows).reshape(n, rules.n_features),
            "waiting_codes": np.array([code for _, code, _ in waiting.values()], dtype=np.int64),
            "waiting_outputs": np.array(outputs).reshape(n, rules.n_outputs),
            "next_number": np.array(self._next_number),
        }

    def _load_pending(self, state: dict[str, NDArray]) -> None:
        columns = (state[f"waiting_{name}"] for name in ("ids", "rows", "codes", "outputs"))
        self._waiting = {
            int(number): (np.array(row), int(code), np.array(out))
            for number, row, code, out in zip(*columns, strict=True)
        }
        self._next_number = int(state["next_number"])
