"""The re-ranker behind HTTP, with its memory in SQLite. An example, not a part of the package.

Every delivered impression is journaled before it is acknowledged. When a snapshot has released
noisy counts, the whole state is saved and the journal emptied in the same transaction. After a
crash the last state is loaded and the journal replayed: nothing acknowledged is lost, and because
the journal never spans a snapshot, no counts are released twice with fresh noise (which would
spend more privacy than planned).

Run it with ``python examples/reranking_service/app.py impressions.sqlite`` after
``pip install fastapi uvicorn``.
"""

from __future__ import annotations

import io
import json
import sqlite3
import sys
import threading
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from fairgroup.ranking import AdAuctionSimulator, NoisyCounter, VarianceAwareReranker

SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, impressions TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (batch_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), arrays BLOB NOT NULL);
"""


class Impressions(BaseModel):
    """Delivered impressions in time order; a batch that is sent twice is counted once."""

    batch_id: str
    ad_id: list[int]
    cluster: list[int]
    sensitive_features: dict[str, list[int]]


class Candidates(BaseModel):
    """Candidates of one or several auctions; no protected attribute is asked for."""

    values: list[list[float]]
    ad_ids: list[list[int]]
    clusters: list[int]
    top: int | None = None


class DurableReranker:
    """A fitted re-ranker whose deliveries survive the death of the process."""

    def __init__(self, reranker: VarianceAwareReranker, path: str) -> None:
        self.reranker, self._lock = reranker, threading.Lock()
        self._blank = reranker.get_state()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # WAL with NORMAL survives a killed process; use FULL to survive a power cut as well.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._restore()

    def deliver(self, batch: Impressions) -> bool:
        """Count a batch and make it durable; False if it was known already."""
        with self._lock:
            if self._db.execute(
                "SELECT 1 FROM batches WHERE batch_id=?", [batch.batch_id]
            ).fetchone():
                return False
            before = self.reranker.n_snapshots_.sum()
            self._count(batch.model_dump())
            try:
                self._commit(batch, released=self.reranker.n_snapshots_.sum() > before)
            except BaseException:
                self._restore()
                raise
        return True

    def rerank(self, candidates: Candidates) -> np.ndarray:
        """Order of the candidates of each auction."""
        with self._lock:
            return self.reranker.rerank(
                candidates.values,
                ad_ids=candidates.ad_ids,
                clusters=candidates.clusters,
                top=candidates.top,
            )

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _commit(self, batch: Impressions, *, released: bool) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("INSERT INTO batches VALUES (?)", [batch.batch_id])
            if released:
                arrays = io.BytesIO()
                np.savez(arrays, **self.reranker.get_state())
                self._db.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", [arrays.getvalue()])
                self._db.execute("DELETE FROM journal")
            else:
                row = json.dumps(batch.model_dump(exclude={"batch_id"}))
                self._db.execute("INSERT INTO journal (impressions) VALUES (?)", [row])
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _restore(self) -> None:
        saved = self._db.execute("SELECT arrays FROM state").fetchone()
        state = self._blank if saved is None else np.load(io.BytesIO(saved[0]), allow_pickle=False)
        self.reranker.set_state(state)
        for (row,) in self._db.execute("SELECT impressions FROM journal ORDER BY id").fetchall():
            self._count(json.loads(row))

    def _count(self, batch: dict[str, Any]) -> None:
        self.reranker.partial_fit(
            batch["ad_id"],
            cluster=batch["cluster"],
            sensitive_features=batch["sensitive_features"],
        )


def create_app(reranker: VarianceAwareReranker, path: str) -> FastAPI:
    """Build the service around a fitted re-ranker."""
    app, store = (
        FastAPI(title="Impression-variance aware re-ranking"),
        DurableReranker(reranker, path),
    )
    app.state.store = store

    @app.post("/rerank")
    def rerank(candidates: Candidates) -> dict[str, Any]:
        try:
            return {"order": store.rerank(candidates).tolist()}
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @app.post("/impressions")
    def impressions(batch: Impressions) -> dict[str, Any]:
        try:
            return {"counted": store.deliver(batch)}
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @app.get("/status")
    def status() -> dict[str, Any]:
        r = store.reranker
        return {
            "impressions": int(r.n_impressions_.sum()),
            "snapshots": int(r.n_snapshots_.sum()),
            "privacy_spent": r.privacy_spent_["total"],
        }

    return app


def demo_reranker() -> VarianceAwareReranker:
    """Audiences of a simulated world stand in for those of a real platform."""
    world = AdAuctionSimulator(n_auctions=1, random_state=0).sample()[0]
    reranker = VarianceAwareReranker(noise=NoisyCounter(epsilon=1.0), search_iterations=0)
    return reranker.fit(eligible=world.eligible, composition=world.composition)


if __name__ == "__main__":
    database, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    service = create_app(demo_reranker(), database)
    uvicorn.run(service, host="127.0.0.1", port=port, log_level="warning")
