"""A simulator of data held by several clients, with a disparity that is known exactly.

The law of (group, label, client) is a small table from which rows are drawn, so that every
information quantity of the population can be computed from the table itself.
"""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_random_state

from fairgroup.datasets._base import check_option

__all__ = ["make_client_disparity"]

Array = NDArray[np.float64]
_KINDS = ("unique", "redundant", "masked", "mixed")


def make_client_disparity(
    n_samples: int = 5000,
    *,
    kind: str = "mixed",
    n_clients: int = 4,
    strength: float = 0.6,
    n_features: int = 4,
    signal: float = 2.0,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Simulate clients whose labels depend on the group, on the client, or on both against each
    other.

    The group is a fair coin, "a" or "b", coded g = -1 and +1. With c the position of the client,
    evenly spaced from -1 to 1, and d = +1 or -1 in turn over the clients,

    * "unique": groups are spread evenly and the positive rate is (1 + strength g) / 2 everywhere.
      A pooled audit and an audit of each client see the same disparity.
    * "redundant": group b is more frequent at later clients, and the positive rate depends on the
      client only, (1 + strength c) / 2. Each client is fair, the whole is not.
    * "masked": groups are spread evenly and the positive rate is (1 + strength g d) / 2. Clients
      favour different groups, and the whole looks fair (with an even number of clients).
    * "mixed": the positive rate is the average of the three, groups are spread as in "redundant".

    Parameters
    ----------
    n_samples : int, default=5000
        Number of rows.
    kind : {"unique", "redundant", "masked", "mixed"}, default="mixed"
        Where the disparity comes from.
    n_clients : int, default=4
        Number of clients, at least 2, equally large.
    strength : float, default=0.6
        How far rates are apart, 0 to 1.
    n_features : int, default=4
        Number of normal features. The first two have the means ``signal * label`` and
        ``g / 2``, the rest is noise.
    signal : float, default=2.0
        How well the first feature tells the labels apart, in standard deviations.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `data` (features), `target` (0 or 1), `sensitive_features` (DataFrame with the column
        ``group``), `clients` (Series), `law` (probabilities of group, label and client, shape
        (2, 2, n_clients), for ``DisparityDecomposition.fit_counts`` or ``pid_broja``),
        `feature_names`, `DESCR`.

    Raises
    ------
    ValueError
        When a parameter is out of range.

    Examples
    --------
    >>> from fairgroup.datasets import make_client_disparity
    >>> from fairgroup.information import pid_broja
    >>> law = make_client_disparity(kind="redundant").law
    >>> result = pid_broja(law)
    >>> bool(result.redundant > 0.01), bool(result.unique1 + result.synergy < 1e-12)
    (True, True)
    """
    check_option("kind", kind, _KINDS)
    for name, value, least in (
        ("n_samples", n_samples, 1),
        ("n_clients", n_clients, 2),
        ("n_features", n_features, 2),
    ):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}; found {value!r}.")
    if not isinstance(strength, Real) or not 0 <= float(strength) <= 1:
        raise ValueError(f"strength must be in [0, 1]; found {strength!r}.")
    law = _law(kind, int(n_clients), float(strength))
    rng = check_random_state(random_state)
    cells = rng.choice(law.size, size=n_samples, p=law.ravel())
    group, label, client = np.unravel_index(cells, law.shape)
    features = rng.standard_normal((n_samples, n_features))
    features[:, 0] += signal * label
    features[:, 1] += group - 0.5
    names = [f"x{j + 1}" for j in range(n_features)]
    return Bunch(
        data=pd.DataFrame(features, columns=names),
        target=pd.Series(label.astype("int64"), name="label"),
        sensitive_features=pd.DataFrame({"group": pd.Categorical(np.array(["a", "b"])[group])}),
        clients=pd.Series(pd.Categorical([f"client {i + 1:02d}" for i in client]), name="client"),
        law=law,
        feature_names=names,
        DESCR="Simulated: see make_client_disparity.",
    )


def _law(kind: str, n_clients: int, strength: float) -> Array:
    """Probabilities (group, label, client)."""
    group = np.array([[-1.0], [1.0]])
    place = np.linspace(-1, 1, n_clients)
    turn = np.where(np.arange(n_clients) % 2 == 0, 1.0, -1.0)
    tilt = {"unique": group + 0 * place, "redundant": 0 * group + place, "masked": group * turn}
    tilt["mixed"] = (tilt["unique"] + tilt["redundant"] + tilt["masked"]) / 3
    uneven = kind in ("redundant", "mixed")
    spread = (1 + (strength * group * place if uneven else 0 * group * place)) / (2 * n_clients)
    positive = (1 + strength * tilt[kind]) / 2
    return np.stack([spread * (1 - positive), spread * positive], axis=1)


def client_split(
    kind: str,
    group: NDArray[np.int64],
    label: NDArray[np.int64],
    *,
    n_clients: int,
    random_state: int | RandomState | None = None,
    share: float = 0.2,
    order: float = 0.9,
) -> NDArray[np.int64]:
    """Deal the rows of real data to clients in ways that make one kind of disparity.

    The splits of Hamman and Dutta (ICLR 2024) and their code: the rows are put into an order that
    is cut into equal parts.

    Parameters
    ----------
    kind : {"iid", "sensitive", "synergy"}
        "iid": at random. "sensitive": in the first half of the order `share` of the rows are of
        group 0. "synergy": rows whose label agrees with their group come first, then
        ``2 (1 - order)`` times as many random swaps as there are rows.
    group, label : ndarray of shape (n_samples,)
        0 or 1.
    n_clients : int
        Number of parts.
    random_state : int, RandomState or None, default=None
        Seed.
    share : float, default=0.2
        See "sensitive".
    order : float, default=0.9
        See "synergy"; 1 is no swap at all.

    Returns
    -------
    clients : ndarray of shape (n_samples,)
        0 to n_clients - 1.
    """
    check_option("kind", kind, ("iid", "sensitive", "synergy"))
    rng = check_random_state(random_state)
    n_samples = len(group)
    rows = rng.permutation(n_samples)
    if kind == "sensitive":
        half = n_samples // 2
        zeros, ones = rows[group[rows] == 0], rows[group[rows] == 1]
        first = round(share * half)
        start = np.r_[zeros[:first], ones[: half - first]]
        rows = np.r_[rng.permutation(start), rng.permutation(np.setdiff1d(rows, start))]
    elif kind == "synergy":
        # (group, label): (1, 1), (0, 0), (1, 0), (0, 1)
        rank = np.where(group == label, 1 - group, 3 - group)
        rows = rows[np.argsort(rank[rows], kind="stable")]
        swaps = rng.randint(n_samples, size=(round(n_samples * 2 * (1 - order)), 2))
        for a, b in swaps:
            rows[a], rows[b] = rows[b], rows[a]
    clients = np.empty(n_samples, dtype=np.int64)
    clients[rows] = np.arange(n_samples) * n_clients // n_samples
    return clients
