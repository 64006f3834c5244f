from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest
from sklearn.base import clone

from fairgroup.datasets import make_client_disparity
from fairgroup.exceptions import FairgroupWarning, FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.information import (
    DisparityDecomposition,
    conditional_mutual_information,
    contingency_table,
    mutual_information,
    pid_broja,
)
from fairgroup.information._federated import privacy_noise
from fairgroup.information._intervals import test_of_no_disparity as g_tests

TABLE = np.array([[[40, 20, 5], [10, 30, 9]], [[15, 25, 8], [35, 25, 30]]])
TERMS = ("unique_", "redundant_", "masked_", "global_disparity_", "local_disparity_")


def terms(audit):
    return np.array([getattr(audit, name) for name in TERMS])


def rows(table=TABLE):
    """Rows of a table: predictions, groups, clients."""
    cells = [cell for cell, count in np.ndenumerate(table) for _ in range(int(count))]
    z, y, s = np.array(cells).T
    return y, np.array(["f", "m", "x"])[z], np.array(["north", "south", "west"])[s]


def test_terms_are_those_of_the_table():
    y, z, s = rows()
    audit = DisparityDecomposition().fit(y, sensitive_features=z, clients=s)
    r = pid_broja(TABLE)
    assert_allclose(
        terms(audit), [r.unique1, r.redundant, r.synergy, r.mi1, r.mi_joint - r.mi2], atol=1e-15
    )
    assert_array_equal(audit.counts_, TABLE)
    assert audit.z_labels_ == ("f", "m")
    assert audit.client_labels_ == ("north", "south", "west")
    assert audit.solver_ == "closed_form"
    assert audit.duality_gap_ == 0
    assert_allclose(audit.unique_client_, r.unique2, atol=1e-15)


def test_clients_add_up_to_the_local_disparity():
    audit = DisparityDecomposition().fit_counts(TABLE)
    assert_allclose(
        audit.client_weight_ @ audit.client_disparity_, audit.local_disparity_, atol=1e-14
    )
    assert_allclose(
        audit.client_disparity_, [mutual_information(TABLE[:, :, s]) for s in range(3)], atol=1e-14
    )
    frame = audit.to_frame()
    assert_allclose(frame["contribution"].sum(), audit.local_disparity_, atol=1e-14)
    rates = TABLE[:, 1] / TABLE.sum(1)
    assert_allclose(audit.client_statistical_parity_, abs(rates[0] - rates[1]))
    pooled = TABLE.sum(2)
    assert_allclose(audit.statistical_parity_, abs(np.diff(pooled[:, 1] / pooled.sum(1)))[0])


def test_parity_split_for_two_groups():
    audit = DisparityDecomposition().fit_counts(TABLE)
    law = TABLE / TABLE.sum((1, 2), keepdims=True)
    variation = [0.5 * abs(x[0] - x[1]).sum() for x in (law.sum(2), law.sum(1), law)]
    prediction, client, pair = variation
    expected = [
        max(prediction - client, 0),
        min(prediction, client),
        pair - max(prediction, client),
        prediction,
        pair - client if prediction >= client else pair - max(prediction, client),
    ]
    assert_allclose(audit.parity_.to_numpy(), [expected, expected], atol=1e-14)
    assert_allclose(audit.parity_["global"], audit.statistical_parity_)


def test_limits_of_the_parity_split():
    even = DisparityDecomposition().fit_counts(make_client_disparity(kind="unique").law)
    assert_allclose(even.parity_[["redundant", "masked"]], 0, atol=1e-12)
    chain = DisparityDecomposition().fit_counts(make_client_disparity(kind="redundant").law)
    assert_allclose(chain.parity_["unique"], 0, atol=1e-12)
    hidden = DisparityDecomposition().fit_counts(make_client_disparity(kind="masked").law)
    assert_allclose(hidden.parity_[["unique", "redundant", "global"]], 0, atol=1e-12)
    assert (hidden.parity_["masked"] > 0.3).all()


@pytest.mark.parametrize("kind", ["unique", "redundant", "masked"])
def test_simulated_clients_have_the_disparity_of_their_name(kind):
    bunch = make_client_disparity(200_000, kind=kind, random_state=0)
    audit = DisparityDecomposition().fit(
        bunch.target, sensitive_features=bunch.sensitive_features, clients=bunch.clients
    )
    exact = DisparityDecomposition().fit_counts(bunch.law)
    assert_allclose(terms(audit), terms(exact), atol=4e-3)
    parts = {name: getattr(exact, f"{name}_") for name in ("unique", "redundant", "masked")}
    assert parts.pop(kind) > 0.02
    assert max(parts.values()) < 1e-12


