"""The tutorial notebooks run on the real data, and what is committed shows no person."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell):
    """The text of a cell's outputs."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text", ""))
        parts += [str(v) for k, v in output.get("data", {}).items() if k.startswith("text/")]
    return "\n".join(parts)


def test_both_are_there():
    assert [path.stem for path in NOTEBOOKS] == ["adult", "compas"]


@pytest.mark.slow
@every_notebook
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning:zmq.*")
def test_runs(path, data_home, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRGROUP_DATA_HOME", str(data_home))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # plots are to appear in the notebook
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    said = {i: shown(cell) for i, cell in enumerate(code_cells(notebook))}
    committed = {
        i: shown(cell) for i, cell in enumerate(code_cells(nbformat.read(path, as_version=4)))
    }
    assert {i for i, text in said.items() if text} == {i for i, text in committed.items() if text}


@every_notebook
def test_was_run_from_top_to_bottom(path):
    cells = code_cells(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    assert not any(output.get("name") == "stderr" for cell in cells for output in cell.outputs)


@every_notebook
def test_tables_are_about_groups(path):
    """No output lists rows of the data: every table is short, and none has a person's columns."""
    for cell in code_cells(nbformat.read(path, as_version=4)):
        text = shown(cell)
        assert text.count("<tr") <= 25
        assert not re.search(r"capital-gain.*hours-per-week|priors_count.*c_charge_degree", text)


def test_no_name_of_the_compas_file_is_shown(data_home):
    file = data_home / "compas" / "compas-scores-two-years.csv"
    names = set(pd.read_csv(file, usecols=["name"])["name"].str.lower())
    notebook = nbformat.read(FOLDER / "compas.ipynb", as_version=4)
    texts = [cell.source for cell in notebook.cells] + [shown(c) for c in code_cells(notebook)]
    words = re.findall(r"[\w'.-]+", "\n".join(texts).lower())
    assert len(words) > 1000
    assert not names & {" ".join(pair) for pair in itertools.pairwise(words)}
