from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fairgroup.information import (
    DisparityDecomposition,
    aggregate_counts,
    client_counts,
    contingency_table,
)
from fairgroup.metrics import group_metrics


@pytest.fixture
def frame(rng):
    n = 1500
    return pd.DataFrame(
        {
            "sex": rng.choice(["f", "m"], n),
            "race": rng.choice(["x", "y", "z"], n, p=[0.6, 0.3, 0.1]),
            "decision": rng.integers(0, 2, n),
            "site": rng.choice(["A", "B", "C", "D"], n),
            "weight": rng.random(n),
        }
    )


def test_counts_are_those_of_pandas(frame):
    table, labels = contingency_table(frame["sex"], frame["decision"], frame["site"])
    counted = frame.groupby(["sex", "decision", "site"]).size()
    for i, z in enumerate(labels[0]):
        for j, y in enumerate(labels[1]):
            for k, s in enumerate(labels[2]):
                assert table[i, j, k] == counted.get((z, y, s), 0)
    assert labels == (("f", "m"), (0, 1), ("A", "B", "C", "D"))
    two_way, _ = contingency_table(frame["sex"], frame["decision"])
    assert_array_equal(two_way, table.sum(2))


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy"])
def test_columns_of_frames(frame, kind):
    data = {
        "pandas": frame,
        "polars": pl.from_pandas(frame),
        "lazy": pl.from_pandas(frame).lazy(),
    }[kind]
    expected = contingency_table(frame["sex"], frame["decision"], frame["site"])
    found = contingency_table("sex", "decision", "site", data=data)
    assert_array_equal(found[0], expected[0])
    assert found[1] == expected[1]
    crossed, labels = contingency_table(
        ["sex", "race"], "decision", data=data, sample_weight="weight"
    )
    plain, _ = contingency_table(
        frame[["sex", "race"]], frame["decision"], sample_weight=frame["weight"]
    )
    assert_allclose(crossed, plain)
    assert labels[0][0] == ("f", "x")
    with pytest.raises(ValueError, match="no column"):
        contingency_table("sex", "nothing", data=data)


def test_fixed_levels(frame):
    table, labels = contingency_table(
        frame["sex"], frame["decision"], levels=[["m", "f", "d"], None]
    )
    assert labels[0] == ("m", "f", "d")
    assert table[2].sum() == 0
    with pytest.raises(ValueError, match="not among its levels"):
        contingency_table(frame["sex"], frame["decision"], levels=[["m"], None])
    with pytest.raises(ValueError, match="entries"):
        contingency_table(frame["sex"], frame["decision"], levels=[None])


