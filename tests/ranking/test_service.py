"""The example service: what it acknowledged is there after a crash, exactly and once."""

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

APP = Path(__file__).parents[2] / "examples" / "reranking_service" / "app.py"


@pytest.fixture(scope="module")
def service():
    spec = importlib.util.spec_from_file_location("reranking_service_app", APP)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic looks the annotations up there
    spec.loader.exec_module(module)
    return module


def batch(service, name, seed, n=40):
    rng = np.random.default_rng(seed)
    return service.Impressions(
        batch_id=name,
        ad_id=rng.integers(0, 3, n).tolist(),
        cluster=rng.integers(0, 64, n).tolist(),
        sensitive_features={
            "sex": rng.integers(0, 2, n).tolist(),
            "race": rng.integers(0, 4, n).tolist(),
        },
    )


def assert_same_state(first, second):
    for name, value in first.get_state().items():
        np.testing.assert_array_equal(value, second.get_state()[name], err_msg=name)


def test_restart_restores_the_exact_state(service, tmp_path):
    path = str(tmp_path / "a.sqlite")
    store = service.DurableReranker(service.demo_reranker(), path)
    for i in range(15):
        assert store.deliver(batch(service, f"b{i}", i))
        store.close()
        again = service.DurableReranker(service.demo_reranker(), path)
        assert_same_state(store.reranker, again.reranker)
        store = again
    assert store.reranker.n_snapshots_.sum() > 0
    assert not store.deliver(batch(service, "b3", 3))
    assert store.reranker.n_impressions_.sum() == 15 * 40


def test_a_failed_commit_is_not_counted(service, tmp_path, monkeypatch):
    store = service.DurableReranker(service.demo_reranker(), str(tmp_path / "a.sqlite"))
    store.deliver(batch(service, "first", 0))
    before = store.reranker.get_state()

    def full_disk(*args, **kwargs):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "_commit", full_disk)
        with pytest.raises(OSError, match="disk full"):
            store.deliver(batch(service, "second", 1))
    for name, value in before.items():
        np.testing.assert_array_equal(value, store.reranker.get_state()[name])
    assert store.deliver(batch(service, "second", 1))


def test_over_http(service, tmp_path):
    client_module = pytest.importorskip("starlette.testclient")
    app = service.create_app(service.demo_reranker(), str(tmp_path / "a.sqlite"))
    with client_module.TestClient(app) as client:
        sent = batch(service, "x", 0).model_dump()
        assert client.post("/impressions", json=sent).json() == {"counted": True}
        assert client.post("/impressions", json=sent).json() == {"counted": False}
        body = {"values": [[1.0, 2.0]], "ad_ids": [[25, 26]], "clusters": [0]}
        assert client.post("/rerank", json=body).json() == {"order": [[1, 0]]}
        body["values"] = [[-1.0, 2.0]]
        assert client.post("/rerank", json=body).status_code == 422
        sent = {**sent, "batch_id": "y", "sensitive_features": {"sex": [9] * 40, "race": [0] * 40}}
        assert client.post("/impressions", json=sent).status_code == 422
        assert client.get("/status").json()["impressions"] == 40


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_process_loses_nothing_it_acknowledged(service, tmp_path):
    path = str(tmp_path / "a.sqlite")
    script = textwrap.dedent(f"""
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("app", {str(APP)!r})
        app = importlib.util.module_from_spec(spec); sys.modules["app"] = app
        spec.loader.exec_module(app)
        store = app.DurableReranker(app.demo_reranker(), {path!r})
        for i in range(10_000):
            store.deliver(app.Impressions(batch_id=str(i), ad_id=[0] * 7, cluster=[0] * 7,
                                          sensitive_features={{"sex": [0] * 7, "race": [0] * 7}}))
            print(i, flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) == 30:
            os.kill(process.pid, signal.SIGKILL)
            break
    acknowledged = [30, *(int(line) for line in process.stdout)][-1] + 1
    process.stdout.close()
    process.wait()
    store = service.DurableReranker(service.demo_reranker(), path)
    assert store.reranker.n_impressions_[0] in (7 * acknowledged, 7 * (acknowledged + 1))
    assert store.reranker.n_snapshots_[0] == store.reranker.n_impressions_[0] // 50
