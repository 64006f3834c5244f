"""Tables whose decomposition is known, and random ones."""

from __future__ import annotations

import numpy as np
import pytest

# counts [group][prediction][client] -> unique, redundant, masked, unique of the client, global,
# local (bits); three solvers agreed to 1e-12 on these values.
KNOWN = {
    "T1": (
        [[[40, 20], [10, 30]], [[15, 25], [35, 25]]],
        (0.029049405545, 0.0, 0.070182651299, 0.0, 0.029049405545, 0.099232056845),
    ),
    "T2": (
        [[[60, 30, 10], [20, 30, 20]], [[10, 20, 30], [40, 20, 60]]],
        (
            0.001086880197,
            0.046594689137,
            0.080187160003,
            0.040218681332,
            0.047681569334,
            0.081274040200,
        ),
    ),
    "T3": (
        [[[30, 20, 10], [10, 10, 20]], [[12, 18, 25], [20, 15, 10]], [[8, 9, 30], [25, 6, 22]]],
        (0.0, 0.008336226483, 0.077517346912, 0.028899196447, 0.008336226483, 0.077517346912),
    ),
    "T4 with zeros": (
        [[[5, 0, 3], [0, 2, 0]], [[0, 4, 1], [3, 0, 6]]],
        (
            0.080979509680,
            0.064701803078,
            0.698730637078,
            0.000243786072,
            0.145681312758,
            0.779710146758,
        ),
    ),
    "T5 three groups": (
        [[[10, 20], [30, 5], [7, 9]], [[12, 8], [6, 24], [11, 13]], [[21, 3], [4, 16], [17, 2]]],
        (
            0.011160195336,
            0.007641262027,
            0.195934222264,
            0.029518820489,
            0.018801457363,
            0.207094417601,
        ),
    ),
    "Adult labels, groups spread unevenly": (
        [[[4342, 10080], [542, 1227]], [[13534, 9197], [6002, 3916]]],
        (
            0.004956427681,
            0.031732598945,
            0.028509260022,
            0.025740613446,
            0.036689026626,
            0.033465687703,
        ),
    ),
    "Adult labels, synergy": (
        [[[12089, 2334], [290, 1479]], [[3721, 19011], [8321, 1597]]],
        (
            0.000057241199,
            0.036632327766,
            0.239551926983,
            0.067413481125,
            0.036689568966,
            0.239609168182,
        ),
    ),
}


def _canonical():
    def table(m, k, n, cells):
        out = np.zeros((m, k, n))
        for (z, y, s), p in cells.items():
            out[z, y, s] += p
        return out

    bits = (0, 1)
    agree = {(z, s, s): 0.5 * (0.9 if s == z else 0.1) for z in bits for s in bits}
    triples = [(r, u, v) for r in bits for u in bits for v in bits]
    redundancy = 0.5310044064107188
    return {
        "pure uniqueness": (
            table(2, 2, 2, {(z, z, s): 0.25 for z in bits for s in bits}),
            (1, 0, 0, 0),
        ),
        "pure redundancy": (table(2, 2, 2, agree), (0, redundancy, 0, 0)),
        "pure masking": (
            table(2, 2, 2, {(z, z ^ s, s): 0.25 for z in bits for s in bits}),
            (0, 0, 1, 0),
        ),
        "and": (
            table(2, 2, 2, {(y & s, y, s): 0.25 for y in bits for s in bits}),
            (0, 0.311278124459, 0.5, 0),
        ),
        "two-bit copy": (
            table(4, 2, 2, {(2 * y + s, y, s): 0.25 for y in bits for s in bits}),
            (1, 0, 0, 1),
        ),
        "rdn-xor": (
            table(
                4, 4, 4, {(2 * r + (u ^ v), 2 * r + u, 2 * r + v): 1 / 8 for r, u, v in triples}
            ),
            (0, 1, 1, 0),
        ),
    }


CANONICAL = _canonical()


@pytest.fixture
def rng():
    return np.random.default_rng(20240507)


def random_tables(rng, n_tables, m, k, n, *, sparse=False):
    """Probability tables; sparse ones come from 60 rows each."""
    tables = rng.dirichlet(np.full(m * k * n, 0.5 if sparse else 1.0), n_tables)
    if sparse:
        tables = np.stack([rng.multinomial(60, t) for t in tables]) / 60
    return tables.reshape(n_tables, m, k, n)


@pytest.fixture
def information_reference():
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location(
        "information_slow", Path(__file__).parent / "reference.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
