"""Training steps of a network under loss plus penalty; skorch runs the loop around them.

The penalty of more rows than fit into one pass is exact all the same (two passes): predictions of
all rows without a graph, the penalty's gradient g once, then chunk by chunk the backward pass of
loss + <predictions, g>.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from fairgroup.dependence._objective import Objective, exposed
from fairgroup.dependence._torch_function import differentiable, value_and_gradient
from fairgroup.utils._optional import require

torch = require("torch", extra="neural")
skorch = require("skorch", extra="neural")

__all__ = ["PenalisedNet", "RowBatches", "Steps", "TensorRows"]

CHUNK = 2**15


class TensorRows(torch.utils.data.Dataset):  # type: ignore[name-defined]
    """Rows of a training table as tensors: features, and what the objective needs of each row.

    Parameters
    ----------
    X : torch.Tensor of shape (n_rows, n_features)
        Features.
    target : dict of torch.Tensor
        ``y``, ``weight``, ``offset`` and ``index``, the row's position in the penalty.
    """

    def __init__(self, X: Any, target: dict[str, Any]) -> None:
        self.X, self.target = X, target

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Any) -> tuple[Any, dict[str, Any]]:
        return self.X[rows], {name: column[rows] for name, column in self.target.items()}


class RowBatches:
    """Iterate over slices of tensors, which a loader of single rows would be slow at.

    Parameters
    ----------
    dataset : TensorRows
        Rows.
    batch_size : int
        Rows per batch.
    generator : torch.Generator or None, default=None
        Shuffles the rows before each pass; None keeps their order.
    """

    def __init__(self, dataset: TensorRows, batch_size: int, generator: Any = None) -> None:
        self.dataset, self.batch_size, self.generator = dataset, batch_size, generator

    def __iter__(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        n, order = len(self.dataset), None
        if self.generator is not None:
            device = self.dataset.X.device
            order = torch.randperm(n, generator=self.generator).to(device)
        for start in range(0, n, self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self.dataset[rows if order is None else order[rows]]


class Steps:
    """Loss plus penalty of a batch, and its backward pass.

    Parameters
    ----------
    objective : Objective
        Loss, penalty and unit.
    fairness_weight : float
        Strength beside the loss in units of the objective; may be changed between steps.
    mixed_precision : bool, default=False
        Whether forward passes on CUDA run in bfloat16.
    chunk_size : int
        Rows of one forward pass.
    """

    def __init__(
        self,
        objective: Objective,
        fairness_weight: float,
        *,
        mixed_precision: bool = False,
        chunk_size: int = CHUNK,
    ) -> None:
        self.objective, self.fairness_weight = objective, fairness_weight
        self.mixed_precision, self.chunk_size = mixed_precision, chunk_size
        self._fixed: list[tuple[Any, Any]] = []

    def fix(self, index: Any) -> None:
        """Keep the kernel of rows that are seen in every epoch."""
        if self.objective.penalty is not None:
            self._fixed.append((index, self._kernel(index)))

    def scores(self, module: Any, X: Any) -> Any:
        """Return scores without exposure."""
        mixed = self.mixed_precision and X.device.type == "cuda"
        with torch.autocast("cuda", dtype=torch.bfloat16) if mixed else nullcontext():
            raw = module(X)
        raw = raw.float() if mixed else raw
        return raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw

    def backward(self, module: Any, X: Any, target: dict[str, Any]) -> tuple[Any, Any]:
        """Add the gradient of the batch's objective to the parameters; return loss and penalty."""
        if len(X) <= self.chunk_size:
            loss, penalty = self.terms(self.scores(module, X), target)
            (loss + self.fairness_weight * penalty).backward()
            return loss.detach(), penalty.detach()
        return self._two_passes(module, X, target)

    def evaluate(self, module: Any, X: Any, target: dict[str, Any]) -> tuple[Any, Any]:
        """Return mean loss and penalty of rows without a graph."""
        size = self.chunk_size
        with torch.no_grad():
            parts = [self.scores(module, X[i : i + size]) for i in range(0, len(X), size)]
            return self.terms(torch.cat(parts), target)

    def terms(self, raw: Any, target: dict[str, Any]) -> tuple[Any, Any]:
        """Return mean loss and penalty of a batch as tensors."""
        total = target["weight"].sum()
        loss = (target["weight"] * self._nll(raw, target)).sum() / (total if total else 1.0)
        require_finite(loss)
        kernel = self._kernel(target["index"])
        if kernel is None:
            return loss, raw.new_zeros(())
        return loss, differentiable(kernel, self._seen(raw, target))

    def _two_passes(self, module: Any, X: Any, target: dict[str, Any]) -> tuple[Any, Any]:
        chunks = [slice(i, i + self.chunk_size) for i in range(0, len(X), self.chunk_size)]
        # Dropout draws the same masks in both passes.
        seed = int(torch.randint(2**62, ()))
        seen = []
        with torch.no_grad():
            for chunk in chunks:
                raw = self._replayed(module, X[chunk], seed + chunk.start)
                seen.append(self._seen(raw, _part(target, chunk)))
        kernel, predictions = self._kernel(target["index"]), torch.cat(seen)
        require_finite(predictions.sum())
        penalty, force = 0.0, torch.zeros_like(predictions)
        if kernel is not None:
            penalty, force = value_and_gradient(kernel, predictions)
        loss, total = 0.0, target["weight"].sum()
        for chunk in chunks:
            part = _part(target, chunk)
            raw = self._replayed(module, X[chunk], seed + chunk.start)
            value = (part["weight"] * self._nll(raw, part)).sum() / total
            pull = (self._seen(raw, part) * force[chunk]).sum()
            (value + self.fairness_weight * pull).backward()
            loss = loss + value.detach()
        return loss, predictions.new_tensor(penalty)

    def _replayed(self, module: Any, X: Any, seed: int) -> Any:
        devices = [X.device] if X.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            return self.scores(module, X)

    def _nll(self, raw: Any, target: dict[str, Any]) -> Any:
        full = exposed(raw, target["offset"])
        nll = self.objective.loss.nll(target["y"], full) - target["saturated"]
        return nll / self.objective.unit

    def _seen(self, raw: Any, target: dict[str, Any]) -> Any:
        loss, penalise = self.objective.loss, self.objective.penalise
        if penalise == "link":
            return loss.centred(raw)
        return loss.inverse(exposed(raw, target["offset"]) if penalise == "response" else raw)

    def _kernel(self, index: Any) -> Any:
        if self.objective.penalty is None:
            return None
        for rows, kernel in self._fixed:
            if torch.equal(rows, index):
                return kernel
        return self.objective.penalty.kernel(index.cpu().numpy())


