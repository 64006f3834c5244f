"""Requests per second of the example service on loopback, and a kill in the middle.

``python examples/reranking_service/load_test.py`` starts the service on a free port, sends a
bounded number of requests from a few threads (at most 2,000 of each kind and 15 s), kills the
process with SIGKILL while impressions arrive, starts it again and checks that every acknowledged
batch is there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np

APP = Path(__file__).with_name("app.py")
LIMIT_REQUESTS, LIMIT_SECONDS, CLIENTS = 2000, 15.0, 4
N_BATCHES = 600


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(database, port):
    process = subprocess.Popen([sys.executable, str(APP), str(database), str(port)])
    for _ in range(300):
        try:
            httpx.get(f"http://127.0.0.1:{port}/status", timeout=1)
            return process
        except httpx.TransportError:
            time.sleep(0.1)
    process.kill()
    raise RuntimeError("the service did not start")


def impressions(rng, name, n=50):
    return {
        "batch_id": name,
        "ad_id": rng.integers(0, 20, n).tolist(),
        "cluster": rng.integers(0, 64, n).tolist(),
        "sensitive_features": {
            "sex": rng.integers(0, 2, n).tolist(),
            "race": rng.integers(0, 4, n).tolist(),
        },
    }


def candidates(rng, n_auctions):
    return {
        "values": rng.lognormal(0, 1, (n_auctions, 20)).tolist(),
        "ad_ids": rng.integers(0, 40, (n_auctions, 20)).tolist(),
        "clusters": rng.integers(0, 64, n_auctions).tolist(),
        "top": 1,
    }


def throughput(url, make_body):
    """Requests per second and the 99th percentile of the latency in milliseconds."""
    numbers, lock, times = itertools.count(), threading.Lock(), []
    sources = [np.random.default_rng(seed) for seed in range(CLIENTS)]
    bodies = [
        [make_body(rng, f"{url}-{c}-{i}") for i in range(LIMIT_REQUESTS // CLIENTS)]
        for c, rng in enumerate(sources)
    ]

    def client(own):
        with httpx.Client(timeout=10) as http:
            for body in own:
                if next(numbers) >= LIMIT_REQUESTS or time.perf_counter() > stop:
                    return
                begin = time.perf_counter()
                http.post(url, json=body).raise_for_status()
                with lock:
                    times.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=client, args=(own,)) for own in bodies]
    begin = time.perf_counter()
    stop = begin + LIMIT_SECONDS
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds = time.perf_counter() - begin
    return len(times) / seconds, 1000 * float(np.quantile(times, 0.99))


def kill_and_restore(database):
    """Send batches, kill the process on the way, restart, resend what was not acknowledged."""
    port = free_port()
    process, rng = start(database, port), np.random.default_rng(1)
    url = f"http://127.0.0.1:{port}"
    base = httpx.get(f"{url}/status").json()["impressions"]
    sizes = rng.integers(1, 40, N_BATCHES)
    batches = [impressions(rng, f"kill-{i}", int(n)) for i, n in enumerate(sizes)]
    killer = threading.Timer(1.5, process.kill)
    killer.start()
    acknowledged = 0
    with httpx.Client(timeout=5) as http:
        for batch in batches:
            try:
                http.post(f"{url}/impressions", json=batch).raise_for_status()
                acknowledged += 1
            except httpx.TransportError:
                break
    killer.join()
    process.kill()
    process.wait()
    port = free_port()
    process, url = start(database, port), f"http://127.0.0.1:{port}"
    try:
        restored = httpx.get(f"{url}/status").json()["impressions"] - base
        sure = int(sizes[:acknowledged].sum())
        assert restored in (sure, sure + int(sizes[min(acknowledged, N_BATCHES - 1)])), (
            restored,
            sure,
        )
        with httpx.Client(timeout=5) as http:
            for batch in batches:  # resending everything counts each batch once
                http.post(f"{url}/impressions", json=batch).raise_for_status()
        final = httpx.get(f"{url}/status").json()["impressions"] - base
        assert final == sizes.sum(), (final, sizes.sum())
    finally:
        process.kill()
        process.wait()
    return acknowledged, sure, restored


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database, port = Path(folder) / "impressions.sqlite", free_port()
        process, url = start(database, port), f"http://127.0.0.1:{port}"
        rows = []
        try:
            for what, path, body in (
                ("re-rank 1 auction x 20", "/rerank", lambda rng, _: candidates(rng, 1)),
                ("re-rank 100 auctions x 20", "/rerank", lambda rng, _: candidates(rng, 100)),
                ("count 50 impressions", "/impressions", impressions),
            ):
                rate, p99 = throughput(url + path, body)
                rows.append(
                    {
                        "request": what,
                        "requests per second": round(rate, 1),
                        "p99, ms": round(p99, 1),
                    }
                )
                print(rows[-1])
        finally:
            process.kill()
            process.wait()
        acknowledged, sure, restored = kill_and_restore(database)
    kill = {
        "batches acknowledged before SIGKILL": acknowledged,
        "impressions acknowledged": sure,
        "impressions after restart": restored,
    }
    print(kill)
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "kill": kill}, indent=1) + "\n")


if __name__ == "__main__":
    main()
