"""The two aggregators by themselves: weights over experts, some of which sleep."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairgroup.online._weight_kernels import (
    hedge_weights,
    log_prior_total,
    log_weight,
    mass_weights,
    potential_bound,
)

__all__ = ["AdaNormalHedge", "Specialists"]

Floats = NDArray[np.float64]


class _Sleeping:
    """What both aggregators check."""

    def __init__(self, n_experts: int, prior: ArrayLike | None) -> None:
        if n_experts < 1:
            raise ValueError(f"n_experts must be at least 1; found {n_experts}.")
        self.n_experts = n_experts
        weights = np.ones(n_experts) if prior is None else np.asarray(prior, dtype=np.float64)
        if weights.shape != (n_experts,) or not (np.isfinite(weights) & (weights > 0)).all():
            raise ValueError(f"prior must be {n_experts} positive numbers; found {prior!r}.")
        self.log_prior = np.log(weights / weights.sum())

    def _active(self, active: ArrayLike | None) -> Floats:
        if active is None:
            return np.ones(self.n_experts)
        member = np.asarray(active, dtype=np.float64)
        if member.shape != (self.n_experts,):
            raise ValueError(
                f"active has shape {member.shape}; expected ({self.n_experts},), one per expert."
            )
        if not ((member >= 0) & (member <= 1)).all():
            raise ValueError(f"active must be in [0, 1]; found {member.tolist()}.")
        return member

    def _losses(self, losses: ArrayLike, member: Floats) -> Floats:
        values = np.asarray(losses, dtype=np.float64)
        if values.shape != (self.n_experts,):
            raise ValueError(f"losses has shape {values.shape}; expected ({self.n_experts},).")
        if not np.isfinite(values[member > 0]).all():
            raise ValueError(f"losses of active experts must be finite; found {values.tolist()}.")
        return np.where(member > 0, values, 0.0)


class AdaNormalHedge(_Sleeping):
    """Parameter-free weights over experts that may sleep.

    Parameters
    ----------
    n_experts : int
        Number of experts, sleeping ones included.
    prior : array-like of shape (n_experts,), default=None
        Positive weights; None: equal.

    Attributes
    ----------
    regret, abs_regret : ndarray of shape (n_experts,)
        R and C, live.

    See Also
    --------
    Specialists : Constant regret for mixable losses.

    References
    ----------
    Luo, Schapire, "Achieving All with No Parameters: AdaNormalHedge", COLT 2015, section 5.1
    (sleeping and confidence-rated experts).

    Examples
    --------
    >>> from fairgroup.online import AdaNormalHedge
    >>> hedge = AdaNormalHedge(2)
    >>> hedge.update([0.0, 1.0])
    0.5
    >>> hedge.weights().round(4)
    array([0.9191, 0.0809])
    """

    def __init__(self, n_experts: int, prior: ArrayLike | None = None) -> None:
        super().__init__(n_experts, prior)
        self.regret = np.zeros(n_experts)
        self.abs_regret = np.zeros(n_experts)
        self._drift = np.zeros(n_experts)

    def weights(self, active: ArrayLike | None = None) -> Floats:
        """Weights of the experts in the coming round.

        Parameters
        ----------
        active : array-like of shape (n_experts,), default=None
            Activity in [0, 1], zero for sleeping experts. None: all are active.

        Returns
        -------
        p : ndarray of shape (n_experts,)
            Sum one, zero for sleeping experts; all zero if everybody sleeps.
        """
        p = np.empty(self.n_experts)
        hedge_weights(self._active(active), self.log_prior, self.regret, self.abs_regret, p)
        return p

    def log_weights(self) -> Floats:
        """Return log w(R, C) of every expert; -inf where R <= -1."""
        rows = zip(self.regret, self.abs_regret, strict=True)
        return np.array([log_weight(r, c) for r, c in rows])

    def update(
        self, losses: ArrayLike, active: ArrayLike | None = None, *, loss: float | None = None
    ) -> float:
        """Learn the losses of a round.

        Parameters
        ----------
        losses : array-like of shape (n_experts,)
            In [0, 1] for the bound to hold; those of sleeping experts are not read.
        active : array-like of shape (n_experts,), default=None
            As in `weights`.
        loss : float, default=None
            Loss of what was played, at most the expected one. None: the expected loss of drawing
            an expert.

        Returns
        -------
        loss : float
            The loss that regrets were measured from.
        """
        member = self._active(active)
        values = self._losses(losses, member)
        paid = float(self.weights(member) @ values) if loss is None else float(loss)
        r = np.where(member > 0, member * (paid - values), 0.0)
        self._drift += np.abs(r) / (self.abs_regret + 1.0)
        self.regret += r
        self.abs_regret += np.abs(r)
        return paid

    def bound(self) -> Floats:
        """Bound on each expert's regret: sqrt(3 C (ln(1/q) + ln B)), shape (n_experts,)."""
        log_b = np.log(potential_bound(self.log_prior, self._drift))
        return np.sqrt(3.0 * self.abs_regret * (log_b - self.log_prior))

    def get_state(self) -> dict[str, Floats]:
        """Arrays to continue from with `set_state`."""
        return {
            "regret": self.regret.copy(),
            "abs_regret": self.abs_regret.copy(),
            "drift": self._drift.copy(),
            "log_prior": self.log_prior.copy(),
        }

    def set_state(self, state: dict[str, Floats]) -> Self:
        """Continue from what `get_state` returned.

        Parameters
        ----------
        state : dict
            Arrays of an aggregator with as many experts.

        Returns
        -------
        self : object
        """
        self.regret, self.abs_regret = np.array(state["regret"]), np.array(state["abs_regret"])
        self._drift, self.log_prior = np.array(state["drift"]), np.array(state["log_prior"])
        return self


