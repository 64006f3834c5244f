"""The HTML report: what stands in it, that names are not run, and how a browser sees it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import logging
import os
import re
import shutil
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from _public import ROOT
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.comparison import compare
from fairgroup.comparison._report import write_audit, write_report
from fairgroup.datasets import load_lending
from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.metrics import group_metrics

EVIL = "<script>alert(1)</script>"
OUTPUT = ROOT / "build" / "screenshots"
NUMBERS = ["income", "debt_ratio", "history_years", "late_payments", "loan_amount"]


class Breaks(LogisticRegression):
    """Fails on every fold."""

    def fit(self, X, y):
        raise RuntimeError("no <b>such</b> solver")


class Complains(LogisticRegression):
    """Warns on every fold."""

    def fit(self, X, y):
        warnings.warn("the <i>solver</i> stopped early", FairnessWarning, stacklevel=1)
        logging.getLogger("peer").warning("logged, %d times", 2)
        return super().fit(X, y)


@pytest.fixture(scope="module")
def people():
    """Features, target and protected columns whose names and levels are hostile."""
    lending = load_lending()
    groups = lending.sensitive_features[["sex", "ethnicity"]].head(1500).astype(str)
    groups.loc[:30, "ethnicity"] = "<img src=x onerror=alert(2)>"
    groups.columns = ["sex", EVIL]
    return lending.data[NUMBERS].head(1500), lending.target.head(1500), groups


@pytest.fixture(scope="module")
def comparison(people):
    X, y, groups = people
    estimators = {
        "penalised & <b>bold</b>": (
            make_pipeline(StandardScaler(), Complains()),
            {"complains__C": [2e-3, 4e-3, 1e-2]},
        ),
        "breaks": Breaks(),
    }
    with pytest.warns(FairnessWarning, match="fewer than"):
        return compare(
            X,
            y,
            sensitive_features=groups,
            estimators=estimators,
            cv=2,
            random_state=0,
            verbose=False,
        )


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    facts = {"Target": "repaid", "Source": EVIL}
    return write_report(comparison, path, title=f"Loans {EVIL}", notes=[EVIL], facts=facts)


@pytest.fixture(scope="module")
def text(page) -> str:
    return page.read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Tags with their attributes, in order, and the shown text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.shown = ""
        self._silent = 0
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._silent += tag in ("style", "script")

    def handle_endtag(self, tag):
        self._silent -= tag in ("style", "script")

    def handle_data(self, data):
        self.shown += "" if self._silent else data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_loads_nothing(text):
    tags = Tags(text)
    for _, attributes in tags.tags:
        for name in ("src", "href", "action", "data", "srcset"):
            assert re.match(r"#|data:", attributes.get(name) or "#")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert "url(" not in text
    assert "@import" not in text


def test_names_from_the_data_are_text(text):
    tags = Tags(text)
    assert len(tags.all("script")) == 1
    assert not tags.all("b")
    assert not tags.all("i")
    assert [image["src"][:5] for image in tags.all("img")] == ["data:"]
    for shown in (
        EVIL,
        "<img src=x onerror=alert(2)>",
        "penalised & <b>bold</b>",
        "<i>solver</i>",
    ):
        assert shown in tags.shown
        assert html.escape(shown) in text


def test_the_policy_allows_only_the_own_style_and_script(text):
    (policy,) = [a["content"] for a in Tags(text).all("meta") if "http-equiv" in a]
    for tag in ("style", "script"):
        body = re.search(f"<{tag}>(.*?)</{tag}>", text, re.S).group(1)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_every_table_says_what_it_is_and_its_headings_their_scope(text):
    tags = Tags(text)
    assert len(tags.all("table")) == len(tags.all("caption")) == 6
    assert all(attributes.get("scope") in ("col", "row") for attributes in tags.all("th"))
    ids = [attributes["id"] for _, attributes in tags.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in tags.all("a"):
        assert link["href"][1:] in ids


def test_data_groups_settings_and_versions_are_there(text, comparison):
    shown = Tags(text).shown
    y = comparison._data.y
    for part in (
        "1,500",
        f"1 ({100 * np.mean(y):.1f}\u00a0% of the rows)",
        "LogisticRegression(max_iter=1000, solver=",
        f"numpy {np.__version__}",
        "What the methods said while they were fitted",
        "Choosing on the same folds",
        "Undefined rates",
    ):
        assert part in shown
    for name in ("female", "male", "majority", "minority", "female, majority", "male, minority"):
        assert f'<th scope="row">{name}</th>' in text


def cells(text: str, row_head: str) -> str:
    """HTML of the first row with this heading."""
    return re.search(rf'<th scope="row">{re.escape(row_head)}.*?</tr>', text, re.S).group(0)


def test_numbers_by_group_are_those_of_the_audit(text, comparison):
    audit = comparison.audit()
    row = cells(text, "female")
    for metric in ("base_rate", "selection_rate", "true_positive_rate"):
        value = audit.marginals["sex"].loc["female", metric]
        bounds = audit.intervals.marginals["sex"].loc["female", metric]
        assert f'<span class="value">{value:.3f}</span>' in row
        assert f"{bounds['lower']:.3f} – {bounds['upper']:.3f}" in row
    joint = cells(text, "female, minority")
    assert f"{audit.by_group.loc[('female', 'minority'), 'selection_rate']:.3f}" in joint


def test_the_results_mark_the_front_and_the_failures(text, comparison):
    table = re.search(r'<table class="sortable results">.*?</table>', text, re.S).group(0)
    rows = re.findall(r"<tr.*?</tr>", table.split("</thead>")[1], re.S)
    assert len(rows) == len(comparison.table)
    front = comparison.pareto().index
    for row, key in zip(rows, comparison.table.index, strict=True):
        assert ("Pareto</span>" in row) == (key in front)
        assert ("failed" in row) == (key[0] == "breaks")
        assert html.escape(key[1]) in row
        accuracy = comparison.table.loc[key, "accuracy"]
        assert (f"{accuracy:.3f}" if np.isfinite(accuracy) else "–") in row
    assert "RuntimeError: no &lt;b&gt;such&lt;/b&gt; solver" in table


def test_warnings_and_log_lines_of_methods_are_counted(text, comparison):
    found = set(comparison.messages.itertuples(index=False, name=None))
    name = "penalised & <b>bold</b>"
    assert (name, "FairnessWarning: the <i>solver</i> stopped early", 6) in found
    assert (name, "Log: logged, 2 times", 6) in found
    assert "<td>logged, 2 times</td>" in text


def test_a_difference_has_no_negative_bound(text, comparison):
    low = comparison.table["demographic_parity_difference[sex]_low"]
    assert (low < 0).any()
    assert f"{low.min():.3f}" not in text


def shown_page(comparison, tmp_path, **options) -> str:
    return Tags(write_report(comparison, tmp_path / "r.html", **options).read_text("utf-8")).shown


def test_the_suggestion_keeps_half_of_the_unfairness(text, comparison):
    (suggested,) = re.findall(r'<tr class="([^"]*chosen)"><th scope="row">(.*?) <span', text)
    assert suggested[1] == "penalised &amp; &lt;b&gt;bold&lt;/b&gt;"
    unfair = comparison.table[comparison.unfairness]
    allowed = comparison.table[unfair <= unfair["unmitigated", ""] / 2]
    best = allowed.loc[allowed.index != ("constant", ""), "accuracy"].max()
    assert f"accuracy {best:.3f} instead of" in Tags(text).shown


def test_a_generous_bound_suggests_the_unmitigated_model(comparison, tmp_path):
    shown = shown_page(comparison, tmp_path, max_unfairness=0.9)
    assert "of at most 0.900 does better than the unmitigated model" in shown
    assert "The model is: unmitigated." in shown


def test_a_bound_that_nothing_keeps_shows_the_least_unfair(comparison, tmp_path):
    least = comparison.table.loc["penalised & <b>bold</b>", comparison.unfairness].min()
    shown = shown_page(comparison, tmp_path, max_unfairness=least / 2)
    assert "No method that looks at the features has" in shown
    assert "The least unfair of them is penalised & <b>bold</b>" in shown


def test_to_html_writes_the_report(comparison, tmp_path):
    path = comparison.to_html(tmp_path / "page.html")
    assert path == tmp_path / "page.html"
    assert "<h1>Comparison of methods for repaid</h1>" in path.read_text("utf-8")


def test_a_report_without_any_result_is_refused(people, tmp_path):
    X, y, groups = people
    broken = {"unmitigated": Breaks(), "constant": Breaks()}
    failed = compare(
        X, y, sensitive_features=groups["sex"], estimators=broken, cv=2, verbose=False
    )
    with pytest.raises(ValueError, match="No method has results"):
        failed.to_html(tmp_path / "r.html")


def test_numbers_and_several_classes_are_reported_too(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(600, 3)), columns=list("abc"))
    groups = pd.Series(rng.choice(["x", "y"], 600), name="kind")
    number = X["a"] * 30 + (groups == "x") * 40 + rng.normal(size=600)
    regression = compare(
        X, number, sensitive_features=groups, estimators={"ridge": Ridge(10)}, cv=2, verbose=False
    )
    shown = shown_page(regression, tmp_path)
    assert "the mean prediction by the unmitigated model lies between" in shown
    assert "Mean of the target" in shown
    classes = pd.cut(number, 3, labels=["low", "middle", "high"]).astype(str)
    several = compare(
        X,
        classes,
        sensitive_features=groups,
        estimators={"plain": LogisticRegression()},
        cv=2,
        verbose=False,
    )
    assert "selection rate of middle" in shown_page(several, tmp_path)


@pytest.fixture(scope="module")
def audited():
    """Group metrics with a group in which a rate is undefined."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 400), "kind": rng.choice([*"ab"], 400)})
    y = rng.integers(0, 2, 400)
    y[frame["kind"] == "b"] = 0
    with pytest.warns(Warning, match="undefined"):
        return group_metrics(
            y,
            rng.integers(0, 2, 400),
            sensitive_features=frame,
            encoder=GroupEncoder(missing="group"),
            n_bootstrap=200,
            random_state=0,
        )


