"""Distance covariances: value and exact gradient beside dcor's and hyppo's values, in one run.

    python benchmarks/bench_dependence.py [--quick] [--device cuda]

Every measurement runs in a process of its own, so that its peak of memory is its own; seconds are
processor seconds of one thread, after a call that compiles. dcor and hyppo compute no gradients.
Where n x n matrices do not fit, their time is extrapolated with n^2 from the largest size that
was run, and the column says so. ``--device cuda`` measures the torch paths on a CUDA device
(wall-clock seconds after synchronisation) instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _results import write_results

# One thread; and freed arrays go back at once, so that the resident memory is what is in use.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ALONE = {**dict.fromkeys(THREADS, "1"), "MALLOC_MMAP_THRESHOLD_": "65536"}
NAIVE_LIMIT = 10_000  # above, dcor's and hyppo's matrices of all pairs take more than 10 GB


def people(n):
    """Ten regions and two sexes, 20 cells; predictions that depend on both a little."""
    rng = np.random.default_rng(0)
    region, sex = rng.integers(0, 10, n), rng.integers(0, 2, n)
    y = rng.gamma(2, 0.08, n) * (1 + 0.1 * (region == 3) * sex)
    return region, sex, y


def encoded(n):
    """The 11 columns that the motor study uses: one-hot region and sex."""
    region, sex, y = people(n)
    return np.column_stack([np.eye(10)[region], sex]).astype(float), y


def line(n):
    """A continuous attribute."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=n)
    return z, 0.3 * z + rng.normal(size=n)


def ours_cells(n, kind="ccdcov"):
    from fairgroup.dependence._attributes import Attributes
    from fairgroup.dependence._choose import make_kernel

    matrix, y = encoded(n)
    blocks = [slice(0, 10), slice(10, 11)]
    attributes = Attributes.from_matrix(matrix, blocks, ["region", "sex"])
    return lambda: make_kernel(attributes, kind=kind).value_and_grad(y)[0]


def ours_jdcov(n):
    return ours_cells(n, "jdcov")


def ours_from_frame(n):
    from fairgroup.dependence import concatenated_distance_covariance

    region, sex, y = people(n)
    frame = pd.DataFrame({"region": np.array(list("LMNOPQRSTU"))[region], "sex": sex})
    return lambda: concatenated_distance_covariance(y, frame, return_grad=True)[0]


def ours_line(n):
    from fairgroup.dependence._attributes import Attributes
    from fairgroup.dependence._choose import make_kernel

    z, y = line(n)
    attributes = Attributes.from_matrix(z[:, None], [slice(0, 1)], ["z"])
    return lambda: make_kernel(attributes).value_and_grad(y)[0]


def ours_tiles(n):
    from fairgroup.dependence._attributes import Attributes
    from fairgroup.dependence._choose import make_kernel

    rng = np.random.default_rng(2)
    matrix, y = rng.normal(size=(n, 3)), rng.normal(size=n)
    blocks = [slice(k, k + 1) for k in range(3)]
    attributes = Attributes.from_matrix(matrix, blocks, ["a", "b", "c"])
    return lambda: make_kernel(attributes, method="tiles").value_and_grad(y)[0]


def dcor_naive(n):
    import dcor

    matrix, y = encoded(n)
    return lambda: dcor.u_distance_covariance_sqr(y, matrix)


def hyppo_naive(n):
    from hyppo.independence import Dcorr

    matrix, y = encoded(n)
    return lambda: Dcorr().statistic(y[:, None], matrix)


def dcor_line(n, method):
    import dcor

    z, y = line(n)
    return lambda: dcor.u_distance_covariance_sqr(y, z, method=method)


def dcor_mergesort(n):
    return dcor_line(n, "mergesort")


def dcor_avl(n):
    return dcor_line(n, "avl")


def dcor_tiles(n):
    import dcor

    rng = np.random.default_rng(2)
    matrix, y = rng.normal(size=(n, 3)), rng.normal(size=n)
    return lambda: dcor.u_distance_covariance_sqr(y, matrix)


CASES = {
    f.__name__: f
    for f in (
        ours_cells,
        ours_jdcov,
        ours_from_frame,
        ours_line,
        ours_tiles,
        dcor_naive,
        hyppo_naive,
        dcor_mergesort,
        dcor_avl,
        dcor_tiles,
    )
}