@pytest.mark.parametrize("library", ["numpy", "pandas", "polars", "list"])
def test_inputs_of_all_kinds(library):
    y, z, s = rows()
    expected = terms(DisparityDecomposition().fit(y, sensitive_features=z, clients=s))
    make = {"numpy": np.asarray, "pandas": pd.Series, "polars": pl.Series, "list": list}[library]
    if library == "polars":
        given = [pl.Series(name, list(v)) for name, v in (("y", y), ("z", z), ("s", s))]
    else:
        given = [make(v) for v in (y, z, s)]
    audit = DisparityDecomposition().fit(given[0], sensitive_features=given[1], clients=given[2])
    assert_allclose(terms(audit), expected, atol=1e-15)


def test_intersections_are_named():
    y, z, s = rows()
    people = pd.DataFrame({"sex": z, "old": np.arange(len(z)) % 2 == 0})
    audit = DisparityDecomposition().fit(y, sensitive_features=people, clients=s)
    assert audit.z_labels_[0] == "sex=f, old=False"
    assert len(audit.z_labels_) == 4
    assert audit.solver_ == "ipm"
    assert 0 < audit.duality_gap_ <= 1e-9


def test_another_second_source():
    y, z, s = rows()
    one = DisparityDecomposition().fit(y, sensitive_features=z, given=s)
    assert_allclose(
        terms(one), terms(DisparityDecomposition().fit(y, sensitive_features=z, clients=s))
    )
    label = np.roll(y, 3)
    parity_and_odds = DisparityDecomposition().fit(y, sensitive_features=z, given=label)
    table, _ = contingency_table(z, y, label)
    assert_allclose(
        parity_and_odds.local_disparity_, conditional_mutual_information(table), atol=1e-14
    )
    with pytest.raises(ValueError, match="two names"):
        DisparityDecomposition().fit(y, sensitive_features=z, clients=s, given=s)


def test_counts_add_up_over_batches_merges_and_aggregates():
    y, z, s = rows()
    order = np.random.default_rng(0).permutation(len(y))
    y, z, s = y[order], z[order], s[order]
    pooled = DisparityDecomposition().fit(y, sensitive_features=z, clients=s)
    stream = DisparityDecomposition()
    parts = []
    for part in np.array_split(np.arange(len(y)), 7):
        stream.partial_fit(y[part], sensitive_features=z[part], clients=s[part])
        parts.append(
            DisparityDecomposition().fit(y[part], sensitive_features=z[part], clients=s[part])
        )
    merged = parts[0]
    for other in parts[1:]:
        merged.merge(other)
    for found in (stream, merged):
        assert_array_equal(found.counts_, pooled.counts_)
        assert_allclose(terms(found), terms(pooled), atol=1e-15)
    sums = sum(TABLE[:, :, i].sum() * mutual_information(TABLE[:, :, i]) for i in range(3))
    secret = DisparityDecomposition.from_aggregates(TABLE.sum(2), TABLE.sum(1), sums)
    assert_allclose(terms(secret), terms(pooled), atol=1e-14)
    assert secret.counts_ is None
    half = DisparityDecomposition.from_aggregates(TABLE.sum(2), TABLE.sum(1))
    assert_allclose(terms(half)[[0, 1, 3]], terms(pooled)[[0, 1, 3]], atol=1e-14)
    assert np.isnan(half.masked_)
    with pytest.raises(ValueError, match="same rows"):
        DisparityDecomposition.from_aggregates(TABLE.sum(2), 2 * TABLE.sum(1))
    with pytest.raises(ValueError, match="merge"):
        secret.merge(pooled)


@pytest.mark.filterwarnings("ignore::fairgroup.exceptions.FairnessWarning")
def test_new_levels_in_later_batches_and_refit_forgets():
    y, z, s = rows()
    audit = DisparityDecomposition()
    audit.partial_fit(y[s == "south"], sensitive_features=z[s == "south"], clients=s[s == "south"])
    audit.partial_fit(y[s != "south"], sensitive_features=z[s != "south"], clients=s[s != "south"])
    assert audit.client_labels_ == ("north", "south", "west")
    assert_array_equal(audit.counts_, TABLE)
    audit.fit(y, sensitive_features=z, clients=s)
    assert audit.n_samples_ == TABLE.sum()


