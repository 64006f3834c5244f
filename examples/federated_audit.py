"""
Federated audit with Flower
===========================

Train on several sites and watch where the disparity comes from.

K clients hold parts of the Adult data and train a network by federated averaging, run by Flower's
simulation engine. After each round every client sends, beside its accuracy, one small table of
integers: how often the model decided what about which group. The server stacks the tables and
decomposes the disparity; no row leaves a client.

Needs the extras ``federated`` and ``report`` and the Adult data::

    python examples/federated_audit.py --clients 5 --rounds 10 --split sensitive --output audit.png
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from sklearn.neural_network import MLPClassifier

from fairgroup.information import DisparityDecomposition, aggregate_counts, client_counts

GROUPS, DECISIONS = (0, 1), (0, 1)


def network(weights, n_features, seed=0):
    """A small network with the given weights, ready for ``partial_fit``; None draws new ones."""
    model = MLPClassifier((32, 32), batch_size=500, learning_rate_init=0.01, random_state=seed)
    model.partial_fit(np.zeros((500, n_features)), np.arange(500) % 2, classes=DECISIONS)
    if weights is not None:
        half = len(weights) // 2
        model.coefs_, model.intercepts_ = list(weights[:half]), list(weights[half:])
    return model


def make_client_app(folder, n_epochs):
    """What runs at a client: train on its rows; count its decisions."""
    app = ClientApp()

    def own_rows(context):
        client = int(context.node_config["partition-id"])
        with np.load(Path(folder) / f"{client}.npz") as rows:
            return client, rows["X"], rows["y"], rows["z"]

    @app.train()
    def train(message, context):
        _, X, y, _ = own_rows(context)
        model = network(message.content["arrays"].to_numpy_ndarrays(), X.shape[1])
        for _ in range(n_epochs):
            model.partial_fit(X, y)
        arrays = ArrayRecord([*model.coefs_, *model.intercepts_])
        metrics = MetricRecord({"num-examples": len(y)})
        content = RecordDict({"arrays": arrays, "metrics": metrics})
        return Message(content=content, reply_to=message)

    @app.evaluate()
    def evaluate(message, context):
        client, X, y, z = own_rows(context)
        decided = network(message.content["arrays"].to_numpy_ndarrays(), X.shape[1]).predict(X)
        table = client_counts(decided, sensitive_features=z, z_values=GROUPS, y_values=DECISIONS)
        metrics = MetricRecord(
            {
                "num-examples": len(y),
                "correct": int((decided == y).sum()),
                "client-id": client,
                "pid-counts": table.ravel().tolist(),
                "pid-shape": list(table.shape),
            }
        )
        return Message(content=RecordDict({"metrics": metrics}), reply_to=message)

    return app


def decompose_round(replies, weighted_by_key):
    """Flower aggregation of evaluation metrics: from the tables to the decomposition."""
    table, _ = aggregate_counts(replies)
    audit = DisparityDecomposition().fit_counts(table)
    sent = [next(iter(reply.metric_records.values())) for reply in replies]
    total = sum(record[weighted_by_key] for record in sent)
    return MetricRecord(
        {
            "accuracy": sum(record["correct"] for record in sent) / total,
            "global": audit.global_disparity_,
            "local": audit.local_disparity_,
            "unique": audit.unique_,
            "redundant": audit.redundant_,
            "masked": audit.masked_,
            "rows": int(table.sum()),
        }
    )


def run(parts, *, n_rounds, n_epochs=2):
    """Federated averaging; returns one dict of metrics per round.

    ``parts`` is a list of (X, y, z), one per client, with labels and groups coded 0 and 1.
    """
    history = {}
    with tempfile.TemporaryDirectory() as folder:
        for client, (X, y, z) in enumerate(parts):
            np.savez(Path(folder) / f"{client}.npz", X=X, y=y, z=z)
        start = network(None, parts[0][0].shape[1])
        server = ServerApp()

        @server.main()
        def main(grid, context):
            strategy = FedAvg(
                min_train_nodes=len(parts),
                min_evaluate_nodes=len(parts),
                min_available_nodes=len(parts),
                evaluate_metrics_aggr_fn=decompose_round,
            )
            result = strategy.start(
                grid=grid,
                initial_arrays=ArrayRecord([*start.coefs_, *start.intercepts_]),
                num_rounds=n_rounds,
            )
            history.update(result.evaluate_metrics_clientapp)

        run_simulation(
            server_app=server,
            client_app=make_client_app(folder, n_epochs),
            num_supernodes=len(parts),
            backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
        )
    return [dict(history[number]) for number in sorted(history)]


def adult_parts(n_clients, split, seed=0):
    """Adult, dealt to clients; X is one-hot and standardised, the group is sex (1 = male)."""
    import pandas as pd
    from sklearn.preprocessing import StandardScaler

    from fairgroup.datasets import fetch_adult
    from fairgroup.datasets._clients import client_split

    adult = fetch_adult()
    X = pd.get_dummies(adult.data.drop(columns=["sex", "race"], errors="ignore"), dummy_na=False)
    X = StandardScaler().fit_transform(X.fillna(0).to_numpy(dtype=np.float64))
    y = adult.target.to_numpy(dtype=np.int64)
    z = (adult.sensitive_features["sex"].astype(str).str.lower() == "male").to_numpy(
        dtype=np.int64
    )
    clients = client_split(split, z, y, n_clients=n_clients, random_state=seed)
    return [(X[clients == c], y[clients == c], z[clients == c]) for c in range(n_clients)]


def plot(history, title):
    import matplotlib.pyplot as plt

    rounds = range(1, len(history) + 1)
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    parts = {"unique": "#4c72b0", "redundant": "#dd8452", "masked": "#937860"}
    for ax, whole, stack in (
        (axes[0], "global", ("unique", "redundant")),
        (axes[1], "local", ("unique", "masked")),
    ):
        ax.stackplot(
            rounds,
            *[[entry[part] for entry in history] for part in stack],
            labels=stack,
            colors=[parts[part] for part in stack],
        )
        ax.set(title=f"{whole} disparity", xlabel="round", ylabel="bits")
        ax.legend(loc="upper left")
    top = max(max(entry["global"], entry["local"]) for entry in history)
    for ax in axes[:2]:
        ax.set_ylim(0, 1.25 * top)
    axes[2].plot(rounds, [entry["accuracy"] for entry in history], marker=".", color="black")
    axes[2].set(title="accuracy", xlabel="round")
    figure.suptitle(title)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=2, help="local epochs per round")
    parser.add_argument("--split", choices=["iid", "sensitive", "synergy"], default="sensitive")
    parser.add_argument("--output", default="federated_audit.png")
    options = parser.parse_args()
    parts = adult_parts(options.clients, options.split)
    history = run(parts, n_rounds=options.rounds, n_epochs=options.epochs)
    names = ["accuracy", "global", "local", "unique", "redundant", "masked"]
    print("round " + " ".join(f"{name:>9}" for name in names))
    for number, entry in enumerate(history, start=1):
        print(f"{number:5d} " + " ".join(f"{entry[name]:9.4f}" for name in names))
    plot(history, f"Adult, {options.clients} clients, {options.split} split").savefig(
        options.output, dpi=120
    )


if __name__ == "__main__":
    main()
