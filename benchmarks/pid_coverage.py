"""How often the intervals of a decomposition hold the true value: simulated coverage of nominal 95
%.

    python benchmarks/pid_coverage.py [--samples 300]
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from _results import write_results

from fairgroup.information import DisparityDecomposition

TERMS = ("unique", "redundant", "masked", "global", "local")
CASES = ((2, 2, 2, 500), (2, 2, 10, 5000), (2, 10, 5, 500), (2, 10, 5, 5000), (2, 10, 5, 50_000))


def population(rng, m, k, n):
    """Clients with different mixes of groups; decisions depend on group and client."""
    spread = rng.dirichlet(np.full(n, 4.0), m)
    decide = rng.dirichlet(np.full(k, 6.0), (m, n))
    return (spread[:, :, None] * decide).transpose(0, 2, 1) / m


def coverage(law, n_rows, n_samples, rng, method):
    truth = DisparityDecomposition().fit_counts(law).summary()["estimate"]
    inside = np.zeros(len(TERMS))
    for _ in range(n_samples):
        table = rng.multinomial(n_rows, law.ravel()).reshape(law.shape)
        audit = DisparityDecomposition(n_bootstrap=400, ci_method=method, random_state=rng)
        found = audit.fit_counts(table).confidence_intervals_
        inside += [found[name][0] <= truth[name] <= found[name][1] for name in TERMS]
    return inside / n_samples


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=300)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # small tables warn, which is the point here
    rows = []
    for m, k, n, n_rows in CASES:
        for method in ("shifted", "hybrid", "percentile", "jackknife"):
            shares = []
            for seed in (11, 12, 13):
                rng = np.random.default_rng(seed)
                law = population(rng, m, k, n)
                shares.append(coverage(law, n_rows, options.samples, rng, method))
            found = np.min(shares, axis=0)
            row = {"table": f"{m} x {k} x {n}", "rows": n_rows, "method": method}
            rows.append(
                row | {name: round(float(v), 3) for name, v in zip(TERMS, found, strict=True)}
            )
            print(rows[-1], flush=True)
    notes = (
        f"Smallest share of three populations, {options.samples} samples of each, 400 bootstrap "
        "draws; "
        "standard error of a "
        f"share of 0.95: {np.sqrt(0.95 * 0.05 / options.samples):.3f}."
    )
    write_results("pid_coverage", rows, title="Coverage of 95 % intervals", notes=notes)


if __name__ == "__main__":
    main()