def resident_mb(field):
    """Resident memory of this process now ("VmRSS") or at its peak ("VmHWM"), on Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def forget_peak():
    """Let the kernel count the peak anew from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def run_case(name, n):
    """Print the shortest processor seconds, the extra peak of memory and the value, as JSON."""
    CASES[name](max(200, n // 1000))()  # compiles and imports
    call = CASES[name](n)
    forget_peak()
    before, times = resident_mb("VmRSS"), []
    while not times or (sum(times) < 1.0 and len(times) < 7):
        start = time.process_time()
        value = call()
        times.append(time.process_time() - start)
    print(json.dumps([min(times), resident_mb("VmHWM") - before, float(value)]))


def measure(name, n):
    """Run a case in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--case", name, str(n)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **ALONE},
    )
    seconds, memory, value = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": seconds, "extra MB": memory, "value": value}


class Naive:
    """A quadratic peer: measured up to a size, extrapolated above."""

    def __init__(self, name, limit):
        self.name, self.limit, self.last = name, limit, None

    def __call__(self, n):
        """Seconds and memory for n rows, and how they were found."""
        if n <= self.limit:
            self.last = n, measure(self.name, n)
            return {**self.last[1], "how": "measured"}
        size, at = self.last
        return {
            "seconds": at["seconds"] * (n / size) ** 2,
            "how": f"extrapolated with n^2 from n = {size}",
        }


def compare(sizes, ours, peers, what):
    rows = []
    for n in sizes:
        mine = measure(ours, n)
        rows.append({"what": what, "n": n, "who": "fairgroup, value and gradient", **mine})
        for label, peer in peers.items():
            theirs = peer(n)
            agrees = "value" in theirs and label.startswith("dcor")
            if agrees and not np.isclose(theirs["value"], mine["value"], rtol=1e-6, atol=1e-12):
                raise RuntimeError(f"{label} says {theirs['value']}, we say {mine['value']}")
            theirs.pop("value", None)
            ratio = theirs["seconds"] / mine["seconds"]
            rows.append({"what": what, "n": n, "who": f"{label}, value", **theirs, "ratio": ratio})
    return rows


def batches():
    """Microseconds of a fresh batch: attributes of other rows, table of cells, value, gradient."""
    from fairgroup.dependence._attributes import Attributes
    from fairgroup.dependence._choose import make_kernel

    matrix, y = encoded(100_000)
    attributes = Attributes.from_matrix(matrix, [slice(0, 10), slice(10, 11)], ["region", "sex"])
    rng, rows = np.random.default_rng(3), []
    for size in (128, 512, 4096):
        chosen = [rng.choice(100_000, size, replace=False) for _ in range(300)]
        make_kernel(attributes.take(chosen[0])).value_and_grad(y[chosen[0]])
        start = time.process_time()
        for batch in chosen:
            make_kernel(attributes.take(batch)).value_and_grad(y[batch])
        seconds = (time.process_time() - start) / len(chosen)
        rows.append(
            {"what": "fresh batch, 20 cells", "n": size, "who": "fairgroup, value and gradient",
             "seconds": seconds}
        )  # fmt: skip
    return rows


def on_device(device, sizes):
    """Seconds of the torch paths on a device."""
    import torch

    from fairgroup.dependence._attributes import Attributes
    from fairgroup.dependence._choose import make_kernel

    rows = []
    for n in sizes:
        matrix, y = encoded(n)
        blocks = [slice(0, 10), slice(10, 11)]
        cells = Attributes.from_matrix(matrix, blocks, ["region", "sex"])
        points = Attributes.from_matrix(
            np.random.default_rng(2).normal(size=(n, 11)), [slice(0, 11)], ["a"]
        )
        tensor = torch.as_tensor(y, device=device)
        for what, kernel in (
            ("20 cells", make_kernel(cells, method="cells")),
            ("11 continuous columns", make_kernel(points, method="tiles")),
        ):
            kernel.value_and_grad(tensor)
            torch.cuda.synchronize()
            start = time.perf_counter()
            kernel.value_and_grad(tensor)
            torch.cuda.synchronize()
            rows.append({"what": what, "n": n, "seconds": time.perf_counter() - start})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only up to 10,000 rows")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--case", nargs=2, metavar=("NAME", "N"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        run_case(arguments.case[0], int(arguments.case[1]))
        return
    sizes = [1_000, 10_000] if arguments.quick else [1_000, 10_000, 100_000, 1_000_000]
    if arguments.device == "cuda":
        rows = on_device("cuda", sizes[1:])
        write_results("dependence_cuda", rows, title="Distance covariances on a GPU",
                      libraries=("torch",))  # fmt: skip
        return
    rows = compare(
        sizes,
        "ours_cells",
        {
            "dcor naive": Naive("dcor_naive", NAIVE_LIMIT),
            "hyppo Dcorr": Naive("hyppo_naive", NAIVE_LIMIT),
        },
        "CCdCov, 20 cells",
    )
    for n in sizes:
        rows.append(
            {"what": "CCdCov from a frame of text, encoding included", "n": n,
             "who": "fairgroup, value and gradient", **measure("ours_from_frame", n)}
        )  # fmt: skip
        rows.append(
            {"what": "JdCov, 20 cells", "n": n, "who": "fairgroup, value and gradient",
             **measure("ours_jdcov", n)}
        )  # fmt: skip
    rows += compare(
        sizes,
        "ours_line",
        {
            "dcor mergesort": lambda n: measure("dcor_mergesort", n),
            "dcor avl": lambda n: measure("dcor_avl", n),
        },
        "one continuous attribute",
    )
    rows += compare(
        [n for n in sizes if n <= 100_000],
        "ours_tiles",
        {"dcor naive": Naive("dcor_tiles", NAIVE_LIMIT)},
        "three continuous attributes",
    )
    rows += batches()
    write_results(
        "dependence_speed",
        rows,
        title="Distance covariances: speed and memory",
        notes="Processor seconds of one thread; ours include the exact gradient, the peers' do "
        "not. extra MB: peak of resident memory beyond what stood before the call. ratio: their "
        "seconds over ours.",
        libraries=("dcor", "hyppo"),
    )


if __name__ == "__main__":
    main()
