"""Stop and continue exactly: the state of a forest as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from fairgroup.forest._state import Rules, State, fresh_state
from fairgroup.groups import GroupEncoder
from fairgroup.groups._encoder_state import encoder_from_text, encoder_to_text

__all__ = ["SavedState"]

ALWAYS = ("n_features_in", "seed", "groups", "waiting_ids", "next_number")


class SavedState:
    """Mixin with `get_state` and `set_state`."""

    _rules: Rules
    _state: State
    _seed: int
    encoder: GroupEncoder | None
    encoder_: GroupEncoder | None
    n_features_in_: int

    def get_state(self) -> dict[str, Any]:
        """Everything learned, as arrays that ``numpy.savez`` can write.

        Returns
        -------
        state : dict
            Restored exactly by `set_state` on an estimator with the same parameters.

        Raises
        ------
        TypeError
            For groups whose levels are neither text nor numbers; use pickle or joblib for these.
        """
        check_is_fitted(self, "_state")
        state: dict[str, Any] = {k: v.copy() for k, v in self._state._asdict().items()}
        state["n_features_in"] = np.array(self.n_features_in_)
        state["seed"] = np.array(self._seed)
        state["groups"] = np.array(encoder_to_text(self.encoder_))
        if hasattr(self, "feature_names_in_"):
            state["feature_names_in"] = np.array(self.feature_names_in_, dtype=str)
        return state | self._pending_state() | self._label_state()

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Continue where `get_state` was called.

        Parameters
        ----------
        state : mapping
            What `get_state` returned, or the archive that ``numpy.load`` gives for it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a state that lacks something, or of a model of another size.
        """
        self._validate_params()  # type: ignore[attr-defined]
        arrays = {key: np.asarray(state[key]) for key in state}
        needed = {*State._fields, *ALWAYS, *(["classes"] if is_classifier(self) else [])}
        if lacking := sorted(needed - set(arrays)):
            raise ValueError(
                f"state lacks {', '.join(lacking)}; it must be what get_state of an "
                f"{type(self).__name__} returned."
            )
        encoder = encoder_from_text(str(arrays["groups"]), self.encoder)
        self._load_labels(arrays)
        rules = self._make_rules(int(arrays["n_features_in"]), self._count_groups(encoder))
        expected = fresh_state(rules, np.empty(rules.n_parameters), fairness_weight=0.0)
        for name, array in expected._asdict().items():
            if arrays[name].shape != array.shape:
                raise ValueError(
                    f"{name} has shape {arrays[name].shape} in the state, but {array.shape} in a "
                    "model with these parameters; they must be those of the saved model."
                )
        self.n_features_in_ = int(arrays["n_features_in"])
        if "feature_names_in" in arrays:
            self.feature_names_in_ = arrays["feature_names_in"].astype(object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.encoder_, self._seed, self._rules = encoder, int(arrays["seed"]), rules
        self._state = State(**{name: np.array(arrays[name]) for name in State._fields})
        self._load_pending(arrays)
        return self

    # From the estimator.

    def _make_rules(self, n_features: int, n_groups: int) -> Rules:
        raise NotImplementedError

    @staticmethod
    def _count_groups(encoder: GroupEncoder | None) -> int:
        raise NotImplementedError

    def _pending_state(self) -> dict[str, NDArray]:
        raise NotImplementedError

    def _load_pending(self, state: dict[str, NDArray]) -> None:
        raise NotImplementedError

    def _label_state(self) -> dict[str, Any]:
        raise NotImplementedError

    def _load_labels(self, state: Mapping[str, NDArray]) -> None:
        raise NotImplementedError
