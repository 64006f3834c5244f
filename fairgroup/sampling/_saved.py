"""Stop a campaign and go on with it, exactly: everything as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from fairgroup.groups import GroupEncoder
from fairgroup.sampling._campaign import Campaign
from fairgroup.sampling._evaluate import evaluate
from fairgroup.sampling._records import Record
from fairgroup.sampling._responses import Observations

__all__ = ["SavedCampaign"]

_NUMBERS = ("_budget", "_batch", "_pilot_cost", "spent_", "n_rounds_", "utility_", "ede_")
_ARRAYS = ("_costs", "_weights", "_shares", "_upper", "n_per_group_", "scores_", "_errors")


class SavedCampaign(Campaign):
    """Mixin with `get_state` and `set_state`."""

    def get_state(self) -> dict[str, Any]:
        """Everything that the campaign has collected and learned.

        Returns
        -------
        state : dict
            Arrays and scalars that ``numpy.savez`` can write.

        Raises
        ------
        TypeError
            For tables with columns that are not numbers; use pickle or joblib for these.
        """
        check_is_fitted(self, "n_per_group_")
        state: dict[str, Any] = {
            name: np.array(getattr(self, name)) for name in _NUMBERS + _ARRAYS
        }
        state["_entropy"] = np.array(self._entropy, dtype=np.uint64)
        state["stopped_reason_"] = np.array(self.stopped_reason_)
        state["_rho"] = np.array(self._rho)
        state["_warned_fall"] = np.array(self._warned_fall)
        state["_n_columns"] = np.array(-1 if self._n_columns is None else self._n_columns)
        if self._pending is not None:
            state["_pending"] = self._pending
        self._save_groups(state)
        if self._y is not None:
            state |= _table_state("_X", self._X) | {"_y": self._y, "_codes": self._codes}
        if self._score is not None:
            X_val, y_val, codes_val = self._validation
            state |= _table_state("_X_val", X_val)
            state |= {"_y_val": y_val, "_codes_val": codes_val}
        for name in Record.ARRAYS + Record.NUMBERS:
            state[f"history.{name}"] = np.array([getattr(r, name) for r in self._records])
        if self._seen is not None:
            for g, (at, table) in enumerate(zip(*self._seen, strict=True)):
                state[f"seen.{g}.sizes"], state[f"seen.{g}.scores"] = at, table
        return state

    def _save_groups(self, state: dict[str, Any]) -> None:
        state["columns"] = np.array(self.encoder_.columns_, dtype=str)
        state["named"] = np.array(self.encoder_._named)
        for j in range(len(self.encoder_.columns_)):
            levels = np.array([label[j] for label in self.encoder_.labels_])
            if levels.dtype.kind == "O":
                raise TypeError("Levels of mixed types cannot be saved as arrays; use pickle.")
            state[f"levels.{j}"] = levels

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Go on where `get_state` was called, on an object with the same parameters.

        Parameters
        ----------
        state : mapping
            What `get_state` returned, or the archive that ``numpy.load`` gives for it.

        Returns
        -------
        self : AdaptiveGroupSampler
        """
        arrays = {key: np.asarray(state[key]) for key in state}
        self._begin(self._load_encoder(arrays), None, None, budget=float(arrays["_budget"]))
        for name in _ARRAYS:
            setattr(self, name, arrays[name].copy())
        for name in _NUMBERS:
            setattr(self, name, arrays[name].item())
        self._entropy = [int(v) for v in arrays["_entropy"]]
        self.stopped_reason_ = str(arrays["stopped_reason_"])
        self._warned_fall = bool(arrays["_warned_fall"])
        columns = int(arrays["_n_columns"])
        self._n_columns = None if columns < 0 else columns
        self._pending = arrays["_pending"].copy() if "_pending" in arrays else None
        if "_y" in arrays:
            self._X, self._y = _table("_X", arrays), arrays["_y"]
            self._codes = arrays["_codes"]
        if "_y_val" in arrays:
            table = _table("_X_val", arrays)
            self._validate_on(table, arrays["_y_val"], arrays["_codes_val"], warn=False)
        self._load_history(arrays)
        if self._y is not None:
            self._models = evaluate(self._trial(), len(self.groups_)).models
            self._finish_models()
        return self

    def _load_encoder(self, arrays: Mapping[str, Any]) -> GroupEncoder:
        names = [str(name) for name in arrays["columns"]]
        levels = {name: arrays[f"levels.{j}"] for j, name in enumerate(names)}
        if bool(arrays["named"]):
            return self._encoder_of(pd.DataFrame(levels))
        if len(names) == 1:
            return self._encoder_of(list(levels[names[0]].tolist()))
        rows = zip(*(values.tolist() for values in levels.values()), strict=True)
        return self._encoder_of([list(row) for row in rows])

    def _load_history(self, arrays: Mapping[str, Any]) -> None:
        self._records = []
        for i in range(self.n_rounds_):
            values = {name: arrays[f"history.{name}"][i].copy() for name in Record.ARRAYS}
            values |= {name: float(arrays[f"history.{name}"][i]) for name in Record.NUMBERS}
            made = ("n", "bought", "spent", "scores", "errors", "utility", "ede")
            record = Record(**{name: values[name] for name in made})
            for name in ("chance", "asked", "gain", "gain_error"):
                setattr(record, name, values[name])
            self._records.append(record)
        if "seen.0.sizes" in arrays:
            groups = range(len(self.groups_))
            self._seen = Observations(
                [arrays[f"seen.{g}.sizes"] for g in groups],
                [arrays[f"seen.{g}.scores"] for g in groups],
            )
        if self._records:
            self._respond()


def _table_state(name: str, table: Any) -> dict[str, Any]:
    """Return a table as one array, with its column names where it has some."""
    if isinstance(table, pd.DataFrame):
        if not all(pd.api.types.is_numeric_dtype(t) for t in table.dtypes):
            raise TypeError(
                "A table with columns that are not numbers cannot be saved as arrays; use pickle "
                "or joblib on the sampler itself."
            )
        state = {f"{name}.names": np.array(table.columns, dtype=str)}
        return state | {f"{name}.{j}": table.iloc[:, j].to_numpy() for j in range(table.shape[1])}
    array = np.asarray(table)
    if array.dtype.kind == "O":
        raise TypeError("A table of objects cannot be saved as arrays; use pickle or joblib.")
    return {name: array}


def _table(name: str, arrays: Mapping[str, Any]) -> Any:
    if f"{name}.names" not in arrays:
        return arrays[name]
    names = arrays[f"{name}.names"].tolist()
    return pd.DataFrame({column: arrays[f"{name}.{j}"] for j, column in enumerate(names)})
