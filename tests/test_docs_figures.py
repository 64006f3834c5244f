"""The figures that the documentation draws from recorded results."""

from __future__ import annotations

import json

import pytest
from test_docs_pages import extension

pytest.importorskip("matplotlib")


@pytest.fixture
def figures():
    return extension("benchmark_figures")


def row(method, parity, accuracy, **spread):
    return {"run": method, "method": method, "parity": parity, "accuracy": accuracy, **spread}


def write(folder, names, rows):
    for name in names:
        (folder / f"{name}.json").write_text(json.dumps({"rows": rows}))


def test_streams_are_drawn_with_every_method_that_has_rows(figures, tmp_path):
    rows = [
        row("paper", 0.1, 80, **{"parity sd": 0.01, "accuracy sd": 1}),
        row("defaults", 0.05, 82, **{"accuracy sd": None}),
        row("river HT", 0.13, 81, rows=100),
        row("river HAT", 0.13, 81, rows=50),
        row("majority of preset", 0, 75),
        row("majority of preset", 0.2, 83),
    ]
    write(tmp_path, figures.STREAMS, rows)
    figures.draw_streams(tmp_path, tmp_path)
    drawn = (tmp_path / "stream.svg").read_text(encoding="utf-8")
    for text in ("published", "defaults", "river HT", "majority lines", *figures.STREAMS.values()):
        assert f"<!-- {text} -->" in drawn
    assert "<!-- preset (our run) -->" not in drawn
    assert "<!-- river HAT -->" not in drawn  # it ran on fewer rows


def test_the_same_results_give_the_same_bits(figures, tmp_path):
    write(tmp_path, figures.STREAMS, [row("paper", 0.1, 80)])
    drawn = []
    for _ in range(2):
        figures.draw_streams(tmp_path, tmp_path)
        drawn.append((tmp_path / "stream.svg").read_bytes())
    assert drawn[0] == drawn[1]


def test_streams_without_results_are_left_out(figures, tmp_path):
    figures.draw_streams(tmp_path, tmp_path)
    assert not list(tmp_path.iterdir())
    write(tmp_path, ["stream_compas"], [row("paper", 0.1, 60)])
    figures.draw_streams(tmp_path, tmp_path)
    drawn = (tmp_path / "stream.svg").read_text(encoding="utf-8")
    assert "<!-- COMPAS -->" in drawn
    assert "<!-- Adult -->" not in drawn
