"""The ``fairgroup`` command: compare mitigations, audit predictions, list the data sets.

Results go to standard output; progress, notes, warnings and errors go to standard error. Bad input
is one line and exit status 2. Libraries are imported inside the commands, so that help and
mistakes in the arguments cost nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fairgroup._version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from fairgroup.comparison._task import Task

__all__ = ["main"]

OK, INTERNAL, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
CONSTRAINTS = ("demographic_parity", "equal_opportunity", "equalized_odds")
MAX_JOBS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        Arguments; None for those of the process.

    Returns
    -------
    status : int
        0, or 2 for bad input, 1 for an internal error, 130 when interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal may lack a sign; that is no error
    given = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments = _parser().parse_args(given)
        arguments.run(arguments)
    except KeyboardInterrupt:
        _say("fairgroup: interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if "--debug" in given:
            raise
        return _explain(error)
    return OK


def _explain(error: Exception) -> int:
    if isinstance(error, ValueError | OSError | ImportError):
        _say(f"fairgroup: error: {error}")
        return BAD_INPUT
    _say(
        f"fairgroup: internal error: {type(error).__name__}: {error} "
        "(--debug shows where; please report it)"
    )
    return INTERNAL


# Arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fairgroup",
        description="Measure how unfair models are, with uncertainty, and what mitigation costs.",
        epilog="fairgroup COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"fairgroup {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_compare(commands)
    _add_audit(commands)
    _add_datasets(commands)
    return parser


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare",
        help="fit models and mitigations on the same folds and compare them",
        description="Fit models and mitigations on the same folds; print scores and unfairness "
        "of each with intervals.",
        epilog="example: fairgroup compare loans.csv --target repaid --sensitive sex,race "
        "--report report.html",
    )
    _add_data(parser, target="column to predict")
    add = parser.add_argument_group("models").add_argument
    add("--methods", metavar="M,M", help="methods by their names in the table; default: all")
    add("--base", choices=("linear", "boosting"), default="linear", help="model of all methods")
    add(
        "--constraint", choices=CONSTRAINTS, default=CONSTRAINTS[0], help="what they are asked for"
    )
    add("--drop-sensitive", action="store_true", help="no protected column is a feature")
    add("--drop", metavar="C,C", action="append", default=[], help="columns that are no features")
    add("--unprocess", action="store_true", help="also every score with group thresholds")
    add("--max-unfairness", metavar="U", type=float, help="suggest the best under this bound")
    add = parser.add_argument_group("run").add_argument
    add("--cv", metavar="N", type=int, default=5, help="number of folds (default: 5)")
    add("--max-rows", metavar="N", type=_positive_int, help="draw at most N rows")
    add("--min-group-size", metavar="N", type=int, default=100, help="merge smaller groups")
    add("--n-jobs", metavar="N", type=int, help=f"default: all cores, at most {MAX_JOBS}")
    add("--seed", metavar="N", type=int, default=0, help="default: 0")
    add("--quiet", action="store_true", help="no progress and no notes")
    _add_output(parser)
    parser.set_defaults(run=_compare)


def _add_audit(commands: Any) -> None:
    parser = commands.add_parser(
        "audit",
        help="measure given predictions by group, without training",
        description="Measure given predictions by group, with intervals. Nothing is trained.",
        epilog="example: fairgroup audit scored.csv --target repaid --prediction approved "
        "--sensitive sex,race",
    )
    _add_data(parser, target="column with the truth")
    add = parser.add_argument
    add("--prediction", metavar="P", required=True, help="column with the predictions")
    add("--score", metavar="S", help="column with scores of the positive class")
    add("--control", metavar="C,C", action="append", default=[], help="compare within its levels")
    add("--n-bootstrap", metavar="N", type=int, default=2000, help="draws; 0: no intervals")
    add("--seed", metavar="N", type=int, default=0, help="default: 0")
    add("--quiet", action="store_true", help="no notes")
    _add_output(parser)
    parser.set_defaults(run=_audit)


def _add_datasets(commands: Any) -> None:
    parser = commands.add_parser(
        "datasets",
        help="list the data sets that have a name",
        description="List the data sets that have a name, whether they are here, and their "
        "licences.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="show the data sheet of this one")
    parser.add_argument("--data-home", metavar="DIR", help="folder of the data sets")
    _add_output(parser, report=False)
    parser.set_defaults(run=_datasets, report=None)


def _add_data(parser: argparse.ArgumentParser, *, target: str) -> None:
    add = parser.add_argument
    add("data", metavar="DATA", help="name of a data set, CSV or Parquet file")
    add("--target", metavar="T", help=target)
    add("--sensitive", metavar="A,B", action="append", default=[], help="protected columns")
    add("--positive", metavar="V", help="positive value of the target")
    add(
        "--bin",
        metavar="A=25,45",
        action="append",
        default=[],
        help="cut a protected number into groups at these edges",
    )
    add("--data-home", metavar="DIR", help="folder of data sets (else FAIRGROUP_DATA_HOME)")
    add(
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="option of a named data set's loader",
    )


def _add_output(parser: argparse.ArgumentParser, *, report: bool = True) -> None:
    add = parser.add_argument_group("output").add_argument
    if report:
        add("--report", metavar="FILE.html", help="write a report")
    add("--json", metavar="FILE", help="write JSON; - for standard output")
    add("--debug", action="store_true", help="show where an error comes from")


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a positive number")
    return value


# Commands


def _compare(arguments: argparse.Namespace) -> None:
    from fairgroup.comparison import compare
    from fairgroup.comparison._text import comparison_text, suggestion_text

    notes = _Notes(arguments)
    task = _read_task(arguments, notes)
    X = task.features(arguments.drop, drop_sensitive=arguments.drop_sensitive)
    notes.say(
        f"{task.source.name}: {len(X):,} rows, {X.shape[1]} features, target {task.target!r}, "
        f"protected {', '.join(task.attributes)}"
    )
    with _collected() as caught:
        comparison = compare(
            X,
            task.y,
            sensitive_features=task.sensitive,
            cv=arguments.cv,
            n_jobs=arguments.n_jobs or _default_jobs(),
            random_state=arguments.seed,
            verbose=not arguments.quiet and sys.stderr.isatty(),
            methods=_methods(arguments.methods),
            base=arguments.base,
            constraint=arguments.constraint,
            pos_label=task.positive,
            min_group_size=arguments.min_group_size,
            unprocess=arguments.unprocess,
        )
    notes.warn(caught, comparison.messages)
    for note in comparison.settings["notes"]:
        if note not in notes.warnings:
            notes.say(note)
    lines = comparison_text(comparison, **_terminal())
    record = {
        **comparison.to_dict(),
        "data": {**task.record(), "features": list(X.columns)},
        "pareto": [list(key) for key in comparison.pareto().index],
        "suggestion": None,
    }
    if arguments.max_unfairness is not None:
        text, record["suggestion"] = suggestion_text(comparison, arguments.max_unfairness)
        lines += ["", text]
    _write(arguments, lines, record)
    if arguments.report:
        from fairgroup.comparison._report import write_report

        options = {"max_unfairness": arguments.max_unfairness, **_report_options(task, notes)}
        notes.say(f"report: {write_report(comparison, arguments.report, **options)}")


def _audit(arguments: argparse.Namespace) -> None:
    from fairgroup.comparison._task import pick
    from fairgroup.comparison._text import group_text
    from fairgroup.comparison._views import record
    from fairgroup.groups import GroupEncoder
    from fairgroup.metrics import group_metrics

    notes = _Notes(arguments)
    task = _read_task(arguments, notes)
    controls = pick(task.source, arguments.control, "--control")
    with _collected() as caught:
        result = group_metrics(
            task.y,
            task.predictions(arguments.prediction),
            y_score=task.scores(arguments.score),
            sensitive_features=task.sensitive,
            control_features=task.source.frame[controls] if controls else None,
            pos_label=task.positive,
            encoder=GroupEncoder(missing="group"),
            n_bootstrap=arguments.n_bootstrap,
            random_state=arguments.seed,
        )
    notes.warn(caught)
    data = {**task.record(), "prediction": arguments.prediction, "control": controls}
    _write(arguments, group_text(result, **_terminal()), {"data": data, **record(result)})
    if arguments.report:
        from fairgroup.comparison._report import write_audit

        options = _report_options(task, notes)
        options["facts"] |= {"Prediction": arguments.prediction}
        if task.positive is not None:
            options["facts"] |= {"Positive class": str(task.positive)}
        if controls:
            options["facts"] |= {"Compared within": ", ".join(controls)}
        notes.say(f"report: {write_audit(result, arguments.report, **options)}")


def _datasets(arguments: argparse.Namespace) -> None:
    from fairgroup.comparison._text import dataset_text
    from fairgroup.datasets import list_datasets
    from fairgroup.datasets._base import render
    from fairgroup.datasets._registry import describe

    _check_writable(arguments)
    table = list_datasets(data_home=arguments.data_home)
    records = table.to_dict(orient="records")
    if arguments.name is None:
        _write(arguments, dataset_text(table, arguments.data_home), records)
        return
    sheet = render(describe(arguments.name)).splitlines()
    _write(arguments, sheet, next(row for row in records if row["id"] == arguments.name))


# Reading


def _read_task(arguments: argparse.Namespace, notes: _Notes) -> Task:
    from fairgroup.comparison._source import is_named, read_source, sample
    from fairgroup.comparison._task import make_task

    _check_writable(arguments)
    pairs = [_pair(text, "--option") for text in arguments.option]
    options = {name: _value(text) for name, text in pairs}
    if getattr(arguments, "drop_sensitive", False) and is_named(arguments.data):
        options["drop_sensitive"] = True  # also leaves out columns that spell out a protected one
    source = read_source(arguments.data, data_home=arguments.data_home, options=options)
    source = sample(source, getattr(arguments, "max_rows", None), arguments.seed)
    task = make_task(
        source,
        target=arguments.target,
        sensitive=arguments.sensitive,
        positive=arguments.positive,
        bins=_bins(arguments.bin),
    )
    for note in task.notes:
        notes.say(note)
    return task


def _value(text: str) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text


def _bins(given: list[str]) -> dict[str, list[float]]:
    bins = {}
    for name, text in (_pair(pair, "--bin") for pair in given):
        try:
            bins[name] = [float(edge) for edge in text.split(",")]
        except ValueError:
            raise ValueError(f"--bin: {text!r} is not a list of numbers.") from None
    return bins


def _pair(text: str, option: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name.strip() or not value.strip():
        raise ValueError(f"{option}: {text!r} should be NAME=VALUE.")
    return name.strip(), value.strip()


def _methods(text: str | None) -> list[str] | None:
    """Names as in the table; hyphens and capitals do not matter."""
    if text is None:
        return None
    names = [re.sub(r"[-_\s]+", " ", part).strip().lower() for part in text.split(",")]
    return [name for name in names if name]


def _default_jobs() -> int:
    import joblib

    return min(MAX_JOBS, joblib.cpu_count())


# Writing


class _Notes:
    """Notes and warnings on standard error, one line each, kept for the report."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._quiet = arguments.quiet
        self.warnings: list[str] = []

    def say(self, text: str) -> None:
        if not self._quiet:
            _say(text)

    def warn(self, caught: list[Any], messages: pd.DataFrame | None = None) -> None:
        """Say each warning once, those of a method with its name and how many fits gave it."""
        from fairgroup.comparison._text import for_developers, plain_messages

        for warning in caught:
            text = str(warning.message)
            if not for_developers(warning.category.__name__) and text not in self.warnings:
                self.warnings.append(text)
                _say(f"warning: {text}")
        for method, text, count in [] if messages is None else plain_messages(messages):
            _say(f"warning: {method}: {text}{f' ({count} fits)' if count > 1 else ''}")


