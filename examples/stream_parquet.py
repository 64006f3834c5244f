"""
A Parquet file larger than memory
=================================

Learn from a file of any size in constant memory, stop at any point, and go on where it stopped.

The file is read in batches of rows; each row is decided before it is learned. After every batch
the state of the forest, a few arrays, is written to a checkpoint. Run it again after an
interruption: it skips the rows that the checkpoint knows and ends with the same forest. Without a
file it writes one with simulated applications first. Any generator of chunks works in the place of
``iter_batches``: a database cursor, ``pandas.read_csv(..., chunksize=...)``, a message queue.

Needs the extra ``data``::

    python examples/stream_parquet.py --rows 1000000 --file applications.parquet
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairgroup.forest import AranyaniClassifier

FEATURES = [f"x{k}" for k in range(12)]
GROUPS = ["female", "male"]


def write_applications(file, n_rows, *, chunk=50_000, seed=0):
    """Write a file without ever holding more than a chunk; the relation drifts with time."""
    rng = np.random.default_rng(seed)
    writer = None
    for start in range(0, n_rows, chunk):
        n = min(chunk, n_rows - start)
        sex = rng.integers(2, size=n)
        X = rng.normal(size=(n, len(FEATURES)))
        X[:, 0] += 0.8 * sex
        phase = 2 * np.pi * (start + np.arange(n)) / n_rows
        score = X[:, 0] + np.sin(phase) * X[:, 1] + np.cos(phase) * X[:, 2] + rng.normal(size=n)
        columns = dict(zip(FEATURES, X.T, strict=True))
        columns |= {"sex": np.array(GROUPS)[sex], "repaid": score > 0.5}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    writer.close()


def chunks_of(file, *, skip=0, batch_size=20_000):
    """Features, labels and groups of the rows behind the first ``skip``, batch by batch."""
    seen = 0
    for batch in pq.ParquetFile(file).iter_batches(
        batch_size, columns=[*FEATURES, "sex", "repaid"]
    ):
        seen += len(batch)
        if seen > skip:
            rows = batch.to_pandas().iloc[max(0, len(batch) - (seen - skip)) :]
            yield rows[FEATURES], rows["repaid"].to_numpy(), rows["sex"]


def learn(file, checkpoint, *, max_chunks=None):
    """Go on from the checkpoint, if there is one, and return the model."""
    model = AranyaniClassifier(random_state=0)
    if checkpoint.exists():
        with np.load(checkpoint) as state:
            model.set_state(state)
        print(f"going on behind row {model.t_}")
    start = time.process_time()
    skip = model.t_ if checkpoint.exists() else 0
    for done, (X, y, sex) in enumerate(chunks_of(file, skip=skip), start=1):
        model.partial_fit(X, y, [False, True], sensitive_features=sex, sensitive_groups=GROUPS)
        np.savez(checkpoint, **model.get_state())
        low, high = model.running_parity_interval()
        print(
            f"{model.t_:>9} rows  accuracy {model.running_accuracy_:.3f}  "
            f"difference {model.running_parity_:.3f} [{low:.3f}, {high:.3f}]"
        )
        if max_chunks is not None and done >= max_chunks:
            break
    seconds = time.process_time() - start
    size = sum(array.nbytes for array in model.get_state().values())
    print(f"{seconds:.1f} s of processor time; the state has {size / 1e3:.0f} kB")
    return model


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--file", type=Path, default=Path("applications.parquet"))
    parser.add_argument("--rows", type=int, default=200_000, help="if the file is to be written")
    parser.add_argument("--checkpoint", type=Path, help="default: beside the file")
    parser.add_argument("--max-chunks", type=int, help="stop early")
    options = parser.parse_args(arguments)
    if not options.file.exists():
        write_applications(options.file, options.rows)
    checkpoint = options.checkpoint or options.file.with_suffix(".npz")
    return learn(options.file, checkpoint, max_chunks=options.max_chunks)


if __name__ == "__main__":
    main()