class Specialists(_Sleeping):
    """Bayes-like weights over specialists, with constant regret for mixable losses.

    If the loss of what is played is at most ``-ln(sum p exp(-eta losses)) / eta``, every expert's
    regret on the rounds in which it is active is at most ``ln(1/q) / eta``, for ever.

    Parameters
    ----------
    n_experts : int
        Number of experts, sleeping ones included.
    eta : float
        Mixability of the loss: squared loss of labels in [0, 1] 1/2 for the averaged prediction, 2
        for Vovk's substitution; log loss 1 for averaged probabilities.
    prior : array-like of shape (n_experts,), default=None
        Positive weights; None: equal.

    Attributes
    ----------
    log_mass : ndarray of shape (n_experts,)
        ln W; the masses W sum to one for ever.

    References
    ----------
    Freund, Schapire, Singer, Warmuth, "Using and combining predictors that specialize", STOC 1997.

    Examples
    --------
    >>> from fairgroup.online import Specialists
    >>> experts = Specialists(3, eta=1.0)
    >>> experts.update([0.1, 2.0, 0.7], active=[1, 1, 0])
    >>> experts.weights().round(3)
    array([0.58 , 0.087, 0.333])
    """

    def __init__(self, n_experts: int, eta: float, prior: ArrayLike | None = None) -> None:
        super().__init__(n_experts, prior)
        if not (np.isfinite(eta) and eta > 0):
            raise ValueError(f"eta must be positive and finite; found {eta!r}.")
        self.eta = float(eta)
        self.log_mass = self.log_prior.copy()

    def weights(self, active: ArrayLike | None = None) -> Floats:
        """Weights of the experts in the coming round.

        Parameters
        ----------
        active : array-like of shape (n_experts,), default=None
            Activity in [0, 1], zero for sleeping experts. None: all are active.

        Returns
        -------
        p : ndarray of shape (n_experts,)
            Sum one, zero for sleeping experts; all zero if everybody sleeps.
        """
        p = np.empty(self.n_experts)
        mass_weights(self._active(active), self.log_mass, p)
        return p

    def update(self, losses: ArrayLike, active: ArrayLike | None = None) -> None:
        """Learn the losses of a round.

        Parameters
        ----------
        losses : array-like of shape (n_experts,)
            Those of sleeping experts are not read.
        active : array-like of shape (n_experts,), default=None
            As in `weights`.
        """
        member = self._active(active)
        if not member.any():
            return
        values = self._losses(losses, member)
        least = values[member > 0].min()
        shrink = -self.eta * (values - least)
        log_z = np.log(self.weights(member) @ np.exp(shrink))
        step = np.log1p(member * np.expm1(shrink - log_z))
        self.log_mass = self.log_mass + np.where(member > 0, step, 0.0)

    def bound(self) -> Floats:
        """Bound on each expert's regret: ln(1/q) / eta, shape (n_experts,)."""
        return (log_prior_total(self.log_prior) - self.log_prior) / self.eta

    def get_state(self) -> dict[str, Floats]:
        """Arrays to continue from with `set_state`."""
        return {"log_mass": self.log_mass.copy(), "log_prior": self.log_prior.copy()}

    def set_state(self, state: dict[str, Floats]) -> Self:
        """Continue from what `get_state` returned.

        Parameters
        ----------
        state : dict
            Arrays of an aggregator with as many experts.

        Returns
        -------
        self : object
        """
        self.log_mass, self.log_prior = np.array(state["log_mass"]), np.array(state["log_prior"])
        return self
