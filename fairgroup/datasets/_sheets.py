"""Data sheets: the facts about a data set as Markdown text.

``python -m fairgroup.datasets._sheets FOLDER`` writes them all, one file per data set.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fairgroup.datasets._registry import DataSet, dataset_ids, describe

__all__ = ["render", "write_sheets"]


def render(facts: DataSet) -> str:
    """Data sheet of a data set as Markdown text."""
    rows = [
        ("Task", facts.task),
        ("Rows (default options)", f"{facts.rows:,}"),
        ("Target", facts.target),
        ("Positive", facts.positive),
        ("Protected", ", ".join(facts.protected)),
        ("Exposure", facts.exposure),
        ("Licence", facts.licence),
        ("Source", facts.source),
        ("Citation", facts.citation),
    ]
    blocks = [f"# {facts.title}", facts.summary.strip()]
    blocks.append("\n".join(f"- **{key}**: {value}" for key, value in rows if value))
    if facts.options:
        blocks += ["## Options of the loader", "\n".join(f"- {line}" for line in facts.options)]
    blocks += ["## Known problems", "\n".join(f"- {line}" for line in facts.warnings)]
    if facts.steps:
        blocks += ["## How to get the files", facts.steps.strip()]
    if facts.files:
        lines = [f"- `{f.name}`: {f.rows:,} x {f.columns}, {_origin(f.url)}" for f in facts.files]
        blocks += ["## Files", "\n".join(lines)]
    return "\n\n".join(blocks) + "\n"


def _origin(url: str | None) -> str:
    return "no direct download" if url is None else f"from <{url}>"


def write_sheets(folder: Path) -> None:
    """Write the data sheets of all data sets into a folder."""
    for facts in map(describe, dataset_ids()):
        (folder / f"{facts.id}.md").write_text(render(facts), encoding="utf-8")


if __name__ == "__main__":
    write_sheets(Path(sys.argv[1]))
