"""Figures of ``benchmarks/results/*.json`` inside the guide's pages: a table and a role.

A table is made of rows of one file; each line of its content is a column, ``Heading | template``::

    .. results:: vrs_world
       :caption: Reference world
       :rows:
          none
          P only, kp=2 -> proportional only | .70/.54

       controller | {label}
       mean V | {mean V sex/race}
       study | {1}

``{name}`` is a column of the file, ``{name:.3f}`` the same in a format, ``{file/name}`` that of
the row with the same key in another file, ``{label}`` the text after ``->`` (else the key), and
``{1}`` the first text after a ``|``, for figures that are not ours (published ones). ``:where:``
keeps the rows with ``column=value``, ``:key:`` names the column of the keys (the first one by
default).

In a sentence: ``:result:`file | key | template```, where the key may be ``column=value;
column=value``. A file, row or column that is not there fails the build.
"""

from __future__ import annotations

import csv
import io
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from benchmark_pages import cell
from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
_FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")

Row = dict[str, Any]


@cache
def rows_of(name: str) -> list[Row]:
    """Return the rows of a result file."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise ValueError(f"There are no results {name!r} in {RESULTS.name}.")
    return json.loads(path.read_text(encoding="utf-8"))["rows"]


def conditions(text: str) -> list[tuple[str, str]]:
    """Read ``column=value; column=value``."""
    return [tuple(map(str.strip, part.split("=", 1))) for part in text.split(";") if "=" in part]


def select(name: str, where: str) -> list[Row]:
    """Return the rows that satisfy all conditions."""
    wanted = conditions(where)
    return [row for row in rows_of(name) if all(str(row.get(c)) == v for c, v in wanted)]


def find(name: str, key: str, *, column: str | None = None, where: str = "") -> Row:
    """Return the one row whose key column holds ``key``, or that satisfies it as conditions."""
    among = select(name, where)
    column = column or next(iter(among[0]), "") if among else column
    found = [row for row in among if str(row.get(column)) == key] or (
        select(name, f"{where};{key}") if conditions(key) else []
    )
    if len(found) != 1:
        raise ValueError(f"{name}: {len(found)} rows for {key!r} {where}; one is needed.")
    return found[0]


def filled(
    template: str,
    row: Row,
    *,
    file: str,
    key: str,
    column: str,
    where: str,
    written: dict[str, str] | None = None,
) -> str:
    """Fill a template from a row, from the rows of the same key in other files, and with what
    the page's author has written.
    """

    def value(match: re.Match[str]) -> str:
        name, form = match.group(1).strip(), match.group(2)
        if f"{name}:{form}" in row:  # a column whose name holds a colon
            name, form = f"{name}:{form}", None
        if written is not None and (name in written or name.isdigit()):
            return written.get(name, "")
        source = row
        other, _, rest = name.partition("/")
        if name not in row and rest and (RESULTS / f"{other}.json").exists():
            source, name = find(other, key, column=column, where=where), rest
        if name not in source:
            # JSON leaves a column out of a row that has nothing to say there.
            if any(name in r for r in rows_of(file)):
                return ""
            raise ValueError(f"{file} has no column {name!r}; it has {sorted(row)}.")
        number = source[name]
        return format(number, form) if form and number is not None else cell(number)

    return _FIELD.sub(value, template)


class Results(Directive):
    """The table."""

    required_arguments = 1
    has_content = True
    option_spec = {
        "caption": directives.unchanged,
        "rows": directives.unchanged,
        "where": directives.unchanged,
        "key": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Return the nodes of a csv-table."""
        try:
            lines = self.table()
        except (ValueError, KeyError) as error:
            raise self.error(str(error)) from error
        parent = nodes.container()
        self.state.nested_parse(StringList(lines, "results"), self.content_offset, parent)
        return parent.children

    def table(self) -> list[str]:
        """Return the table as reStructuredText."""
        file, where = self.arguments[0], self.options.get("where", "")
        columns = [[part.strip() for part in line.split("|", 1)] for line in self.content if line]
        column = self.options.get("key") or next(iter(rows_of(file)[0]))
        buffer = io.StringIO()
        writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([heading for heading, _ in columns])
        for row, label, extra in self.wanted(file, where, column):
            key = str(row[column])
            own = {"label": label, **{str(i): text for i, text in enumerate(extra, start=1)}}
            place = {"file": file, "key": key, "column": column, "where": where, "written": own}
            writer.writerow([filled(text, row, **place) for _, text in columns])
        return [
            f".. csv-table:: {self.options.get('caption', '')}".rstrip(),
            "   :header-rows: 1",
            "   :widths: auto",
            "",
            *("   " + line for line in buffer.getvalue().splitlines()),
            "",
        ]

    def wanted(self, file: str, where: str, column: str) -> list[tuple[Row, str, list[str]]]:
        """Return the rows, each with its label and extra cells."""
        lines = [
            line.strip() for line in self.options.get("rows", "").splitlines() if line.strip()
        ]
        if not lines:
            return [(row, cell(row[column]), []) for row in select(file, where)]
        found = []
        for line in lines:
            first, *extra = [part.strip() for part in line.split(" | ")]
            key, _, label = first.partition(" -> ")
            row = find(file, key.strip(), column=column, where=where)
            found.append((row, label.strip() or cell(row[column]), extra))
        return found


def result_role(
    name: str, rawtext: str, text: str, lineno: int, inliner: Any, *_: Any
) -> tuple[list[nodes.Node], list[Any]]:
    """Return one figure: ``file | key | template``."""
    try:
        file, key, template = (part.strip() for part in text.split("|"))
        row = find(file, key)
        shown = filled(template, row, file=file, key=key, column="", where="")
    except (ValueError, KeyError) as error:
        message = inliner.reporter.error(f"result: {error}", line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    return [nodes.inline(rawtext, shown, classes=["result"])], []


def setup(app: Any) -> dict[str, Any]:
    """Register the directive and the role."""
    app.add_directive("results", Results)
    app.add_role("result", result_role)
    return {"parallel_read_safe": True}
