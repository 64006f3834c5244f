"""The examples in docstrings, README and documentation pages run and print what they say.

Files are read, not imported: an example runs in an empty namespace, as a reader would type it,
and a module without examples costs nothing. Warnings are errors here as everywhere.
"""

from __future__ import annotations

import ast
import doctest
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sklearn
from _public import PACKAGE, ROOT, module_name, syntax

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PARSER = doctest.DocTestParser()
PAGES = sorted(
    path
    for folder in ("docs", "docs/user_guide", "docs/api")
    for path in (ROOT / folder).glob("*.rst")
)
README = ROOT / "README.md"


def docstrings(path: Path) -> Iterator[tuple[str, str, int]]:
    """Name, text and first line of every docstring of a file."""
    stack = [(module_name(path), syntax(path))]
    while stack:
        name, node = stack.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield name, text, node.body[0].lineno
            stack += [(f"{name}.{getattr(child, 'name', '')}", child) for child in node.body]


def example(name: str, text: str, path: Path, line: int) -> doctest.DocTest:
    return PARSER.get_doctest(text, {"__name__": "__main__"}, name, str(path), line - 1)


def collect() -> list[doctest.DocTest]:
    """Every docstring and page with at least one example."""
    found = [
        example(name, text, path, line)
        for path in sorted(PACKAGE.rglob("*.py"))
        if ">>>" in path.read_text(encoding="utf-8")
        for name, text, line in docstrings(path)
    ]
    found += [
        example(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"), path, 1)
        for path in [*PAGES, README]
    ]
    return sorted((test for test in found if test.examples), key=lambda test: test.name)


@pytest.fixture(autouse=True)
def _as_a_reader_would(tmp_path, monkeypatch):
    """Own folder, no screen; scikit-learn's settings and open figures as before afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    with sklearn.config_context():
        yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def run(test: doctest.DocTest) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("test", collect(), ids=lambda test: test.name)
def test_example(test):
    run(test)


@pytest.mark.slow
def test_python_blocks_of_the_readme():
    """They follow one another in one session, like a reader's."""
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.S | re.M)
    assert blocks
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)


def test_a_wrong_example_fails():
    with pytest.raises(AssertionError, match="Expected:"):
        run(example("wrong", ">>> 1 + 1\n3\n", Path("wrong"), 1))


def test_examples_are_found_in_docstrings_and_pages():
    names = {test.name for test in collect()}
    assert {"fairgroup._show_versions.show_versions", "docs/index.rst"} <= names
