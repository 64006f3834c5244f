"""Networks with a dependence penalty: modules, data on the device, the loop around the steps."""

from __future__ import annotations

import copy
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from fairgroup.dependence._objective import Objective
from fairgroup.dependence._steps import CHUNK, PenalisedNet, RowBatches, Steps, TensorRows
from fairgroup.utils._optional import require

torch = require("torch", extra="neural")
require("skorch", extra="neural")
from skorch.callbacks import Callback, EarlyStopping, PassthroughScoring  # noqa: E402
from skorch.helper import predefined_split  # noqa: E402

__all__ = ["continue_network", "scores_of", "train_network"]

Floats = NDArray[np.float64]

_FULL_BATCH = 4096
_DUAL_STEP = 0.2


class ScaledScores(torch.nn.Module):  # type: ignore[name-defined]
    """Scores that start at the best constant and vary on the scale of the target.

    Parameters
    ----------
    network : torch.nn.Module
        Gives numbers around zero.
    start : array-like
        Score of the best constant, one for each output.
    scale : float
        How much scores vary.
    """

    def __init__(self, network: Any, start: Any, scale: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("start", torch.as_tensor(np.atleast_1d(start), dtype=torch.float32))
        self.scale = scale

    def forward(self, X: Any) -> Any:
        """Return scores."""
        return self.start + self.scale * self.network(X)


def multilayer(n_inputs: int, hidden: Any, n_outputs: int, dropout: float) -> Any:
    """Return Linear, ReLU and Dropout for each layer, then Linear.

    Weights are Kaiming-uniform and biases zero, as in the network of the paper.
    """
    sizes = [n_inputs, *(int(size) for size in hidden)]
    layers: list[Any] = []
    for width, following in pairwise(sizes):
        layers += [torch.nn.Linear(width, following), torch.nn.ReLU(), torch.nn.Dropout(dropout)]
    layers.append(torch.nn.Linear(sizes[-1], n_outputs))
    network = torch.nn.Sequential(*layers)
    for layer in network:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            torch.nn.init.zeros_(layer.bias)
    # Predictions are to start near the best constant.
    with torch.no_grad():
        network[-1].weight.mul_(0.1)
    return network


def train_network(model: Any, X: Floats, objective: Objective) -> None:
    """Fit a model's network on all rows and set its fitted attributes.

    Parameters
    ----------
    model : DependenceModel
        Holds the parameters.
    X : ndarray of shape (n_samples, n_features)
        Features.
    objective : Objective
        Loss, penalty and unit.
    """
    net, rows = _start(model, X, objective, warm=model.warm_start)
    train, valid = _split(model, objective, rows)
    limited = objective.penalty is not None and model.max_unfairness is not None
    callbacks: list[Any] = []
    if valid is not None:
        stop = EarlyStopping(
            patience=model.n_iter_no_change,
            threshold=model.tol,
            load_best=True,
            sink=print if model.verbose else _silent,
        )
        callbacks.append(("early_stopping", stop))
        net.train_split = predefined_split(valid)
        net.steps.fix(valid.target["index"])
    if limited:
        callbacks.append(("dual_ascent", DualAscent(train, model.max_unfairness)))
    size = _batch_size(model, len(train))
    if size >= len(train):
        net.steps.fix(train.target["index"])
    net.max_epochs, net.batch_size = model.max_iter, size
    _run(net, train, model, callbacks)
    _finish(model, net, rows, objective)
    if limited:
        # The epochs saw the predictions in the network's precision.
        model._report_limit(model.unfairness_ <= model.max_unfairness * (1 + 1e-5))


def continue_network(model: Any, X: Floats, objective: Objective) -> None:
    """Take one epoch of steps on the given rows, from where the network is.

    Parameters
    ----------
    model, X, objective
        As in `train_network`.
    """
    net, rows = _start(model, X, objective, warm=True)
    net.max_epochs, net.batch_size = 1, _batch_size(model, len(rows))
    _run(net, rows, model, [])
    _finish(model, net, rows, objective)


def scores_of(model: Any, X: Floats) -> Floats:
    """Return the scores of a fitted network, chunk by chunk.

    Parameters
    ----------
    model : DependenceModel
        Fitted.
    X : ndarray of shape (n_samples, n_features)
        Features.

    Returns
    -------
    scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
    """
    module = model.module_.eval()
    like = next(module.parameters())
    with torch.no_grad():
        parts = [
            module(torch.tensor(X[i : i + CHUNK], dtype=like.dtype, device=like.device))
            for i in range(0, len(X), CHUNK)
        ]
    raw = torch.cat(parts).to(torch.float64).cpu().numpy()
    return raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw


def _start(model: Any, X: Floats, objective: Objective, *, warm: bool) -> tuple[Any, TensorRows]:
    """Return the net, fresh or as it was left, and the rows on its device."""
    device = _device(model.device)
    objective.loss = objective.loss.sharper(10.0 ** (objective.loss.stages - 1))
    weight = float(model.fairness_weight) or float(model.max_unfairness is not None)
    weight = model._internal_weight(weight, objective)
    steps = Steps(objective, weight, mixed_precision=model.mixed_precision)
    net = getattr(model, "_net", None) if warm else None
    if net is None or model._net_inputs != X.shape[1]:
        seed = int(check_random_state(model.random_state).randint(2**31))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = _module(model, X.shape[1], objective)
        net = PenalisedNet(
            module,
            steps=steps,
            optimizer=_optimizer(model.optimizer),
            optimizer__weight_decay=model.alpha,
            lr=model.learning_rate,
            iterator_train=RowBatches,
            iterator_valid=RowBatches,
            iterator_valid__batch_size=-1,
            train_split=None,
            device=device,
            verbose=int(model.verbose),
        ).initialize()
        model._generator, model._net_inputs = torch.Generator().manual_seed(seed), X.shape[1]
    net.steps = steps
    return net, _rows(X, objective, next(net.module_.parameters()))


def _run(net: Any, rows: TensorRows, model: Any, callbacks: list[Any]) -> None:
    """Let skorch run the epochs; draws of dropout follow the model's seed."""
    # The means first: early stopping ends the epoch's callbacks.
    means = ("train_mean_loss", "train_penalty")
    net.callbacks = [(name, PassthroughScoring(name, on_train=True)) for name in means]
    net.callbacks += callbacks
    net.initialize_callbacks()
    shuffle = net.batch_size < len(rows)
    net.iterator_train = partial(RowBatches, generator=model._generator if shuffle else None)
    seed = int(torch.randint(2**62, (), generator=model._generator))
    devices = [net.device] if str(net.device).startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        net.partial_fit(rows)


def _module(model: Any, n_inputs: int, objective: Objective) -> Any:
    target = objective.target
    start = objective.loss.start(target.y, target.weights, target.offset)
    n_outputs = len(np.atleast_1d(start))
    if not isinstance(model.model, str):
        return _checked(copy.deepcopy(model.model), n_inputs, n_outputs)
    network = multilayer(n_inputs, model.hidden_layer_sizes, n_outputs, model.dropout)
    return ScaledScores(network, start, objective.loss.scale(target.y, target.weights))


def _checked(module: Any, n_inputs: int, n_outputs: int) -> Any:
    """Return a module of the user's after a look at what it makes of two rows."""
    like = next(module.parameters(), None)
    if like is None:
        raise ValueError("model has no parameters to train.")
    with torch.no_grad():
        rows = torch.zeros(2, n_inputs, dtype=like.dtype, device=like.device)
        found = tuple(module.eval()(rows).shape)
    if found not in ([(2,), (2, 1)] if n_outputs == 1 else [(2, n_outputs)]):
        wanted = "(n,) or (n, 1)" if n_outputs == 1 else f"(n, {n_outputs})"
        raise ValueError(
            f"model must return scores of shape {wanted}; for n = 2 rows it returned {found}."
        )
    return module


def _rows(X: Floats, objective: Objective, like: Any) -> TensorRows:
    target, n = objective.target, len(X)
    columns = {
        "y": target.y,
        "weight": target.weights * n,
        "offset": np.broadcast_to(target.offset, n),
        "saturated": objective.loss.saturated(target.y),
    }
    tensors = {
        name: torch.as_tensor(np.array(column), dtype=like.dtype, device=like.device)
        for name, column in columns.items()
    }
    tensors["index"] = torch.arange(n, device=like.device)
    return TensorRows(torch.tensor(X, dtype=like.dtype, device=like.device), tensors)


def _split(
    model: Any, objective: Objective, rows: TensorRows
) -> tuple[TensorRows, TensorRows | None]:
    """Hold out validation rows, stratified by class; none where the strength is being searched."""
    limited = objective.penalty is not None and model.max_unfairness is not None
    n_valid = int(model.validation_fraction * len(rows))
    if not model.early_stopping or limited or n_valid < 4 or len(rows) - n_valid < 4:
        return rows, None
    labels = objective.target.y if hasattr(model, "classes_") else None
    if labels is not None:
        counts = np.bincount(labels.astype(np.intp))
        labels = labels if counts.min() >= 2 and n_valid >= len(counts) else None
    train, valid = train_test_split(
        np.arange(len(rows)),
        test_size=n_valid,
        stratify=labels,
        random_state=check_random_state(model.random_state),
    )
    parts = [torch.as_tensor(np.sort(part), device=rows.X.device) for part in (train, valid)]
    return TensorRows(*rows[parts[0]]), TensorRows(*rows[parts[1]])


class DualAscent(Callback):
    """Raise or lower the strength after each epoch by how far all rows are from the limit.

    Ascent is on the logarithm of the strength, log weight += step (penalty / limit - 1) with the
    bracket kept in [-1, 1], because the strength that is needed is not known within orders of
    magnitude. In the end the epoch of the lowest loss that kept to the limit is taken.

    Parameters
    ----------
    rows : TensorRows
        All training rows.
    limit : float
        Largest penalty.
    """

    def __init__(self, rows: TensorRows, limit: float) -> None:
        self.rows, self.limit = rows, limit

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Forget earlier epochs."""
        self.best_loss, self.best_state, self.best_weight = np.inf, None, 0.0

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Change the strength."""
        net._set_training(False)
        loss, penalty = net.steps.evaluate(net.module_, *self.rows[slice(None)])
        if penalty <= self.limit and loss < self.best_loss:
            self.best_loss, self.best_weight = float(loss), net.steps.fairness_weight
            self.best_state = copy.deepcopy(net.module_.state_dict())
        excess = float(np.clip(float(penalty) / self.limit - 1, -1, 1))
        net.steps.fairness_weight *= float(np.exp(_DUAL_STEP * excess))

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Go back to the best epoch that kept to the limit."""
        if self.best_state is not None:
            net.module_.load_state_dict(self.best_state)
            net.steps.fairness_weight = self.best_weight


def _finish(model: Any, net: Any, rows: TensorRows, objective: Objective) -> None:
    """Set what was learnt; the net keeps its optimizer's state but not the rows."""
    model.module_, model._net = net.module_.eval(), net
    model.n_iter_ = len(net.history)
    model.loss_curve_ = [float(value) for value in net.history[:, "train_mean_loss"]]
    model.penalty_curve_ = [float(value) for value in net.history[:, "train_penalty"]]
    internal = model._internal_weight(1.0, objective)
    model.fairness_weight_ = net.steps.fairness_weight / internal
    model.unfairness_ = np.nan
    if objective.penalty is None:
        model.fairness_weight_ = 0.0
    else:
        raw = scores_of(model, rows.X.cpu().numpy())
        model.unfairness_ = objective.penalty_and_gradient(raw)[0]
    net.steps, net.iterator_train = None, RowBatches
    net.train_split, net.callbacks = None, []
    net.initialize_callbacks()


def _batch_size(model: Any, n_rows: int) -> int:
    if model.batch_size == "full":
        return n_rows
    return min(n_rows, _FULL_BATCH if model.batch_size == "auto" else int(model.batch_size))


def _device(name: str) -> str:
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ValueError('device="cuda", but torch sees no CUDA device; use "auto" or "cpu".')
    return name if name != "auto" else "cuda" if there else "cpu"


def _optimizer(name: str) -> Any:
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]


def _silent(*args: Any) -> None:
    """Say nothing."""
