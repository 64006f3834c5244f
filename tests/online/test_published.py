"""The published experiments, and a process that is killed in the middle of a stream."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from fairgroup.online import GroupwiseRegressor

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def tables():
    """The benchmark script, whose data and protocol are tested here."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = util.spec_from_file_location("groupwise_tables", BENCHMARKS / "groupwise_tables.py")
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.fixture(scope="module")
def synthetic(tables):
    return tables.synthetic()


def test_synthetic_data_have_the_published_bits(synthetic):
    X, labels, groups = synthetic
    np.testing.assert_allclose(X[0, :3], [0.04872488, 0.28910966, 0.72096635], atol=5e-9)
    expected = {
        "mean": (0.37315166906961916, 43686.55679530089),
        "min": (0.41606889484106846, 44075.16674604041),
        "max": (0.3542943517193173, 45162.68246194945),
        "permutation": (0.413746288887887, 47861.384434440406),
    }
    for name, (first, total) in expected.items():
        assert labels[name][0] == pytest.approx(first, rel=1e-12)
        assert labels[name].sum() == pytest.approx(total, rel=1e-12)
    sizes = [49857, 30044, 20099, 59985, 40015, 100000]
    assert groups.sum().astype(int).tolist() == sizes
    names = [groups.columns[:5][row > 0].tolist() for row in groups.iloc[:5, :5].to_numpy()]
    assert names == [
        ["circle", "green"],
        ["square", "red"],
        ["square", "green"],
        ["circle", "red"],
        ["circle", "green"],
    ]


@pytest.mark.parametrize("label", ["mean", "permutation"])
def test_synthetic_regrets_are_the_published_ones(tables, synthetic, label):
    """One of the ten shuffles: within three standard deviations of the published mean."""
    X, labels, groups = synthetic
    y = labels[label]
    order = np.random.RandomState(tables.SEEDS[0]).permutation(len(y))
    X, y, groups = X[order], y[order], groups.iloc[order].reset_index(drop=True)
    best = tables.hindsight(X, y, groups)
    runs = tables.models()
    regret = {name: tables.losses(name, m, X, y, groups) - best for name, m in runs.items()}
    for g, group in enumerate(groups):
        baseline, algorithm = tables.SYNTHETIC[group][label]
        assert regret["baseline"][g] == pytest.approx(baseline, abs=3 * 0.9)
        assert regret["published"][g] == pytest.approx(algorithm, abs=3 * 0.28)
        assert regret["ours"][g] <= algorithm + 0.3


def test_medical_table(tables, data_home, monkeypatch):
    """All ten shuffles; 0.02 is what the hindsight fit moves between machines."""
    monkeypatch.setattr(tables, "HOME", data_home)
    X, y, groups, _ = tables.medical()
    assert X.shape == (1338, 18)
    regrets = tables.shuffles(X, y, groups)
    for g, group in enumerate(groups):
        rows, baseline, algorithm, _ = tables.MEDICAL[group]
        assert groups[group].sum() == rows
        assert regrets["baseline"][:, g].mean() == pytest.approx(baseline, abs=0.02)
        assert regrets["published"][:, g].mean() == pytest.approx(algorithm, abs=0.02)
        assert regrets["ours"][:, g].mean() < algorithm
    best = [5.40546, 3.34831, 3.14412, 0.03209, 1.00452, 1.83697, 3.65177, 0.90076, 5.56753]
    best += [6.12103, 5.88720, 12.11052]
    for column, value in zip(groups, best, strict=True):
        rows = np.flatnonzero(groups[column])
        found = tables.least_squares_course(X[rows], y[rows], np.array([len(rows)]))[0]
        assert found == pytest.approx(value, abs=6e-6)


def test_a_long_stream_needs_constant_memory():
    rng = np.random.default_rng(0)
    X, y = rng.random((5000, 4)), rng.random(5000)
    M = (rng.random((5000, 3)) < 0.5).astype(float)
    model = GroupwiseRegressor(y_range=(0, 1)).partial_fit(X, y, memberships=M)
    tracemalloc.start()
    for _ in range(10):
        model.partial_fit(X, y, memberships=M)
    first, _ = tracemalloc.get_traced_memory()
    for _ in range(30):
        model.partial_fit(X, y, memberships=M)
    second, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert second - first < 100_000  # bytes, after 150,000 further rows
    assert model.n_rounds_ == 205_000


WORKER = """
import os, sys
import numpy as np
from fairgroup.online import GroupwiseRegressor
folder, slow = sys.argv[1], sys.argv[2] == "slow"
rng = np.random.default_rng(5)
X, y = rng.normal(size=(1200, 4)), rng.random(1200)
M = (rng.random((1200, 3)) < 0.6).astype(float)
model, start = GroupwiseRegressor(y_range=(0, 1)), 0
path = os.path.join(folder, "checkpoint.npz")
if os.path.exists(path):
    with np.load(path) as state:
        model.set_state(state)
    start = model.n_rounds_
for t in range(start, 1200):
    model.partial_fit(X[t:t+1], y[t:t+1], memberships=M[t:t+1])
    if (t + 1) % 50 == 0 and slow:
        np.savez(path + ".new.npz", **model.get_state())
        os.replace(path + ".new.npz", path)  # a checkpoint is whole or not there
        print(t + 1, flush=True)
np.savez(os.path.join(folder, "final.npz"), **model.get_state())
"""


def test_killed_process_continues_to_the_same_numbers(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    command = [sys.executable, str(script)]
    subprocess.run([*command, str(whole), "fast"], check=True, timeout=300)
    process = subprocess.Popen(
        [*command, str(broken), "slow"], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    for line in process.stdout:
        if int(line) >= 300:
            break
    time.sleep(0.01)  # somewhere between two checkpoints
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()
    assert process.returncode != 0
    assert not (broken / "final.npz").exists()
    subprocess.run([*command, str(broken), "slow"], check=True, timeout=300, capture_output=True)
    with np.load(whole / "final.npz") as a, np.load(broken / "final.npz") as b:
        assert set(a.files) == set(b.files)
        for key in a.files:
            assert np.array_equal(a[key], b[key]), key
