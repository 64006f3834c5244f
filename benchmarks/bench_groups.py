"""Encoding of protected attributes: seconds for columns of every kind, beside pandas by hand.

``pandas`` is what one would write for the same result, intersections and each column alone:
``groupby(columns).ngroup()`` and one more for every column, on a ready DataFrame. Seconds are
processor time of the one thread that is used, which is wall time on an idle machine and, unlike
it, comparable on a busy one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import numpy as np
import pandas as pd
import polars as pl
from _results import write_results

from fairgroup.groups import GroupEncoder, MembershipEncoder, SensitiveEncoder

SIZES = (10_000, 100_000, 1_000_000)
REPEATS = 5


def seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Best of several runs."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best


def tables(n: int) -> dict[str, object]:
    """One and two columns, held in every common way."""
    rng = np.random.default_rng(0)
    sex = np.array(["Female", "Male"])[rng.integers(0, 2, n)]
    race = np.array(["White", "Black", "Asian", "Other"])[rng.integers(0, 4, n)]
    text = {"sex": sex, "race": race}
    codes = np.column_stack([rng.integers(0, 2, n), rng.integers(0, 4, n)])
    return {
        "1 integer column, array": codes[:, 1],
        "2 integer columns, array": codes,
        "1 text column, pandas": pd.Series(race, name="race"),
        "2 text columns, pandas": pd.DataFrame(text),
        "2 category columns, pandas": pd.DataFrame(text).astype("category"),
        "2 text columns, polars": pl.DataFrame(text),
        "1 text column, NumPy array": race,
        "2 text columns, NumPy array": np.column_stack([sex, race]),
        "1 text column, list": race.tolist(),
    }


def by_pandas(frame: pd.DataFrame) -> None:
    """Intersections and margins of a DataFrame."""
    columns = list(frame.columns)
    for by in (columns, *([column] for column in columns)):
        frame.groupby(by, sort=True, observed=True).ngroup()


def main() -> None:
    """Run and write ``results/groups.json``."""
    rows = []
    for n in SIZES:
        for name, table in tables(n).items():
            row: dict[str, object] = {"rows": n, "table": name}
            row["GroupEncoder s"] = seconds(lambda t=table: GroupEncoder().fit_transform(t))
            if isinstance(table, pd.Series | pd.DataFrame):
                frame = pd.DataFrame(table)
                row["pandas groupby s"] = seconds(lambda f=frame: by_pandas(f))
            if name == "2 text columns, pandas":
                row["MembershipEncoder s"] = seconds(
                    lambda t=table: MembershipEncoder(intersections=True).fit(t).transform(t), 1
                )
                row["SensitiveEncoder s"] = seconds(
                    lambda t=table: SensitiveEncoder().fit(t).transform(t), 1
                )
            rows.append(row)
    write_results(
        "groups",
        rows,
        title="Encoding of protected attributes",
        notes="Best of five runs of fit_transform, processor seconds of one thread (the other "
        "encoders: one run of fit and transform). GroupEncoder gives intersections and the groups "
        "of every column.",
        libraries=("polars", "narwhals"),
    )


if __name__ == "__main__":
    main()
