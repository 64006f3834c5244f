"""Write benchmark figures as JSON with what is needed to read them later, and print a table."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "pandas", "numba", "fairlearn")


def write_results(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    title: str = "",
    notes: str = "",
    libraries: Sequence[str] = (),
) -> Path:
    """Write ``results/NAME.json`` and print the rows as a Markdown table.

    ``rows`` are flat mappings (column -> number or text), ``libraries`` names peers whose versions
    matter.
    """
    record = {
        "name": name,
        "title": title or name,
        "notes": notes,
        "rows": [dict(row) for row in rows],
        "versions": _versions(libraries),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": _memory_gib(),
            "system": platform.system(),
        },
        "date": datetime.date.today().isoformat(),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(markdown_table(record["rows"]))
    return path


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format rows as a Markdown table; columns in the order in which they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += [
        "| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in rows
    ]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _versions(libraries: Sequence[str]) -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for library in dict.fromkeys((*_LIBRARIES, *libraries)):
        versions[library] = importlib.metadata.version(library)
    return versions


def _memory_gib() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None