def test_an_audit_has_no_results_but_groups_and_differences(audited, tmp_path):
    path = write_audit(audited, tmp_path / "a.html", title=EVIL, facts={"File": "x.csv"})
    tags = Tags(path.read_text("utf-8"))
    assert tags.shown.count(EVIL) == 2  # the page's title and its heading
    assert len(tags.all("script")) == 1
    assert not tags.all("img")
    assert len(tags.all("table")) == 4
    assert "x.csv" in tags.shown
    assert "% of the rows are positive" in tags.shown


def test_an_undefined_rate_is_said_and_sorted_last(audited, tmp_path):
    text = write_audit(audited, tmp_path / "a.html").read_text("utf-8")
    row = cells(text, "b")
    assert row.count("undefined") == 1
    assert row.count('data-sort=""') == 1


def test_a_missing_library_is_named(comparison, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"fairgroup\[report\]"):
        write_report(comparison, tmp_path / "r.html")


# In a browser


class Browser:
    """Headless Chromium with its console and its requests."""

    FLAGS = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--no-first-run",
    )

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in (*self.FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = Service(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)

    def open(self, path: Path, width: int = 1280) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for log in ("browser", "performance"):
            self.driver.get_log(log)  # what came before is forgotten
        self.driver.get(path.as_uri())

    def run(self, script: str):
        return self.driver.execute_script(f"return {script}")

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [event["request"]["url"] for event in sent]

    def screenshot(self, path: Path) -> None:
        size = self.run("[document.documentElement.scrollWidth, document.body.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], 9000), "scale": 1}
        options = {"captureBeyondViewport": True, "clip": clip}
        picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(picture))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"{' and '.join(missing)} not installed (Debian: chromium, chromium-driver)")
    assert not missing, f"{missing} not installed"
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


