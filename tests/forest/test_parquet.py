"""The example that reads a Parquet file batch by batch, interrupted and not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def example():
    path = Path(__file__).parents[2] / "examples" / "stream_parquet.py"
    spec = importlib.util.spec_from_file_location("stream_parquet", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_interrupted_and_resumed(example, tmp_path, capsys):
    file = str(tmp_path / "rows.parquet")
    common = ["--file", file, "--rows", "45000"]
    whole = example.main([*common, "--checkpoint", str(tmp_path / "whole.npz")])
    assert whole.t_ == 45000
    checkpoint = ["--checkpoint", str(tmp_path / "part.npz")]
    part = example.main([*common, *checkpoint, "--max-chunks", "1"])
    assert part.t_ == 20000
    resumed = example.main([*common, *checkpoint])
    assert "going on behind row 20000" in capsys.readouterr().out
    assert_array_equal(resumed.coef_, whole.coef_)
    assert resumed.running_parity_ == whole.running_parity_


def test_any_row_may_be_the_first(example, tmp_path):
    file = tmp_path / "rows.parquet"
    example.write_applications(file, 900, chunk=400)
    rows = [len(y) for _, y, _ in example.chunks_of(file, skip=250, batch_size=100)]
    assert sum(rows) == 650
    assert rows[0] == 50