def test_weights_are_repeated_rows():
    y, z, s = rows()
    weight = np.random.default_rng(1).integers(1, 4, len(y))
    weighted = DisparityDecomposition().fit(
        y, sensitive_features=z, clients=s, sample_weight=weight
    )
    again = np.repeat(np.arange(len(y)), weight)
    repeated = DisparityDecomposition().fit(
        y[again], sensitive_features=z[again], clients=s[again]
    )
    assert_allclose(terms(weighted), terms(repeated), atol=1e-14)
    fractions = DisparityDecomposition(n_bootstrap=10)
    with pytest.raises(ValueError, match="whole counts"):
        fractions.fit(y, sensitive_features=z, clients=s, sample_weight=weight / 7)


@pytest.mark.filterwarnings("ignore::fairgroup.exceptions.FairgroupWarning")
def test_jackknife_is_the_deletion_of_every_row(information_reference):
    table = np.array([[[6, 4], [3, 5]], [[2, 7], [8, 5]]])
    audit = DisparityDecomposition(ci_method="jackknife", bias_correction="jackknife").fit_counts(
        table
    )

    def statistic(name):
        return lambda t: getattr(pid_broja(t), name)

    for name, field in (
        ("unique", "unique1"),
        ("redundant", "redundant"),
        ("masked", "synergy"),
        ("global", "mi1"),
    ):
        bias, error = information_reference.jackknife(table, statistic(field))
        assert_allclose(audit.bias_[name], bias, atol=1e-10)
        assert_allclose(audit.standard_errors_[name], error, atol=1e-10)


def test_miller_madow():
    table = np.array([[[90, 40], [30, 50]], [[20, 30], [80, 90]]])
    plain = DisparityDecomposition().fit_counts(table)
    corrected = DisparityDecomposition(bias_correction="miller-madow").fit_counts(table)
    n = table.sum() * np.log(2)
    assert_allclose(plain.global_disparity_ - corrected.global_disparity_, 1 / (2 * n))
    assert_allclose(plain.local_disparity_ - corrected.local_disparity_, 2 / (2 * n))
    assert_allclose(corrected.unique_ + corrected.masked_, corrected.local_disparity_)


def test_bootstrap_is_reproducible_and_covers_the_estimate():
    table = TABLE * 20
    runs = [
        DisparityDecomposition(n_bootstrap=300, random_state=3).fit_counts(table) for _ in range(2)
    ]
    assert runs[0].confidence_intervals_ == runs[1].confidence_intervals_
    other = DisparityDecomposition(n_bootstrap=300, random_state=4).fit_counts(table)
    assert other.confidence_intervals_ != runs[0].confidence_intervals_
    summary = runs[0].summary()
    assert (summary["lower"] <= summary["estimate"] + 1e-3).all()
    assert (summary["estimate"] <= summary["upper"] + 1e-3).all()
    assert runs[0].client_intervals_.shape == (3, 2)
    inner = DisparityDecomposition(
        n_bootstrap=300, confidence_level=0.5, random_state=3
    ).fit_counts(table)
    outer, narrow = runs[0].confidence_intervals_["global"], inner.confidence_intervals_["global"]
    assert outer[0] < narrow[0] < narrow[1] < outer[1]


@pytest.mark.parametrize("method", ["shifted", "hybrid", "percentile", "basic"])
def test_interval_methods(method):
    table = TABLE * 20
    audit = DisparityDecomposition(
        n_bootstrap=200, ci_method=method, stratify_clients=True, random_state=0
    )
    low, high = audit.fit_counts(table).confidence_intervals_["redundant"]
    assert 0 <= low < high


