"""Two processes take the step of one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fairgroup.dependence import DistanceCovarianceLoss

WORKER = Path(__file__).with_name("distributed_worker.py")
_spec = importlib.util.spec_from_file_location("distributed_worker", WORKER)
worker = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(worker)

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch has no distributed package"
)


def alone(kind):
    X, y, groups = worker.table()
    fairness = DistanceCovarianceLoss(
        groups, penalty=worker.penalty(kind), y=y.numpy(), fairness_weight=5.0
    )
    model = worker.network()
    y_pred = model(X)[:, 0]
    fair = fairness(y_pred)
    (torch.nn.functional.binary_cross_entropy(y_pred, y) + fair).backward()
    return fair.item(), torch.cat([p.grad.ravel() for p in model.parameters()]).numpy()


@pytest.mark.parametrize("kind", ["ccdcov", "jdcov", "given y"])
def test_value_and_gradients_of_one_process(tmp_path, kind):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), "2", str(tmp_path), kind],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    fair, slope = alone(kind)
    assert np.abs(slope).max() > 1e-3
    for rank in range(2):
        with np.load(tmp_path / f"{rank}.npz") as found:
            assert found["fair"] == pytest.approx(fair, rel=1e-12)
            np.testing.assert_allclose(found["slope"], slope, rtol=0, atol=1e-10)


def test_every_process_says_which_rows_it_has():
    fairness = DistanceCovarianceLoss(["a", "b"] * 4, distributed=True)
    for index in (None, [0, 1]):
        with pytest.raises(ValueError, match="index must give the row of each of the 8"):
            fairness(torch.zeros(8), index)
