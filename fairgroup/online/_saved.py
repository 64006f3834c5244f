"""Stop and continue exactly: the state of a groupwise estimator as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fairgroup.online._core import GroupwiseCore
from fairgroup.online._group_book import GroupBook

__all__ = ["SavedState"]


class SavedState:
    """Mixin with `get_state` and `set_state`."""

    _core: GroupwiseCore
    _book: GroupBook
    _warned: set[str]
    n_features_in_: int

    def _new_book(self) -> GroupBook:
        raise NotImplementedError

    def _start(self, n_features: int, book: GroupBook) -> None:
        raise NotImplementedError

    def get_state(self) -> dict[str, Any]:
        """Everything learned, as arrays and scalars that ``numpy.savez`` can write.

        Returns
        -------
        state : dict
            Restored exactly by `set_state` on an estimator with the same parameters.

        Raises
        ------
        TypeError
            For base learners that are other objects; use pickle or joblib for these.
        """
        check_is_fitted(self, "_core")
        state = self._core.state() | self._book.state()
        state["n_features_in"] = np.array(self.n_features_in_)
        state["warned"] = np.array(sorted(self._warned), dtype=str)
        if hasattr(self, "feature_names_in_"):
            state["feature_names_in"] = np.array(self.feature_names_in_, dtype=str)
        return state | self._label_state()

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Continue where `get_state` was called.

        Parameters
        ----------
        state : mapping
            What `get_state` returned, or the archive that ``numpy.load`` gives for it.

        Returns
        -------
        self : object
        """
        arrays = {key: np.asarray(state[key]) for key in state}
        self.n_features_in_ = int(arrays["n_features_in"])
        if "feature_names_in" in arrays:
            self.feature_names_in_ = arrays["feature_names_in"].astype(object)
        if hasattr(self, "_core"):
            del self._core
        self._load_labels(arrays)
        book = self._new_book()
        book.load(arrays)
        self._start(self.n_features_in_, book)
        self._core.load(arrays)
        self._warned = {str(name) for name in arrays["warned"]}
        return self

    def _label_state(self) -> dict[str, Any]:
        raise NotImplementedError

    def _load_labels(self, state: Mapping[str, NDArray]) -> None:
        raise NotImplementedError
