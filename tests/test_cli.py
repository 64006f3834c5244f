"""The command: what it prints where, its JSON, its exit statuses, and one line for bad input."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import fairgroup
from fairgroup.cli import main
from fairgroup.datasets import load_lending
from fairgroup.metrics import group_metrics

QUICK = ["--cv", "2", "--methods", "correlation-remover", "--n-jobs", "1"]


def table(n: int = 400) -> pd.DataFrame:
    """A small file's content: target and prediction as words, a score, protected columns."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "income": rng.normal(50, 10, n).round(1),
            "city": rng.choice(["north", "south"], n),
            "sex": rng.choice(["f", "m"], n),
            "race": rng.choice(["a", "b"], n),
            "age": rng.integers(18, 80, n),
        }
    )
    score = 1 / (1 + np.exp(-(frame["income"] - 50) / 10 - (frame["sex"] == "m")))
    frame["score"] = score.round(3)
    frame["approved"] = np.where(score > 0.5, "yes", "no")
    frame["repaid"] = np.where(rng.random(n) < score, "yes", "no")
    return frame


@pytest.fixture(scope="module")
def csv(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("data") / "loans.csv"
    table().to_csv(path, index=False)
    return str(path)


@pytest.fixture
def run(capsys):
    """Run the command in this process; returns (status, output, errors)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


# compare


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """One run on the embedded sample: (status, output, errors, JSON, report)."""
    folder = tmp_path_factory.mktemp("compared")
    command = [sys.executable, "-m", "fairgroup", "compare", "lending", *QUICK]
    command += ["--max-rows", "800", "--max-unfairness", "0.5"]
    command += ["--report", str(folder / "r.html"), "--json", str(folder / "r.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr, json.loads((folder / "r.json").read_text()), folder / "r.html"


def test_compare_prints_a_table_to_standard_output_and_notes_to_standard_error(compared):
    output, errors, record, _ = compared
    lines = output.splitlines()
    body = [line for line in lines if re.search(r"\d\.\d{3} ± \d\.\d{3}", line)]
    assert len(body) == len(record["table"]) == 4
    row = next(row for row in record["table"] if row["method"] == "unmitigated")
    half = (row["accuracy_high"] - row["accuracy_low"]) / 2
    (printed,) = [line for line in body if " unmitigated" in line]
    assert f"{row['accuracy']:.3f} ± {half:.3f}" in printed
    assert "Pareto front" in output
    assert "Best with demographic parity difference <= 0.5" in output
    assert "\033" not in output + errors
    assert "lending: 800 rows, 13 features, target 'repaid', protected sex, ethnicity" in errors
    assert "protected column 'age' is continuous and was left out" in errors
    assert "Traceback" not in errors


def test_compare_marks_the_pareto_rows(compared):
    output, _, record, _ = compared
    lines = [" ".join(line.split()) for line in output.splitlines() if " ± " in line]
    for row in record["table"]:
        key = [row["method"], row["setting"]]
        mark = "* " if key in record["pareto"] else ""
        assert any(line.startswith(f"{mark}{' '.join(key)}".strip()) for line in lines)
    assert sum(line.startswith("*") for line in lines) == len(record["pareto"])


def test_compare_writes_json_for_machines(compared):
    _, _, record, _ = compared
    assert record["fairgroup"] == fairgroup.__version__
    assert record["data"]["target"] == "repaid"
    assert record["data"]["sensitive"] == ["sex", "ethnicity"]
    assert "income" in record["data"]["features"]
    assert record["settings"]["random_state"] == 0
    for row in record["table"]:
        for metric in record["metrics"]:
            assert {metric, f"{metric}_low", f"{metric}_high"} <= set(row)
    suggestion = record["suggestion"]
    assert suggestion["kept"]
    assert suggestion[record["unfairness"]] <= 0.5


def test_compare_writes_the_report(compared):
    *_, report = compared
    text = report.read_text(encoding="utf-8")
    assert "<h1>lending: repaid</h1>" in text
    assert "Simulated: it shows what a method does" in text


def test_json_on_standard_output_stands_alone(run, csv):
    status, output, errors = run(
        "compare", csv, "--target", "repaid", "--sensitive", "sex,race", *QUICK, "--json", "-"
    )
    assert status == 0
    record = json.loads(output)
    assert record["data"]["positive"] == "yes"
    assert record["suggestion"] is None
    assert "positive class of 'repaid': yes" in errors


def test_no_feature_is_the_target_or_dropped(run, csv):
    status, output, _ = run(
        *("compare", csv, "--target", "repaid", "--sensitive", "sex", "--drop", "score,approved"),
        *("--drop-sensitive", "--positive", "no", "--quiet", "--json", "-", *QUICK),
    )
    assert status == 0
    data = json.loads(output)["data"]
    assert data["features"] == ["income", "city", "race", "age"]
    assert data["positive"] == "no"


def test_quiet_says_nothing_but_warnings(run, csv):
    status, _, errors = run(
        *("compare", csv, "--target", "repaid", "--sensitive", "sex,race", "--quiet"),
        *("--min-group-size", "104", *QUICK),
    )
    assert status == 0
    (line,) = errors.splitlines()
    assert line.startswith("warning: Groups with fewer than 104 rows are merged")
    assert ".py" not in line


def test_a_protected_number_is_cut_into_groups(run, csv):
    status, output, _ = run(
        *("audit", csv, "--target", "repaid", "--prediction", "approved", "--sensitive", "age"),
        *("--bin", "age=25,45,65", "--n-bootstrap", "0", "--json", "-"),
    )
    assert status == 0
    groups = [row for row in json.loads(output)["groups"] if row["kind"] == "marginal"]
    ages = table()["age"]
    assert {row["group"]: row["rows"] for row in groups} == {
        "under 25": (ages < 25).sum(),
        "25 to 44": ages.between(25, 44).sum(),
        "45 to 64": ages.between(45, 64).sum(),
        "65 and over": (ages >= 65).sum(),
    }


def test_semicolons_and_parquet_are_read_like_commas(run, tmp_path):
    frame = table()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=False, sep=";")
    frame.to_parquet(tmp_path / "c.parquet")
    options = ["--target", "repaid", "--prediction", "approved", "--sensitive", "sex,race"]
    found = [
        json.loads(run("audit", tmp_path / name, *options, "--json", "-")[1])
        for name in ("a.csv", "b.csv", "c.parquet")
    ]
    assert found[0]["groups"] == found[1]["groups"] == found[2]["groups"]


# audit


def test_audit_measures_what_group_metrics_measures(run, csv):
    status, output, errors = run(
        *("audit", csv, "--target", "repaid", "--prediction", "approved", "--score", "score"),
        *("--sensitive", "sex,race", "--n-bootstrap", "300", "--seed", "3", "--json", "-"),
    )
    assert status == 0
    assert errors == "positive class of 'repaid': yes (--positive changes it)\n"
    record = json.loads(output)
    frame = table()
    expected = group_metrics(
        frame["repaid"],
        frame["approved"],
        y_score=frame["score"],
        sensitive_features=frame[["sex", "race"]],
        pos_label="yes",
        n_bootstrap=300,
        random_state=3,
    )
    rows = {(row["kind"], row["group"]): row["metrics"] for row in record["groups"]}
    assert len(rows) == 1 + 2 + 2 + 4
    for metric in ("accuracy", "selection_rate", "roc_auc"):
        cell = rows["joint", "f, b"][metric]
        bounds = expected.intervals.by_group.loc[("f", "b"), metric]
        assert cell["value"] == pytest.approx(expected.by_group.loc[("f", "b"), metric])
        assert [cell["low"], cell["high"]] == pytest.approx(bounds.tolist())
        assert rows["overall", "all rows"][metric]["value"] == pytest.approx(
            expected.overall[metric]
        )
    gap = record["differences"]["demographic_parity_difference"]
    assert gap["sex"]["value"] == pytest.approx(
        expected.gaps(attribute="sex")["demographic_parity_difference"]
    )
    assert gap["sex × race"]["value"] == pytest.approx(
        expected.gaps()["demographic_parity_difference"]
    )


def test_audit_prints_groups_and_differences(run, csv, tmp_path):
    status, output, errors = run(
        *("audit", csv, "--target", "repaid", "--prediction", "approved"),
        *("--sensitive", "sex,race", "--report", tmp_path / "a.html"),
    )
    assert status == 0
    rate = (table()["approved"][table()["sex"] == "f"] == "yes").mean()
    assert re.search(rf"sex +f +\d+ .* {rate:.3f} \[0\.\d{{3}}, 0\.\d{{3}}\]", output)
    assert re.search(r"demographic parity difference +0\.\d{3} \[0\.", output)
    assert "95 % bootstrap intervals" in output
    assert f"report: {tmp_path / 'a.html'}" in errors
    assert "loans.csv: repaid" in (tmp_path / "a.html").read_text("utf-8")


def test_audit_within_levels_of_a_control(run, csv):
    status, output, _ = run(
        *("audit", csv, "--target", "repaid", "--prediction", "approved"),
        *("--sensitive", "sex", "--control", "city", "--json", "-"),
    )
    record = json.loads(output)
    assert status == 0
    names = [row["group"] for row in record["groups"] if row["kind"] == "marginal"]
    assert names == ["north, f", "north, m", "south, f", "south, m"]
    assert "demographic_parity_difference (south)" in record["differences"]


def test_audit_of_one_class_against_the_rest_and_of_numbers(run, tmp_path):
    frame = table().assign(third=lambda t: pd.cut(t["income"], 3, labels=["l", "m", "h"]))
    frame["guess"] = frame["third"].to_numpy()[::-1]
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = ["--sensitive", "sex", "--json", "-", "--n-bootstrap", "0"]
    status, output, errors = run(
        *("audit", tmp_path / "t.csv", "--target", "third", "--prediction", "guess"),
        *("--positive", "h", *options),
    )
    assert status == 0
    assert "target: 1 where third is h, else 0" in errors
    overall = json.loads(output)["groups"][0]["metrics"]
    assert overall["base_rate"]["value"] == pytest.approx((frame["third"] == "h").mean())
    assert overall["accuracy"]["value"] == pytest.approx(
        ((frame["third"] == "h") == (frame["guess"] == "h")).mean()
    )
    status, output, _ = run(
        "audit", tmp_path / "t.csv", "--target", "income", "--prediction", "age", *options
    )
    assert status == 0
    overall = json.loads(output)["groups"][0]["metrics"]
    error = (frame["income"] - frame["age"]).abs().mean()
    assert overall["mean_absolute_error"]["value"] == pytest.approx(error)


@pytest.mark.parametrize(
    ("values", "positive"), [([0.0, 1.0], "0"), ([False, True], "false"), ([0, 1], "0")]
)
def test_the_positive_class_is_found_by_its_value(run, tmp_path, values, positive):
    frame = table().replace({"repaid": {"no": values[0], "yes": values[1]}})
    frame["approved"] = frame["approved"].map({"no": values[0], "yes": values[1]})
    frame.to_csv(tmp_path / "v.csv", index=False)
    status, output, _ = run(
        *("audit", tmp_path / "v.csv", *AUDIT, "--positive", positive, "--json", "-"),
    )
    assert status == 0
    rate = json.loads(output)["groups"][0]["metrics"]["base_rate"]["value"]
    assert rate == pytest.approx((table()["repaid"] == "no").mean())


def test_a_reader_that_stops_early_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m fairgroup datasets | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.startswith("name")
    assert done.stderr == ""


def test_missing_protected_values_are_a_group(run, tmp_path):
    frame = table()
    frame.loc[:49, "sex"] = None
    frame.to_csv(tmp_path / "m.csv", index=False)
    _, output, _ = run(
        *("audit", tmp_path / "m.csv", "--target", "repaid", "--prediction", "approved"),
        *("--sensitive", "sex", "--json", "-"),
    )
    groups = {row["group"]: row["rows"] for row in json.loads(output)["groups"]}
    assert groups["(missing)"] == 50


def test_an_undefined_rate_is_null_and_said(run, tmp_path):
    frame = table()
    frame.loc[frame["sex"] == "f", "repaid"] = "no"
    frame.to_csv(tmp_path / "u.csv", index=False)
    options = ["--target", "repaid", "--prediction", "approved", "--sensitive", "sex"]
    status, output, errors = run("audit", tmp_path / "u.csv", *options, "--json", "-")
    assert status == 0
    assert errors.count("warning: true_positive_rate is undefined (NaN) for sex=f") == 1
    rows = {row["group"]: row["metrics"] for row in json.loads(output)["groups"]}
    assert rows["f"]["true_positive_rate"] == {"value": None, "low": None, "high": None}


def test_a_prediction_on_a_named_data_set(run):
    lending = load_lending()
    status, output, _ = run(
        *("audit", "lending", "--prediction", "history_years", "--target", "late_payments"),
        *("--json", "-", "--n-bootstrap", "0"),
    )
    assert status == 0
    overall = json.loads(output)["groups"][0]
    assert overall["rows"] == len(lending.data)


# datasets, version, help


def test_datasets_lists_names_licences_and_what_is_here(run, tmp_path):
    status, output, _ = run("datasets", "--data-home", tmp_path)
    assert status == 0
    (lending,) = [line for line in output.splitlines() if line.startswith("lending")]
    (adult,) = [line for line in output.splitlines() if line.startswith("adult")]
    assert " yes " in lending
    assert " on demand " in adult
    assert "CC BY 4.0" in adult
    assert str(tmp_path) in output
    status, output, _ = run("datasets", "--data-home", tmp_path, "--json", "-")
    records = {record["id"]: record for record in json.loads(output)}
    assert records["adult"]["available"] is False
    assert records["lending"]["rows"] == 20_000
    assert {"title", "task", "protected", "licence", "downloadable"} <= set(records["adult"])


def test_datasets_shows_a_data_sheet(run):
    status, output, _ = run("datasets", "adult")
    assert status == 0
    assert output.startswith("# Adult")
    assert "Known problems" in output


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help(option, capsys):
    with pytest.raises(SystemExit) as end:
        main([option])
    assert end.value.code == 0
    assert "fairgroup" in capsys.readouterr().out


def test_mistakes_in_the_arguments_load_no_library():
    code = (
        "import sys; from fairgroup.cli import main; status = main(['compare', '--base', 'x'])\n"
        "print(status, sorted({'numpy', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "2 []"


# Bad input

LOANS = ("--target", "repaid", "--sensitive", "sex,race")
AUDIT = ("--target", "repaid", "--prediction", "approved", "--sensitive", "sex,race")
MISTAKES = [
    (["compare", "CSV", "--target", "repayd", "--sensitive", "sex"], "did you mean 'repaid'?"),
    (["compare", "CSV", "--target", "repaid", "--sensitive", "gender"], "no column 'gender'"),
    (["compare", "CSV", "--target", "repaid", "--sensitive", "sex,sex"], "named twice"),
    (["compare", "CSV", "--target", "repaid"], "--sensitive: name the protected columns"),
    (["compare", "CSV", "--sensitive", "sex"], "--target: name the column"),
    (["compare", "CSV", "--target", "sex", "--sensitive", "sex"], "both name 'sex'"),
    (["compare", "CSV", *LOANS, "--positive", "maybe"], "'maybe' is not a value of 'repaid'"),
    (["compare", "CSV", *LOANS, "--methods", "magic"], "['magic'] are not known"),
    (["compare", "CSV", *LOANS, "--cv", "1"], "cv=1"),
    (["compare", "CSV", *LOANS, "--option", "a=1"], "Loader options are for named data sets"),
    (["compare", "CSV", *LOANS, "--drop", "nothing"], "--drop: the data have no column"),
    (
        ["compare", "CSV", *LOANS, "--drop", "income,city,age,score,approved,sex,race"],
        "No feature",
    ),
    (["compare", "CSV", *LOANS, "--max-rows", "0"], "not a positive number"),
    (["compare", "CSV", *LOANS, "--report", "/no/such/folder/r.html"], "no file in an existing"),
    (["compare", "CSV", "--target", "repaid", "--sensitive", "age"], "--bin age="),
    (["compare", "CSV", *LOANS, "--bin", "age=30"], "'age' is not one of the protected columns"),
    (["compare", "CSV", *LOANS, "--bin", "sex=30"], "'sex' holds no numbers"),
    (["compare", "CSV", *LOANS, "--bin", "sex"], "should be NAME=VALUE"),
    (
        ["compare", "CSV", "--target", "repaid", "--sensitive", "age", "--bin", "age=9,3"],
        "increase",
    ),
    (["compare", "CSV", "--target", "repaid", "--sensitive", "age", "--bin", "age=x"], "numbers"),
    (["compare", "lendin"], "did you mean 'lending'?"),
    (["compare", "nothing.csv"], "There is no file 'nothing.csv'"),
    (["compare", "lending", "--option", "colour=1"], "no option 'colour'"),
    (
        ["compare", "adult", "--data-home", "FOLDER", "--option", "download_if_missing=false"],
        "adult",
    ),
    (["compare", "FOLDER", *LOANS], "is a folder"),
    (["audit", "CSV", *LOANS, "--prediction", "repaid"], "both name 'repaid'"),
    (["audit", "CSV", *LOANS, "--prediction", "sex"], "both name 'sex'"),
    (["audit", "CSV", *LOANS, "--prediction", "score"], "values that 'repaid' never has"),
    (["audit", "CSV", *LOANS], "--prediction"),
    (["audit", "CSV", *AUDIT, "--score", "city"], "must hold numbers"),
    (["audit", "CSV", *AUDIT, "--control", "town"], "--control: the data have no column"),
    (["audit", "CSV", *AUDIT, "--n-bootstrap", "-1"], "n_bootstrap=-1"),
    (["datasets", "nothing"], "No data set is called 'nothing'"),
    (["compare", "CSV", *LOANS, "--colour"], "--colour"),
    (["improve"], "improve"),
    ([], "COMMAND"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda v: " ".join(v)[:60])
def test_bad_input_is_one_line_and_status_2(run, csv, tmp_path, arguments, message):
    places = {"CSV": csv, "FOLDER": str(tmp_path)}
    status, output, errors = run(*(places.get(word, word) for word in arguments))
    assert status == 2
    assert output == ""
    (line,) = [line for line in errors.splitlines() if line.startswith("fairgroup: error: ")]
    assert errors.splitlines()[-1] == line
    assert message in line
    assert "Traceback" not in errors


FILES = {
    "": "is empty",
    "sex,race,repaid\n": "no rows",
    "sex,race,repaid\nf,a,yes\nm,b,yes\n": "one value only ('yes')",
    "sex,race,repaid\nf,a,yes\nm,b,\nf,b,no\n": "'repaid' has 1 missing values in 3 rows",
    "sex,race,repaid\nf,a,yes\nm,b,no,x,y\n": "cannot be read as CSV",
}


@pytest.mark.parametrize(("content", "message"), FILES.items(), ids=FILES.values())
def test_bad_files_are_one_line_and_status_2(run, tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    status, output, errors = run("compare", path, *LOANS)
    assert (status, output) == (2, "")
    (line,) = errors.splitlines()
    assert message in line


def test_bytes_and_broken_parquet_are_one_line(run, tmp_path):
    for name in ("bytes.csv", "broken.parquet"):
        (tmp_path / name).write_bytes(bytes(range(256)) * 4)
        status, _, errors = run("compare", tmp_path / name, *LOANS)
        assert status == 2
        assert len(errors.splitlines()) == 1
        assert "cannot be read" in errors


def test_columns_of_the_same_name_are_refused(run, tmp_path):
    (tmp_path / "twice.csv").write_text("sex;sex;repaid\nf;a;yes\nm;b;no\n")
    status, _, errors = run("compare", tmp_path / "twice.csv", "--target", "repaid")
    assert status == 2
    assert "several columns are called 'sex'" in errors


def test_missing_predictions_are_refused(run, tmp_path):
    table().assign(approved=lambda t: t["approved"].mask(t.index < 3)).to_csv(
        tmp_path / "p.csv", index=False
    )
    status, _, errors = run("audit", tmp_path / "p.csv", *AUDIT)
    assert status == 2
    assert "'approved' has 3 missing values" in errors


# Failures, interruptions, terminals


def test_an_internal_error_is_one_line_unless_debug(run, csv, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("the inside\nbroke")

    monkeypatch.setattr("fairgroup.metrics.group_metrics", fail)
    status, _, errors = run("audit", csv, *AUDIT, "--quiet")
    assert status == 1
    assert errors.splitlines() == [
        "fairgroup: internal error: RuntimeError: the inside broke "
        "(--debug shows where; please report it)"
    ]
    with pytest.raises(RuntimeError):
        main(["audit", csv, *AUDIT, "--debug"])


def test_an_interruption_is_said(run, csv, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("fairgroup.metrics.group_metrics", interrupt)
    status, _, errors = run("audit", csv, *AUDIT, "--quiet")
    assert (status, errors) == (130, "fairgroup: interrupted\n")


def test_a_missing_library_is_named_before_the_work(run, csv, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    status, _, errors = run("compare", csv, *LOANS, "--report", tmp_path / "r.html")
    assert status == 2
    assert 'pip install "fairgroup[report]"' in errors


@pytest.mark.parametrize(
    ("terminal", "variables", "coloured"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals(run, csv, monkeypatch, terminal, variables, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {**variables, "COLUMNS": "90"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    status, output, _ = run("audit", csv, *AUDIT)
    assert status == 0
    assert ("\033[" in output) == coloured
    widest = max(len(re.sub(r"\033\[\d+m", "", line)) for line in output.splitlines())
    assert (widest <= 90) == terminal
    assert ("Not shown for lack of width" in output) == terminal


def test_control_characters_of_the_data_do_not_reach_the_terminal(run, tmp_path):
    frame = table()
    frame["sex"] = frame["sex"].replace("f", "\033[31mred")
    frame.to_csv(tmp_path / "c.csv", index=False)
    status, output, errors = run("audit", tmp_path / "c.csv", *AUDIT)
    assert status == 0
    assert "\033" not in output + errors
    assert "?[31mred" in output