@pytest.mark.slow
@pytest.mark.parametrize("method", ["shifted", "hybrid"])
def test_intervals_cover(method):
    """Nominal 95 %: at least 90 % on a 2 x 10 x 5 population with 5,000 rows."""
    rng = np.random.default_rng(5)
    spread = rng.dirichlet(np.full(5, 4.0), 2)
    decide = rng.dirichlet(np.full(10, 6.0), (2, 5))
    law = (spread[:, :, None] * decide).transpose(0, 2, 1) / 2
    truth = terms(DisparityDecomposition().fit_counts(law))
    inside = np.zeros(5)
    n_runs = 150
    for _ in range(n_runs):
        table = rng.multinomial(5000, law.ravel()).reshape(law.shape)
        audit = DisparityDecomposition(n_bootstrap=300, ci_method=method, random_state=rng)
        audit.fit_counts(table)
        bounds = [
            audit.confidence_intervals_[n]
            for n in ("unique", "redundant", "masked", "global", "local")
        ]
        inside += [low <= value <= high for (low, high), value in zip(bounds, truth, strict=True)]
    # Two standard errors of a share of 0.90 in 150 runs are 0.05.
    assert (inside / n_runs >= 0.85).all(), inside / n_runs
    assert inside.mean() / n_runs >= 0.90


@pytest.mark.slow
def test_g_tests_are_uniform_when_all_is_fair():
    rng = np.random.default_rng(6)
    law = np.einsum("z,y,s->zys", [0.4, 0.6], [0.3, 0.7], [0.2, 0.3, 0.5])
    draws = [
        g_tests(rng.multinomial(5000, law.ravel()).reshape(law.shape).astype(float))
        for _ in range(500)
    ]
    for p_values in np.array(draws).T:
        assert kstest(p_values, "uniform").pvalue > 1e-3


def test_p_values_tell_a_disparity():
    audit = DisparityDecomposition().fit_counts(TABLE)
    assert audit.p_value_global_ < 1e-3
    assert audit.p_value_local_ < 1e-3


def scores(n=4000):
    rng = np.random.default_rng(2)
    z, s = rng.integers(0, 2, n), rng.integers(0, 3, n)
    return rng.normal(0.5 * z + 0.2 * s), z, s


def test_scores_need_a_choice():
    score, z, s = scores()
    with pytest.raises(ValueError, match="threshold"):
        DisparityDecomposition().fit(score, sensitive_features=z, clients=s)


def test_threshold_is_the_decision():
    score, z, s = scores()
    audit = DisparityDecomposition(threshold=0.3).fit(score, sensitive_features=z, clients=s)
    plain = DisparityDecomposition().fit(score >= 0.3, sensitive_features=z, clients=s)
    assert_allclose(terms(audit), terms(plain), atol=1e-15)
    assert audit.y_labels_ == ("< 0.3", ">= 0.3")


@pytest.mark.parametrize("bins", [5, "auto"])
def test_bins_are_equally_full_and_kept_for_later_batches(bins):
    score, z, s = scores()
    audit = DisparityDecomposition(score_bins=bins).fit(score, sensitive_features=z, clients=s)
    filled = audit.counts_.sum((0, 2))
    assert len(filled) == (5 if bins == 5 else 8)
    assert_allclose(filled, filled.mean(), atol=2)
    labels = audit.y_labels_
    audit.partial_fit(score + 1, sensitive_features=z, clients=s)
    assert audit.y_labels_ == labels
    assert audit.n_samples_ == 2 * len(score)


def test_binning_loses_information_and_isotonic_is_the_concave_curve():
    score, z, s = scores()
    values = [
        DisparityDecomposition(score_bins=bins)
        .fit(score, sensitive_features=z, clients=s)
        .global_disparity_
        for bins in (2, 4, 8, 16)
    ]
    assert (np.diff(values) > 0).all()
    isotonic = DisparityDecomposition(score_bins="isotonic").fit(
        score, sensitive_features=z, clients=s
    )
    rates = isotonic.counts_.sum(2)[1] / isotonic.counts_.sum((0, 2))
    assert (np.diff(rates) > 0).all()
    assert isotonic.global_disparity_ > values[1]
    with pytest.raises(ValueError, match="exactly two groups"):
        DisparityDecomposition(score_bins="isotonic").fit(score, sensitive_features=s, clients=z)


@pytest.mark.parametrize(
    ("y", "z", "s", "what"),
    [
        ([0, 1, 1, 0], ["f"] * 4, [0, 0, 1, 1], "group"),
        ([1, 1, 1, 1], list("fmfm"), [0, 0, 1, 1], "level of prediction"),
        ([0, 1, 1, 0], list("fmfm"), [1, 1, 1, 1], "client"),
    ],
)
def test_trivial_tables_say_so(y, z, s, what):
    with pytest.warns(FairnessWarning, match=f"only one {what}"):
        audit = DisparityDecomposition().fit(y, sensitive_features=z, clients=s)
    if what == "client":
        assert audit.unique_ == audit.global_disparity_ == audit.local_disparity_
    else:
        assert_allclose(terms(audit), 0)


