"""The figure of recorded results on the page about distance covariance."""

from __future__ import annotations

import json

import pytest
from _public import ROOT
from test_docs_pages import extension

pytest.importorskip("matplotlib")
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture
def figure():
    return extension("dependence_figure")


def test_the_figure_names_its_models(figure, tmp_path):
    figure.draw(RESULTS, tmp_path)
    drawn = (tmp_path / "dependence.svg").read_text(encoding="utf-8")
    for name in (*figure.MODELS, "motor insurance", "each attribute by itself"):
        assert f"<!-- {name} -->" in drawn


def test_the_figure_needs_all_its_models(figure, tmp_path):
    for name in ("motor_insurance", "compas_intersections"):
        record = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        record["rows"] = [row for row in record["rows"] if row["model"] != "network, CCdCov"]
        (tmp_path / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(KeyError, match="network, CCdCov"):
        figure.draw(tmp_path, tmp_path)
