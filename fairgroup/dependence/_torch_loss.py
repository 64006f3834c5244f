"""The dependence penalty as a loss module for any torch training loop."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from fairgroup.dependence._penalty import DependencePenalty
from fairgroup.utils._optional import require

torch = require("torch", extra="neural")

__all__ = ["DistanceCovarianceLoss"]


class DistanceCovarianceLoss(torch.nn.Module):  # type: ignore[name-defined]
    """Dependence between predictions and protected attributes, to be added to any loss.

    Parameters
    ----------
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes of all training rows.
    penalty : str or DependencePenalty, default="ccdcov"
        Kind of penalty, or a penalty with all its choices.
    fairness_weight : float, default=1.0
        Factor of the penalty, at least 0; may be changed between steps.
    y : array-like of shape (n_samples,), default=None
        Target, for penalties given the target.
    control_features : array-like of shape (n_samples,) or (n_samples, k), default=None
        Legitimate factors, for conditional parity.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights, for penalties with ``estimator="V"``.
    distributed : bool, default=False
        Whether the rows of a step are spread over the processes of ``torch.distributed``. The
        penalty is then the exact one of the rows of all processes, which gather predictions only;
        its gradient is multiplied by their number, because DistributedDataParallel averages. Every
        process is given the attributes of all rows.
    process_group : torch.distributed.ProcessGroup or None, default=None
        None: the default group.

    Attributes
    ----------
    prepared : PreparedPenalty
        The penalty bound to the rows.

    See Also
    --------
    DistanceCovarianceClassifier, DistanceCovarianceRegressor : With the training loop.

    Notes
    -----
    With the unbiased statistic (the default) and demographic parity, the mean of the penalty over
    mini-batches drawn without replacement is the penalty of all rows. ``create_graph=True`` works;
    the Hessian in the predictions is zero wherever it exists.

    Examples
    --------
    >>> import torch
    >>> from fairgroup.dependence import DistanceCovarianceLoss
    >>> sex = ["f", "m", "m", "f", "m", "f"]
    >>> fairness = DistanceCovarianceLoss(sex, fairness_weight=10.0)
    >>> y_pred = torch.tensor([0.2, 0.9, 0.8, 0.3, 0.7, 0.1], requires_grad=True)
    >>> loss = torch.nn.functional.binary_cross_entropy(y_pred, torch.ones(6)) + fairness(y_pred)
    >>> loss.backward()
    >>> batch = torch.tensor([0, 1, 2, 5])
    >>> round(float(fairness(y_pred[batch].detach(), batch)), 3)
    4.0
    """

    def __init__(
        self,
        sensitive_features: Any,
        *,
        penalty: str | DependencePenalty = "ccdcov",
        fairness_weight: float = 1.0,
        y: ArrayLike | None = None,
        control_features: Any = None,
        sample_weight: ArrayLike | None = None,
        distributed: bool = False,
        process_group: Any = None,
    ) -> None:
        super().__init__()
        if not fairness_weight >= 0:
            raise ValueError(f"fairness_weight must be at least 0; got {fairness_weight!r}.")
        choices = DependencePenalty(penalty) if isinstance(penalty, str) else penalty
        if not isinstance(choices, DependencePenalty):
            raise TypeError(f"penalty must be a name or a DependencePenalty; got {penalty!r}.")
        self.fairness_weight = fairness_weight
        self.distributed, self.process_group = distributed, process_group
        self.prepared = choices.prepare(
            sensitive_features,
            y=y,
            control_features=control_features,
            sample_weight=sample_weight,
        )

    def forward(self, y_pred: Any, index: Any = None) -> Any:
        """Return the weighted penalty.

        Parameters
        ----------
        y_pred : torch.Tensor of shape (n_rows,) or (n_rows, n_outputs)
            Predictions, such as probabilities, on any device, in any floating precision.
        index : array-like or tensor of int, shape (n_rows,), default=None
            Which of the rows they are, for example those of a mini-batch. None: all. Needed where
            rows are spread over processes.

        Returns
        -------
        loss : torch.Tensor of shape ()
            Zero for a mini-batch of fewer than 4 rows.
        """
        if self.distributed:
            from fairgroup.dependence._distributed import distributed_loss

            value = distributed_loss(self.prepared, y_pred, index, self.process_group)
        else:
            value = self.prepared.torch_loss(y_pred, index)
        return self.fairness_weight * value
