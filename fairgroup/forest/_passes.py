"""What a forest says of rows, as things stand: nothing is learned here."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from fairgroup.forest._kernels import leaf_values, predict_rows
from fairgroup.forest._learned import LearnedNumbers
from fairgroup.forest._state import UNSCALED
from fairgroup.forest._stream_kernels import standardise

__all__ = ["ForwardPasses"]

Floats = NDArray[np.float64]


class ForwardPasses(LearnedNumbers):
    """Mixin with `node_outputs`, `leaf_probabilities` and `tree_outputs`."""

    def _checked(self, X: ArrayLike) -> Floats:
        check_is_fitted(self, "_state")
        return validate_data(self, X, reset=False, dtype=np.float64)

    def _scaled(self, rows: Floats) -> Floats:
        """Checked rows as the trees see them."""
        if self._rules.scaling == UNSCALED:
            return np.ascontiguousarray(rows)
        scaled = np.empty(rows.shape)
        standardise(rows, self._state.scaler, scaled)
        return scaled

    def _leaf_values(self) -> Floats:
        values = np.empty(self._leaves.shape)
        leaf_values(self._leaves, values)
        return values

    def _pass(self, rows: Floats, *, keep: bool = False) -> tuple[Floats, Floats, Floats]:
        """Outputs (n, C); if they are to be kept, node outputs (n, J) and reach (n, T, 2L - 1)."""
        scaled, rules = self._scaled(rows), self._rules
        kept = len(scaled) if keep else 1
        nodes = np.empty((kept, rules.n_trees * rules.n_nodes))
        reached = np.empty((kept, rules.n_trees, 2 * rules.n_nodes + 1))
        outputs = np.empty((len(scaled), rules.n_outputs))
        theta, values = self._state.theta, self._leaf_values()
        predict_rows(scaled, theta, values, nodes, reached, outputs)
        return outputs, nodes, reached

    def node_outputs(self, X: ArrayLike) -> Floats:
        """Probability of going left, at every node.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_estimators, n_nodes)
        """
        nodes = self._pass(self._checked(X), keep=True)[1]
        return nodes.reshape(len(nodes), self._rules.n_trees, self._rules.n_nodes)

    def leaf_probabilities(self, X: ArrayLike) -> Floats:
        """Probability of getting to every leaf.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_estimators, n_leaves)
            Sums to one over the leaves.
        """
        return self._pass(self._checked(X), keep=True)[2][:, :, self._rules.n_nodes :]

    def tree_outputs(self, X: ArrayLike) -> Floats:
        """What each tree says.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_estimators, n_classes)
            Class probabilities; for a regressor one number, in the units in which it learns.
        """
        return np.einsum("itl,tlk->itk", self.leaf_probabilities(X), self._leaf_values())