def _say(text: str) -> None:
    """One line on standard error, without control characters of the data."""
    line = " ".join(text.split())
    print("".join(c if c.isprintable() else "?" for c in line), file=sys.stderr)


@contextlib.contextmanager
def _collected() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def _report_options(task: Task, notes: _Notes) -> dict[str, Any]:
    first, *others = task.source.facts.items()
    return {
        "title": f"{task.source.name}: {task.target}",
        "notes": [*notes.warnings, *task.source.problems],
        "facts": dict([first, ("Target", task.target), *others]),
    }


def _check_writable(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be written before the work, not after it."""
    for option in ("report", "json"):
        given = getattr(arguments, option)
        if not given or given == "-":
            continue
        path = Path(given)
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise ValueError(f"--{option}: {given!r} is no file in an existing folder.")
    if arguments.report:
        from fairgroup.utils._optional import require

        require("jinja2", extra="report")
        require("matplotlib", extra="report")


def _write(arguments: argparse.Namespace, lines: list[str], record: Any) -> None:
    """Print the table and write JSON; JSON on standard output stands alone there."""
    if arguments.json != "-":
        print("\n".join(lines), flush=True)
    if not arguments.json:
        return
    if isinstance(record, dict):
        record = {"fairgroup": __version__, **record}
    text = json.dumps(record, indent=2, allow_nan=False, default=str)
    if arguments.json == "-":
        print(text, flush=True)
    else:
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")


def _terminal() -> dict[str, Any]:
    """Width and colours of standard output; neither where it is no terminal."""
    if not sys.stdout.isatty():
        return {"width": None, "colour": False}
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return {"width": shutil.get_terminal_size().columns, "colour": not plain}
