"""The table of facts, the names of the loaders and the data sheets belong together."""

from __future__ import annotations

import gzip
import hashlib
import inspect
import json
from pathlib import Path

import pytest

from fairgroup import datasets
from fairgroup.datasets._registry import dataset_ids, describe
from fairgroup.datasets._sheets import render

SHEETS = Path(__file__).parents[2] / "datasets"
DOWNLOADED = [name for name in dataset_ids() if not describe(name).embedded]
EMBEDDED = [name for name in dataset_ids() if describe(name).embedded]


@pytest.fixture(scope="module")
def manifest(data_home):
    return json.loads((data_home / "manifest.json").read_text())


def tables(manifest, dataset_id):
    """Entries of the manifest that are tables and that the package knows of."""
    known = {file.name for file in describe(dataset_id).files}
    entries = [e for e in manifest["files"] if e["dataset"] == dataset_id and "rows" in e]
    return {name: e for e in entries if (name := e["file"].split("/", 1)[1]) in known}


def test_every_data_set_of_the_manifest_is_there(manifest):
    assert set(DOWNLOADED) == {entry["dataset"] for entry in manifest["files"]}
    assert set(EMBEDDED) == {"lending", "diabetes_progression"}


@pytest.mark.parametrize("dataset_id", DOWNLOADED)
def test_the_facts_agree_with_the_manifest(manifest, data_home, dataset_id):
    entries = tables(manifest, dataset_id)
    for name, entry in entries.items():
        file = describe(dataset_id).file(name)
        content = (data_home / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        if name.endswith(".gz"):
            content = gzip.decompress(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert (file.rows, file.columns) == (entry["rows"], entry["columns"])
        assert file.bytes == len(content)
        assert (
            describe(dataset_id)
            .licence.split(" (")[0]
            .startswith(entry["licence"].split(" (")[0].split(";")[0][:12])
        )
    not_here = {file.name for file in describe(dataset_id).files} - set(entries)
    assert not_here <= {"census-income.data"}


@pytest.mark.parametrize("dataset_id", DOWNLOADED)
def test_a_file_has_an_address_or_steps(dataset_id):
    facts = describe(dataset_id)
    for file in facts.files:
        assert (file.url or "").startswith("https://") or file.name.split(".")[0] in facts.steps
        # Only a file without an address is converted by hand, and then its values are checked.
        assert not (file.url and file.table_sha256)
        assert len(file.sha256) == 64
        assert set(file.sha256) <= set("0123456789abcdef")


@pytest.mark.parametrize("dataset_id", dataset_ids())
def test_every_text_is_there(dataset_id):
    facts = describe(dataset_id)
    for text in (facts.title, facts.summary, facts.licence, facts.source, facts.citation):
        assert text.strip()
    assert facts.task in {"classification", "regression", "ranking", "threshold analysis"}
    assert facts.warnings
    assert facts.protected
    assert facts.rows > 0


@pytest.mark.parametrize("dataset_id", DOWNLOADED)
def test_every_option_of_a_loader_is_in_the_table_and_its_docstring(dataset_id):
    loader = getattr(datasets, f"fetch_{dataset_id}")
    common = {"data_home", "download_if_missing", "drop_sensitive", "as_frame"}
    parameters = inspect.signature(loader).parameters
    assert common <= set(parameters)
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    options = " ".join(describe(dataset_id).options)
    for name in set(parameters) - common:
        default = parameters[name].default
        shown = f'"{default}"' if isinstance(default, str) else str(default)
        assert f"{name} = {shown} (default" in options
        assert f"{name} : " in loader.__doc__
    assert "{" not in loader.__doc__.replace('{"', "").replace("{}", "")


@pytest.mark.parametrize("dataset_id", dataset_ids())
def test_the_data_sheet_in_the_repository_is_the_rendered_table(dataset_id):
    assert (SHEETS / f"{dataset_id}.md").read_text(encoding="utf-8") == render(
        describe(dataset_id)
    )


def test_the_readme_of_the_folder_names_every_data_sheet():
    text = (SHEETS / "README.md").read_text(encoding="utf-8")
    assert [name for name in dataset_ids() if f"({name}.md)" not in text] == []


def test_no_data_file_but_the_simulated_one_is_in_the_repository():
    root = SHEETS.parent
    kept = {p.name for p in SHEETS.iterdir()} - {f"{name}.md" for name in dataset_ids()}
    assert kept == {"README.md", "lending.csv"}
    packaged = {p.name for p in (root / "fairgroup" / "datasets" / "data").iterdir()}
    assert packaged == {"lending.csv.gz", "lending_truth.csv.gz"}


def test_an_unknown_name_is_an_error_that_lists_the_names():
    with pytest.raises(ValueError, match=r"'adlut'.*adult"):
        datasets.fetch("adlut")


def test_an_unknown_option_is_an_error_that_lists_the_options():
    with pytest.raises(TypeError, match=r"fetch_adult.*'split'.*subset"):
        datasets.fetch("adult", split="train")


def test_fetch_loads_embedded_data_whatever_the_place(tmp_path):
    bunch = datasets.fetch("lending", data_home=tmp_path, download_if_missing=False)
    assert bunch.data.equals(datasets.load_lending().data)


def test_list_datasets_says_what_is_here(tmp_path):
    (tmp_path / "ricci").mkdir()
    (tmp_path / "ricci" / "ricci.csv").write_text("anything")
    table = datasets.list_datasets(data_home=tmp_path).set_index("id")
    assert list(table.index) == list(dataset_ids())
    assert set(table.index[table["available"]]) == {"ricci", *EMBEDDED}
    assert {"adult", "compas", "ricci"} <= set(table.index[table["downloadable"]])
    assert not set(table.index[table["downloadable"]]) & {"pg15training", "nlsy79", *EMBEDDED}
    assert table.loc["adult", "protected"] == "sex, race, age"
    assert table.loc["adult", "licence"] == "CC BY 4.0"


def test_list_datasets_finds_the_real_files(data_home):
    assert datasets.list_datasets(data_home=data_home)["available"].all()
