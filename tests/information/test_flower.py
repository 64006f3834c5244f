"""A real run on Flower's simulation engine: 3 clients, 2 rounds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fairgroup.datasets import make_client_disparity
from fairgroup.information import DisparityDecomposition

pytest.importorskip("flwr")
pytest.importorskip("ray")

EXAMPLE = Path(__file__).parents[2] / "examples" / "federated_audit.py"


@pytest.fixture(scope="module")
def example():
    # Not put into sys.modules, so that the clients' code travels to the workers by value.
    spec = importlib.util.spec_from_file_location("federated_audit", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_three_clients_two_rounds(example):
    bunch = make_client_disparity(1500, kind="mixed", n_clients=3, random_state=0)
    X, y = bunch.data.to_numpy(), bunch.target.to_numpy()
    z = bunch.sensitive_features["group"].cat.codes.to_numpy().astype(int)
    client = bunch.clients.cat.codes.to_numpy()
    parts = [(X[client == c], y[client == c], z[client == c]) for c in range(3)]
    history = example.run(parts, n_rounds=2, n_epochs=1)
    assert len(history) == 2
    for entry in history:
        assert entry["rows"] == 1500
        assert entry["accuracy"] > 0.7
        assert entry["global"] == pytest.approx(entry["unique"] + entry["redundant"], abs=1e-12)
        assert entry["local"] == pytest.approx(entry["unique"] + entry["masked"], abs=1e-12)


def test_server_function_is_the_pooled_audit(example):
    from flwr.app import MetricRecord, RecordDict

    rng = np.random.default_rng(0)
    tables = rng.integers(1, 30, (3, 2, 2))
    replies = [
        RecordDict(
            {
                "metrics": MetricRecord(
                    {
                        "num-examples": int(table.sum()),
                        "correct": 1,
                        "client-id": i,
                        "pid-counts": table.ravel().tolist(),
                        "pid-shape": [2, 2],
                    }
                )
            }
        )
        for i, table in enumerate(tables)
    ]
    record = example.decompose_round(replies, "num-examples")
    audit = DisparityDecomposition().fit_counts(tables.transpose(1, 2, 0))
    for name in ("unique", "redundant", "masked"):
        assert record[name] == pytest.approx(getattr(audit, f"{name}_"), abs=1e-15)
    assert record["accuracy"] == pytest.approx(3 / tables.sum())