def test_without_clients_all_is_unique():
    y, z, _ = rows()
    with pytest.warns(FairnessWarning, match="one client"):
        audit = DisparityDecomposition().fit(y, sensitive_features=z)
    assert audit.unique_ == audit.global_disparity_ > 0


def test_small_samples_are_pointed_out():
    with pytest.warns(FairgroupWarning, match="cover less often"):
        DisparityDecomposition(n_bootstrap=20, random_state=0).fit_counts(TABLE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [1, 0]}, "rows"),
        ({"s": [1, 0]}, "rows"),
        ({"s": [None, *"abcdefg"]}, "missing"),
        ({"z": [None, *"fmfmfmf"]}, "missing"),
        ({"w": [-1.0] * 8}, "not negative"),
    ],
)
def test_bad_rows(change, message):
    given = {
        "y": [0, 1] * 4,
        "z": list("fmfmfmmf"),
        "s": [0, 0, 0, 0, 1, 1, 1, 1],
        "w": None,
    } | change
    with pytest.raises(ValueError, match=message):
        DisparityDecomposition().fit(
            given["y"], sensitive_features=given["z"], clients=given["s"], sample_weight=given["w"]
        )


def test_bad_tables_and_labels():
    with pytest.raises(ValueError, match="axes"):
        DisparityDecomposition().fit_counts([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="labels name"):
        DisparityDecomposition().fit_counts(TABLE, labels=(["a"], [0, 1], [0, 1, 2]))
    with pytest.raises(ValueError, match="at most two groups"):
        DisparityDecomposition(solver="closed_form").fit_counts(np.ones((3, 2, 2)))


def test_encoder_is_used():
    y, z, s = rows()
    z = z.astype(object)
    z[:4] = None
    audit = DisparityDecomposition(encoder=GroupEncoder(missing="group")).fit(
        y, sensitive_features=z, clients=s
    )
    assert "(missing)" in audit.z_labels_
    with pytest.warns(FairnessWarning, match="missing"):
        audit = DisparityDecomposition(encoder=GroupEncoder(missing="ignore")).fit(
            y, sensitive_features=z, clients=s
        )
    assert audit.n_samples_ == len(y) - 4


def test_words_clone_and_pickle():
    audit = DisparityDecomposition(n_bootstrap=100, random_state=0).fit_counts(TABLE * 20)
    text = audit.explain()
    for word in ("Global disparity", "redundant", "masked", "interval", "clients"):
        assert word in text
    assert "nan" not in text
    copy = pickle.loads(pickle.dumps(audit))
    assert_array_equal(copy.summary(), audit.summary())
    assert not hasattr(clone(audit), "counts_")
    assert (
        "Local disparity: not known"
        in DisparityDecomposition.from_aggregates(TABLE.sum(2), TABLE.sum(1)).explain()
    )
    nats = DisparityDecomposition(base="e").fit_counts(TABLE)
    assert_allclose(
        terms(nats), terms(DisparityDecomposition().fit_counts(TABLE)) * np.log(2), atol=1e-14
    )
    assert "nats" in nats.explain()


@pytest.mark.filterwarnings("ignore::fairgroup.exceptions.FairgroupWarning")
def test_intervals_know_of_privacy_noise():
    """With noisy counts only the interval that knows of the noise covers."""
    rng = np.random.default_rng(8)
    law = np.einsum("z,y,s->zys", [0.4, 0.6], [0.3, 0.7], np.full(20, 0.05))
    held = {None: 0, 0.2: 0}
    for _ in range(40):
        table = rng.multinomial(4000, law.ravel()).reshape(law.shape)
        noisy = np.maximum(table + privacy_noise(table.shape, 0.2, rng), 0)
        for epsilon in held:
            audit = DisparityDecomposition(
                n_bootstrap=200, privacy_epsilon=epsilon, random_state=rng
            )
            low, _ = audit.fit_counts(noisy).confidence_intervals_["local"]
            held[epsilon] += low <= 1e-12
    assert held[0.2] >= 34
    assert held[None] <= 10
