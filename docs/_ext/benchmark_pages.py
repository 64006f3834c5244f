"""Write a page for every ``benchmarks/results/*.json``: no figure in the docs is typed by hand."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

RESULTS = Path("..", "benchmarks", "results")
FOLDER = Path("benchmarks")
_INTRODUCTION = """\
Every table here is written by a script in ``benchmarks/`` that runs fairgroup and the named peers
in one go, and is turned into this page when the documentation is built. Times depend on the
machine; what counts is the ratio within a table.
"""


def plain(text: str) -> str:
    """Escape what reStructuredText would read as markup, except code between backticks."""
    parts = re.split(r"`{1,2}([^`]+)`{1,2}", text)
    return "".join(
        f"``{part}``" if index % 2 else re.sub(r"([\\*_|`])", r"\\\1", part)
        for index, part in enumerate(parts)
    )


def cell(value: Any) -> str:
    """Format one value of a table: four significant digits, no exponent below a million."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return plain(str(value))
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e6 else f"{value:.4g}"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the rows as a csv-table; columns in the order in which they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow([plain(column) for column in columns])
    writer.writerows([[cell(row.get(column)) for column in columns] for row in rows])
    return [
        ".. csv-table::",
        "   :header-rows: 1",
        "   :widths: auto",
        "",
        *("   " + line for line in buffer.getvalue().splitlines()),
        "",
    ]


def conditions(record: dict[str, Any]) -> list[str]:
    """Say when, on what machine and with which versions the figures were obtained."""
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    size = "{cores} cores, {memory_gib} GiB, {system}".format(**record["machine"])
    return [
        f":Date: {record['date']}",
        f":Machine: {plain(size)}",
        f":Versions: {plain(versions)}",
    ]


def page(record: dict[str, Any]) -> str:
    """Return the reStructuredText of one result file."""
    title = plain(record.get("title") or record["name"])
    lines = [f".. _benchmark_{record['name']}:", "", title, "=" * len(title), ""]
    lines += [plain(record.get("notes", "")), "", *table(record["rows"]), *conditions(record), ""]
    return "\n".join(lines)


def write_pages(app: Any, config: Any) -> None:
    """Write one page per result file, and the index."""
    source = Path(app.srcdir)
    folder = source / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = sorted((source / RESULTS).glob("*.json"))
    for path in files:
        record = json.loads(path.read_text(encoding="utf-8"))
        (folder / f"{path.stem}.rst").write_text(
            page({**record, "name": path.stem}), encoding="utf-8"
        )
    entries = [f"   {path.stem}" for path in files]
    index = [
        ".. _benchmarks:",
        "",
        "Benchmarks",
        "==========",
        "",
        _INTRODUCTION,
        ".. toctree::",
        "   :maxdepth: 1",
        "",
        *entries,
        "",
    ]
    (folder / "index.rst").write_text("\n".join(index), encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", write_pages)
    app.setup_extension("benchmark_figures")
    app.setup_extension("dependence_figure")
    return {"parallel_read_safe": True}