class PenalisedNet(skorch.NeuralNet):  # type: ignore[name-defined]
    """skorch's net with the steps above; its module is handed over ready.

    Parameters
    ----------
    module : torch.nn.Module
        Gives scores.
    steps : Steps
        What a step does.
    **kwargs
        Of ``skorch.NeuralNet``.
    """

    def __init__(self, module: Any, *, steps: Steps, **kwargs: Any) -> None:
        super().__init__(module, criterion=torch.nn.Identity, **kwargs)
        self.steps = steps

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take one step of the optimizer on a batch."""
        self._set_training(True)
        self._zero_grad_optimizer()
        loss, penalty = self.steps.backward(self.module_, *batch)
        self.optimizer_.step()
        return self._noted("train", loss, penalty)

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Return loss plus penalty of held-out rows."""
        self._set_training(False)
        return self._noted("valid", *self.steps.evaluate(self.module_, *batch))

    def _noted(self, prefix: str, loss: Any, penalty: Any) -> dict[str, Any]:
        self.history.record_batch(f"{prefix}_mean_loss", float(loss) * self.steps.objective.unit)
        self.history.record_batch(f"{prefix}_penalty", float(penalty))
        return {"loss": loss + self.steps.fairness_weight * penalty, "y_pred": None}


def require_finite(value: Any) -> None:
    """Raise where training has diverged."""
    if not torch.isfinite(value):
        raise ValueError(
            "Training diverged: the loss is not finite. Lower learning_rate or fairness_weight, "
            "or scale the features."
        )


def _part(target: dict[str, Any], rows: slice) -> dict[str, Any]:
    return {name: column[rows] for name, column in target.items()}
