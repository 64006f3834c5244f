"""The pages that the documentation writes for itself: API reference and benchmark tables."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from _public import ROOT, public_modules, public_names

RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
RECORD = {
    "name": "speed",
    "title": "Speed of *everything*",
    "notes": "With `group_metrics` and x_.",
    "rows": [{"rows": 1_000_000, "time_s": 0.01234567}, {"rows": 5, "time_s": None, "who": "a_b"}],
    "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    "machine": {"cores": 2, "memory_gib": 8, "system": "Linux"},
    "date": "2026-11-20",
}


def extension(name: str) -> ModuleType:
    """A module of ``docs/_ext``, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def api() -> ModuleType:
    return extension("api_pages")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return extension("benchmark_pages")


def test_every_public_module_has_an_api_page(api):
    found = api.public_modules(["metrics", "groups", "not_there"])
    assert found[:2] == ["metrics", "groups"]
    assert sorted(f"fairgroup.{name}" for name in found) == public_modules()


@pytest.mark.parametrize("module", public_modules())
def test_an_api_page_lists_every_public_name(api, module):
    lines = api.page(module).splitlines()
    for name in public_names():
        if name.rsplit(".", 1)[0] == module:
            assert f"   {name.rsplit('.', 1)[1]}" in lines


def test_inherited_members_are_left_out_and_ours_kept(api):
    from fairgroup.groups import GroupEncoder

    def skipped(name):
        return api.skip_inherited(None, "class", name, getattr(GroupEncoder, name), False, None)

    assert skipped("get_params") is True
    assert skipped("fit") is None


def test_a_benchmark_page_holds_the_figures_and_where_they_come_from(bench):
    page = bench.page(RECORD)
    assert page.startswith(".. _benchmark_speed:\n\nSpeed of \\*everything\\*\n=====")
    assert "With ``group_metrics`` and x\\_." in page
    assert '   "rows","time\\_s","who"\n   "1,000,000","0.01235",""\n   "5","","a\\_b"\n' in page
    for text in (":Date: 2026-11-20", ":Machine: 2 cores, 8 GiB, Linux", "numpy 2.4.6"):
        assert text in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "True"),
        (12345, "12,345"),
        (12345.6, "12,346"),
        (1.23456e7, "1.235e+07"),
        (0.5, "0.5"),
        (float("nan"), "nan"),
        ("a|b", "a\\|b"),
    ],
)
def test_cells(bench, value, text):
    assert bench.cell(value) == text


def test_pages_of_results_that_are_gone_are_removed(bench, tmp_path):
    source, results = tmp_path / "docs", tmp_path / "benchmarks" / "results"
    (source / "benchmarks").mkdir(parents=True)
    (source / "benchmarks" / "old.rst").write_text("old")
    results.mkdir(parents=True)
    (results / "speed.json").write_text(json.dumps(RECORD))
    bench.write_pages(SimpleNamespace(srcdir=source), None)
    assert {path.name for path in (source / "benchmarks").iterdir()} == {"index.rst", "speed.rst"}
    assert "   speed\n" in (source / "benchmarks" / "index.rst").read_text()


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_file_is_complete_and_its_script_exists(bench, path: Path):
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["rows"]
    assert record["name"] == path.stem
    scripts = (ROOT / "benchmarks").glob("*.py")
    assert any(f'"{path.stem}"' in script.read_text(encoding="utf-8") for script in scripts)
    assert bench.page(record)


@pytest.fixture
def results(monkeypatch, tmp_path) -> ModuleType:
    """The extension that puts figures into pages, with two small files of results."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    module = extension("results")
    module.RESULTS = tmp_path
    rows = [
        {"who": "ours", "data": "a", "error": 0.12345, "times": 1234},
        {"who": "theirs", "data": "a", "error": None, "study": ".5"},
    ]
    (tmp_path / "one.json").write_text(json.dumps({"rows": rows}))
    (tmp_path / "two.json").write_text(json.dumps({"rows": [{"who": "ours", "error": 7.0}]}))
    return module


class TestFiguresInPages:
    @staticmethod
    def table(results, content, **options):
        stand_in = SimpleNamespace(arguments=["one"], content=content, options=options)
        stand_in.wanted = lambda *args: results.Results.wanted(stand_in, *args)
        lines = results.Results.table(stand_in)
        return [line.strip() for line in lines[4:-1]]

    def test_a_table_of_columns(self, results):
        lines = self.table(results, ["who | {who}", "error | {error:.2f} of {times}"])
        assert lines == ['"who","error"', '"ours","0.12 of 1,234"', '"theirs"," of "']

    def test_chosen_rows_with_labels_figures_of_others_and_another_file(self, results):
        lines = self.table(
            results,
            ["method | {label}", "published | {1}", "here | {error:.1f}", "two | {two/error}"],
            rows="ours -> **ours** | .13",
        )
        assert lines[1:] == ['"**ours**",".13","0.1","7"']

    def test_conditions(self, results):
        assert len(results.select("one", "data=a")) == 2
        assert results.find("one", "who=ours; data=a")["times"] == 1234

    @pytest.mark.parametrize(
        ("content", "options"),
        [
            (["x | {nothing}"], {}),
            (["x | {who}"], {"rows": "nobody"}),
            (["x | {two/error}"], {"rows": "theirs"}),
        ],
    )
    def test_what_is_not_there_fails(self, results, content, options):
        with pytest.raises(ValueError, match=r"no column|0 rows"):
            self.table(results, content, **options)

    def test_no_such_file(self, results):
        with pytest.raises(ValueError, match="no results 'three'"):
            results.rows_of("three")

    def test_in_a_sentence(self, results):
        (node,), messages = results.result_role("", "", "one | ours | {error:.1%}", 1, None)
        assert node.astext() == "12.3%"
        assert not messages


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "user_guide").glob("*.rst")), ids=lambda p: p.stem
)
def test_every_figure_in_a_sentence_is_recorded(page, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    module = extension("results")
    for text in re.findall(r":result:`([^`]+)`", page.read_text(encoding="utf-8")):
        (node,), messages = module.result_role("", "", " ".join(text.split()), 1, None)
        assert node.astext()
        assert not messages