def test_the_browser_shows_the_page_without_complaint_or_request(browser, page):
    browser.open(page)
    assert browser.run("document.querySelector('h1').textContent") == f"Loans {EVIL}"
    assert browser.run("document.scripts.length") == 1
    assert EVIL in browser.run("document.body.innerText")
    assert browser.run("document.querySelector('figure img').naturalWidth") > 300
    assert browser.run("document.querySelectorAll('th button').length") > 20
    assert browser.console() == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == [page.as_uri()]
    browser.screenshot(OUTPUT / "report.png")
    assert (OUTPUT / "report.png").stat().st_size > 50_000


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_the_page_is_never_wider_than_the_screen(browser, page, width):
    browser.open(page, width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    if width == 360:
        browser.screenshot(OUTPUT / "report-narrow.png")


def test_a_dangerous_page_would_be_noticed(browser, tmp_path):
    """The checks above can fail: they see requests, errors and alerts."""
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><script>nothing()</script>")
    browser.open(bad)
    assert any("127.0.0.1:9" in url for url in browser.requests())
    assert any("nothing is not defined" in message for message in browser.console())


COLUMN = """(function () {
  const table = document.querySelector('table.results');
  return [...table.tBodies[0].rows].map(row => row.cells[%d].textContent.trim());
})()"""
HEADING = "document.querySelectorAll('table.results thead th')[%d]"


def test_a_click_on_a_heading_sorts(browser, page):
    browser.open(page)
    accuracy = 2
    before = browser.run(COLUMN % accuracy)
    button = browser.run(HEADING % accuracy + ".querySelector('button')")
    button.click()
    assert browser.run(HEADING % accuracy + ".getAttribute('aria-sort')") == "ascending"
    up = [re.match(r"\d\.\d{3}", cell) for cell in browser.run(COLUMN % accuracy)]
    numbers = [float(match.group()) for match in up if match]
    assert numbers == sorted(numbers)
    assert up[-1] is None  # the row without a value stays last
    button.click()
    down = [re.match(r"\d\.\d{3}", cell) for cell in browser.run(COLUMN % accuracy)]
    assert [float(match.group()) for match in down if match] == numbers[::-1]
    assert down[-1] is None
    assert sorted(before) == sorted(browser.run(COLUMN % accuracy))
    browser.run(HEADING % 0 + ".querySelector('button').click()")
    names = browser.run(COLUMN % 0)
    assert names == sorted(names, key=str.lower)
    assert browser.run(HEADING % accuracy + ".getAttribute('aria-sort')") == "none"


def test_all_rows_together_stay_on_top_of_a_group_table(browser, page):
    browser.open(page)
    head = "document.querySelector('table.groups').rows[1].cells[0].textContent.trim()"
    for _ in range(2):
        browser.run("document.querySelectorAll('table.groups thead button')[1].click()")
        assert browser.run(head) == "all rows"