def test_bad_input(frame):
    with pytest.raises(ValueError, match="numbers of rows"):
        contingency_table([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="missing values"):
        contingency_table(["a", None], [1, 2])
    with pytest.raises(ValueError, match="name of a column"):
        contingency_table("sex", "decision", data=frame, sample_weight=frame["weight"])


def test_dask_frame_is_counted_by_dask(frame):
    """The same numbers as pandas, with two workers, and rows never leave them."""
    dd = pytest.importorskip("dask.dataframe")
    distributed = pytest.importorskip("distributed")
    expected = DisparityDecomposition().fit(
        frame["decision"], sensitive_features=frame[["sex", "race"]], clients=frame["site"]
    )
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        data = dd.from_pandas(frame, npartitions=4)
        table, labels = contingency_table("sex", "decision", "site", data=data)
        audit = DisparityDecomposition().fit(
            data["decision"], sensitive_features=data[["sex", "race"]], clients=data["site"]
        )
        weighted, _ = contingency_table(
            data["sex"], data["decision"], sample_weight=data["weight"]
        )
    in_memory, same = contingency_table("sex", "decision", "site", data=frame)
    assert_array_equal(table, in_memory)
    assert labels == same
    assert_allclose(
        weighted,
        contingency_table(frame["sex"], frame["decision"], sample_weight=frame["weight"])[0],
    )
    assert_array_equal(audit.counts_, expected.counts_)
    assert audit.z_labels_ == expected.z_labels_
    assert audit.unique_ == expected.unique_


def test_dask_and_memory_do_not_mix(frame):
    dd = pytest.importorskip("dask.dataframe")
    data = dd.from_pandas(frame, npartitions=2)
    with pytest.raises(ValueError, match="in memory"):
        contingency_table(data["sex"], frame["decision"].to_numpy())
    other = dd.from_pandas(frame, npartitions=3)
    with pytest.raises(ValueError, match="partitions"):
        contingency_table(data["sex"], other["decision"])


def test_federated_tables_are_the_pooled_table(frame):
    values = {"z_values": ["f", "m"], "y_values": [0, 1]}
    sent = {
        site: client_counts(part["decision"], sensitive_features=part["sex"], **values)
        for site, part in frame.groupby("site")
    }
    table, clients = aggregate_counts(sent)
    pooled, labels = contingency_table(frame["sex"], frame["decision"], frame["site"])
    assert_array_equal(table, pooled)
    assert clients == labels[2]
    assert all(part.dtype == np.int64 for part in sent.values())
    listed, numbers = aggregate_counts(list(sent.values()))
    assert_array_equal(listed, table)
    assert numbers == (0, 1, 2, 3)


def test_labels_and_crossed_groups_from_a_client(frame):
    values = [(s, r) for s in ("f", "m") for r in ("x", "y", "z")]
    table = client_counts(
        frame["decision"],
        sensitive_features=frame[["sex", "race"]],
        z_values=values,
        y_values=[0, 1],
        y_true=1 - frame["decision"],
    )
    assert table.shape == (6, 2, 2)
    assert table.sum() == len(frame)
    assert table[:, 0, 0].sum() == 0


def test_noise_is_unbiased_before_clipping_and_reproducible():
    y, z = np.repeat([0, 1], 500), np.tile(["f", "m"], 500)
    plain = client_counts(y, sensitive_features=z, z_values=["f", "m"], y_values=[0, 1])
    noisy = np.stack(
        [
            client_counts(
                y,
                sensitive_features=z,
                z_values=["f", "m"],
                y_values=[0, 1],
                privacy_epsilon=0.5,
                random_state=i,
            )
            for i in range(400)
        ]
    )
    assert noisy.dtype == np.int64
    # Discrete Laplace with scale 4 has variance 2 q / (1 - q)^2, q = exp(-1/4).
    q = np.exp(-0.25)
    variance = 2 * q / (1 - q) ** 2
    assert_allclose(noisy.mean(0), plain, atol=4 * np.sqrt(variance / 400))
    assert_allclose(noisy.var(0), variance, rtol=0.35)
    again = client_counts(
        y,
        sensitive_features=z,
        z_values=["f", "m"],
        y_values=[0, 1],
        privacy_epsilon=0.5,
        random_state=3,
    )
    assert_array_equal(again, noisy[3])
    few = client_counts(
        [0], sensitive_features=["f"], z_values=["f", "m"], y_values=[0, 1], privacy_epsilon=0.1
    )
    assert (few >= 0).all()


def test_bad_tables_from_clients():
    with pytest.raises(ValueError, match="not among its levels"):
        client_counts([0, 2], sensitive_features=["f", "m"], z_values=["f", "m"], y_values=[0, 1])
    with pytest.raises(ValueError, match="above 0"):
        client_counts(
            [0], sensitive_features=["f"], z_values=["f"], y_values=[0], privacy_epsilon=0
        )
    with pytest.raises(ValueError, match="agree on"):
        aggregate_counts([np.ones((2, 2)), np.ones((2, 3))])
    with pytest.raises(ValueError, match="negative"):
        aggregate_counts([np.full((2, 2), -1)])
    with pytest.raises(ValueError, match="empty"):
        aggregate_counts([])


def test_replies_of_flower_clients():
    app = pytest.importorskip("flwr.app")

    def reply(table, client):
        record = app.MetricRecord(
            {
                "num-examples": int(table.sum()),
                "pid-counts": table.ravel().tolist(),
                "pid-shape": list(table.shape),
                "client-id": client,
            }
        )
        return app.RecordDict({"metrics": record})

    first, second = np.array([[3, 1], [2, 2]]), np.array([[0, 5], [1, 1]])
    table, clients = aggregate_counts([reply(second, 7), reply(first, 2), reply(first, 7)])
    assert clients == (2, 7)
    assert_array_equal(table[..., 0], first)
    assert_array_equal(table[..., 1], first + second)
    with pytest.raises(ValueError, match="no metric record"):
        aggregate_counts([app.RecordDict({})])


def test_group_metrics_of_dask_columns(frame):
    dd = pytest.importorskip("dask.dataframe")
    frame["label"] = (frame["decision"] + (frame["weight"] > 0.8)) % 2
    data = dd.from_pandas(frame, npartitions=3)
    settings = {
        "metrics": ["accuracy", "selection_rate", "count"],
        "n_bootstrap": 50,
        "random_state": 0,
    }
    expected = group_metrics(
        frame["label"], frame["decision"], sensitive_features=frame[["sex", "race"]], **settings
    )
    found = group_metrics(
        data["label"], data["decision"], sensitive_features=data[["sex", "race"]], **settings
    )
    pd.testing.assert_frame_equal(found.by_group, expected.by_group)
    pd.testing.assert_series_equal(found.overall, expected.overall)
    single = group_metrics(data["label"], data["decision"], sensitive_features=data["sex"])
    assert single.by_group.index.name == "sex"
    with pytest.raises(ValueError, match="counted by level"):
        group_metrics(
            data["label"],
            data["decision"],
            sensitive_features=data["sex"],
            sample_weight=frame["weight"],
        )
