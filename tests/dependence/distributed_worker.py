"""One of several processes that fit the same step; run by test_distributed.py."""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch.nn.parallel import DistributedDataParallel

from fairgroup.dependence import DependencePenalty, DistanceCovarianceLoss


def table(n=31):
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.normal(size=(n, 4)))
    y = torch.tensor(rng.integers(0, 2, n), dtype=torch.float64)
    groups = np.column_stack([rng.integers(0, 2, n), rng.integers(0, 3, n)]).astype(str)
    return X, y, groups


def network():
    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1), torch.nn.Sigmoid()
    return torch.nn.Sequential(*layers).double()


def penalty(kind):
    notion = "equalized_odds" if kind == "given y" else "demographic_parity"
    return DependencePenalty("jdcov" if kind == "jdcov" else "ccdcov", constraint=notion)


def shard(rank, n):
    """Uneven, interleaved, in an order of its own."""
    rows = torch.arange(n)
    return rows[rows % 3 != 0] if rank == 0 else rows[rows % 3 == 0].flip(0)


def main(rank, size, folder, kind):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size
    )
    X, y, groups = table()
    rows = shard(rank, len(X))
    fairness = DistanceCovarianceLoss(
        groups, penalty=penalty(kind), y=y.numpy(), fairness_weight=5.0, distributed=True
    )
    model = DistributedDataParallel(network())
    y_pred = model(X[rows])[:, 0]
    own = torch.nn.functional.binary_cross_entropy(y_pred, y[rows], reduction="sum")
    fair = fairness(y_pred, rows)
    # DistributedDataParallel averages over the processes.
    (size * own / len(X) + fair).backward()
    slopes = [p.grad.ravel().numpy() for p in model.parameters()]
    np.savez(f"{folder}/{rank}.npz", fair=fair.detach().numpy(), slope=np.concatenate(slopes))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
