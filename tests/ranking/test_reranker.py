"""The re-ranker as an object: names, input, privacy, state, search."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.ranking import AdAuctionSimulator, NoisyCounter, VarianceAwareReranker

ELIGIBLE = {"sex": [[0.5, 0.5], [0.6, 0.4]], "race": [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]}
COMPOSITION = {
    "sex": [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]],
    "race": [[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.3, 0.3, 0.4]],
}


def fitted(policy="pi", **options):
    options = {"batch_size": 10, "coverage_min_impressions": 0, **options}
    return VarianceAwareReranker(policy, **options).fit(eligible=ELIGIBLE, composition=COMPOSITION)


def stream(n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "ad_id": rng.integers(0, 3, n),
        "cluster": rng.integers(0, 3, n),
        "sensitive_features": pd.DataFrame(
            {"sex": rng.integers(0, 2, n), "race": rng.choice(3, n, p=[0.8, 0.15, 0.05])}
        ),
    }


def test_nothing_changes_before_the_first_snapshot():
    reranker = fitted(batch_size=50)
    reranker.partial_fit(
        np.zeros(49, int), sensitive_features={"sex": np.zeros(49, int), "race": np.zeros(49, int)}
    )
    values = np.random.default_rng(0).random((5, 4))
    order = reranker.rerank(values, ad_ids=[0, 1, 2, -7], clusters=[0, 1, 2, 3, 0])
    np.testing.assert_array_equal(order, np.argsort(-values, axis=1, kind="stable"))
    assert (reranker.multiplier_table_ == 1).all()
    assert reranker.privacy_spent_["total"]["epsilon"] == 0
    reranker.partial_fit([0], sensitive_features={"sex": [0], "race": [0]})
    assert (reranker.multiplier_table_[0] != 1).any()
    assert (reranker.multiplier_table_[1] == 1).all()


def test_one_batch_or_many_give_the_same():
    data = stream(400)
    whole = fitted(noise=NoisyCounter(random_state=1)).partial_fit(**data)
    parts = fitted(noise=NoisyCounter(random_state=1))
    for rows in np.array_split(np.arange(400), 17):
        parts.partial_fit(
            data["ad_id"][rows],
            cluster=data["cluster"][rows],
            sensitive_features=data["sensitive_features"].iloc[rows],
        )
    for name, value in whole.get_state().items():
        np.testing.assert_array_equal(value, parts.get_state()[name], err_msg=name)


def test_progressive_predict_looks_before_it_learns():
    data = stream(300)
    reranker, twin = fitted(), fitted()
    seen = reranker.progressive_predict(**data)
    for i in range(300):
        ad, cluster = data["ad_id"][i : i + 1], data["cluster"][i : i + 1]
        assert seen[i] == twin.multipliers(ad, cluster)[0]
        twin.partial_fit(
            ad, cluster=cluster, sensitive_features=data["sensitive_features"].iloc[i : i + 1]
        )
    np.testing.assert_array_equal(reranker.multiplier_table_, twin.multiplier_table_)
    with pytest.raises(TypeError, match="unexpected"):
        reranker.progressive_predict([0], clusters=[0])


@pytest.mark.parametrize("policy", ["pi", "threshold", "q"])
def test_no_path_from_an_individual_to_a_multiplier(policy):
    """Labels permuted within batches leave the released counts, and so every multiplier."""
    rng = np.random.default_rng(4)
    sex, race = rng.integers(0, 2, 100), rng.integers(0, 3, 100)
    mixed, other = (
        np.concatenate([rng.permutation(10) + 10 * b for b in range(10)]) for _ in range(2)
    )
    ads = np.zeros(100, int)
    noise = NoisyCounter(epsilon=0.8, random_state=0)
    first = fitted(policy, noise=noise).partial_fit(
        ads, sensitive_features={"sex": sex, "race": race}
    )
    second = fitted(policy, noise=noise).partial_fit(
        ads, sensitive_features={"sex": sex[mixed], "race": race[other]}
    )
    for a in ("sex", "race"):
        np.testing.assert_array_equal(first.released_counts_[a], second.released_counts_[a])
    assert first.n_snapshots_[0] == 10
    np.testing.assert_array_equal(first.multiplier_table_, second.multiplier_table_)
    with pytest.raises(ValueError, match="do not enter a ranking"):
        first.multipliers([0], [0], sensitive_features={"sex": [0], "race": [0]})


def test_multipliers_are_a_function_of_the_released_counts():
    """Other true counts but, through the noise, equal released ones: equal multipliers."""
    reranker, other = fitted(), fitted()
    reranker.partial_fit(
        np.zeros(10, int), sensitive_features={"sex": [0] * 8 + [1] * 2, "race": [0] * 9 + [1]}
    )
    other.partial_fit(
        np.zeros(10, int),
        posterior={"sex": np.tile([0.8, 0.2], (10, 1)), "race": np.tile([0.9, 0.1, 0.0], (10, 1))},
    )
    np.testing.assert_allclose(reranker.multiplier_table_, other.multiplier_table_, rtol=1e-12)


def test_sign_policy_needs_the_flag_and_the_individual():
    with pytest.raises(ValueError, match="allow_individual_attributes=True"):
        fitted("sign")
    audit = fitted("sign", allow_individual_attributes=True)
    audit.partial_fit(
        np.zeros(10, int), sensitive_features={"sex": [0] * 9 + [1], "race": [0] * 10}
    )
    own = {"sex": [0, 1, 1], "race": [0, 0, 1]}
    np.testing.assert_array_equal(
        audit.multipliers([0, 0, 0], [0, 0, 0], sensitive_features=own), [0.5, 1.0, 2.0]
    )
    with pytest.raises(ValueError, match="needs the sensitive_features"):
        audit.multipliers([0], [0])
    with pytest.raises(ValueError, match="allow_individual"):
        AdAuctionSimulator(n_auctions=100).run(VarianceAwareReranker("sign"))


def test_names_of_ads_clusters_and_levels():
    ads, clusters = ["flat", "job"], ["north", "south"]
    eligible = {"sex": pd.DataFrame([[0.5, 0.5]] * 2, index=ads, columns=["f", "m"])}
    composition = {
        "sex": pd.DataFrame([[0.9, 0.1], [0.1, 0.9]], index=clusters, columns=["f", "m"])
    }
    reranker = VarianceAwareReranker(batch_size=4).fit(eligible=eligible, composition=composition)
    frame = pl.DataFrame({"sex": ["f", "f", "f", "m"]})
    reranker.partial_fit(["job"] * 4, cluster=["south"] * 4, sensitive_features=frame)
    m = reranker.multipliers(["flat", "job", "other"], ["north"] * 3)
    assert m[0] == m[2] == 1
    assert m[1] < 1
    assert reranker.multipliers(["job"], ["nowhere"])[0] == 1
    assert reranker.multipliers([["flat", "job"]], ["south"]).shape == (1, 2)
    assert list(reranker.report().index) == [("flat", "sex"), ("job", "sex")]


def test_rerank_one_auction_and_batches_agree():
    reranker = fitted().partial_fit(**stream(300))
    rng = np.random.default_rng(2)
    values, ads, clusters = (
        rng.random((50, 6)),
        rng.integers(-1, 3, (50, 6)),
        rng.integers(-1, 4, 50),
    )
    quality, mask = rng.random((50, 6)), rng.random((50, 6)) < 0.7
    order = reranker.rerank(
        values, ad_ids=ads, clusters=clusters, quality=quality, eligible_mask=mask
    )
    m = reranker.multipliers(ads, clusters)
    for i in range(50):
        total = np.where(mask[i], m[i] * values[i] + quality[i], -np.inf)
        expected = np.argsort(-total, kind="stable")
        expected = np.where(mask[i][expected], expected, -1)
        np.testing.assert_array_equal(order[i], expected)
        one = reranker.rerank(
            values[i],
            ad_ids=ads[i],
            clusters=[clusters[i]],
            quality=quality[i],
            eligible_mask=mask[i],
        )
        np.testing.assert_array_equal(one, expected)
    top = reranker.rerank(
        values, ad_ids=ads, clusters=clusters, quality=quality, eligible_mask=mask, top=1
    )
    np.testing.assert_array_equal(top[:, 0], order[:, 0])


def test_ties_keep_their_order_and_empty_slots_are_marked():
    reranker = fitted()
    np.testing.assert_array_equal(
        reranker.rerank([1.0, 2.0, 2.0], ad_ids=[0, 1, 1], clusters=[0]), [1, 2, 0]
    )
    nobody = reranker.rerank([1.0, 2.0], ad_ids=[0, 1], clusters=[0], eligible_mask=[False, False])
    np.testing.assert_array_equal(nobody, [-1, -1])


def test_state_round_trip_continues_exactly():
    data, noise = stream(600), NoisyCounter(epsilon=0.5, mechanism="tree", random_state=7)
    whole = fitted(noise=noise).partial_fit(**data)
    half = {key: value[:300] for key, value in data.items()}
    rest = {key: value[300:] for key, value in data.items()}
    first = fitted(noise=noise).partial_fit(**half)
    restored = fitted(noise=noise).set_state(first.get_state()).partial_fit(**rest)
    pickled = pickle.loads(pickle.dumps(first)).partial_fit(**rest)
    for other in (restored, pickled):
        for name, value in whole.get_state().items():
            np.testing.assert_array_equal(value, other.get_state()[name], err_msg=name)
    assert first.n_impressions_.sum() < whole.n_impressions_.sum()
    with pytest.raises(ValueError, match="has shape"):
        VarianceAwareReranker().fit(
            eligible={"sex": [[0.5, 0.5]]}, composition={"sex": [[0.5, 0.5]]}
        ).set_state(first.get_state())


def test_state_is_a_copy():
    reranker = fitted().partial_fit(**stream(100))
    state = reranker.get_state()
    before = state["released"].copy()
    reranker.partial_fit(**stream(100, seed=1))
    np.testing.assert_array_equal(state["released"], before)


def test_privacy_budget():
    reranker = fitted(noise=NoisyCounter(epsilon=0.5, noise="gaussian", delta=1e-6)).partial_fit(
        **stream(300)
    )
    spent = reranker.privacy_spent_
    assert spent["sex"]["epsilon"] == 0.5
    assert spent["total"]["epsilon"] == 1.0
    assert spent["total"]["delta"] == 2e-6
    assert fitted().partial_fit(**stream(300)).privacy_spent_["total"]["epsilon"] == np.inf


def test_live_noise_is_not_seeded_by_the_reranker():
    runs = [
        fitted(noise=NoisyCounter(), random_state=0).partial_fit(**stream(300)) for _ in range(2)
    ]
    assert not np.array_equal(runs[0].released_counts_["sex"], runs[1].released_counts_["sex"])


def test_tree_that_would_overflow_is_refused_before_anything_is_counted():
    reranker = fitted(noise=NoisyCounter(mechanism="tree", max_batches=4, random_state=0))
    with pytest.raises(ValueError, match="max_batches=4"):
        reranker.partial_fit(**stream(600))
    assert reranker.n_impressions_.sum() == 0


def test_measurement_from_clusters_alone():
    reranker = fitted().partial_fit(np.zeros(10, int), cluster=[0] * 10)
    np.testing.assert_allclose(reranker.released_counts_["sex"][0], [9, 1])


def test_uncovered_ads_are_passed_over():
    reranker = fitted().partial_fit([5, -1, 99], cluster=[0, 1, 2])
    assert reranker.n_impressions_.sum() == 0


def test_report():
    reranker = fitted(noise=NoisyCounter(epsilon=0.2, random_state=0)).partial_fit(**stream(2000))
    table = reranker.report()
    assert list(table.index.names) == ["ad", "attribute"]
    assert len(table) == 4
    assert (table["lower"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["upper"]).all()
    assert (table["noise_floor"] > 0).all()
    assert not table["boost_stopped"].any()


def test_guardrails_need_their_input():
    reranker = fitted(max_value_loss=0.1, min_reach=0.9)
    with pytest.raises(ValueError, match="unadjusted_ad_id"):
        reranker.partial_fit([0], cluster=[0])
    reranker.partial_fit([0] * 10, sensitive_features={"sex": [0] * 10, "race": [0] * 10},
                         unadjusted_ad_id=[1] * 10, value=0.5, unadjusted_value=1.0)  # fmt: skip
    table = reranker.report()
    assert table.loc[0, "boost_stopped"].all()
    assert table.loc[1, "cut_stopped"].all()
    assert reranker.multiplier_table_[0].max() <= 1


def test_search_improves_and_is_reproducible():
    sim = AdAuctionSimulator(n_covered=6, n_other=6, n_auctions=20_000, random_state=3)
    options = {
        "search_iterations": 3,
        "search_candidates": 6,
        "search_worlds": 1,
        "random_state": 0,
    }
    first, second = (VarianceAwareReranker(n_jobs=n, **options).fit(sim) for n in (1, 2))
    assert first.params_ == second.params_
    scores = [h["best_score"] for h in first.search_history_]
    assert len(scores) == 3
    assert (np.diff(scores) >= 0).all()
    assert first.params_["m_max"] <= 4
    kept = VarianceAwareReranker(search_iterations=0).fit(sim)
    assert kept.params_["kp"] == 2.0
    assert kept.params_["ki"] == 0.1


def test_search_of_the_threshold_policy_respects_the_limits():
    sim = AdAuctionSimulator(n_covered=6, n_other=6, n_auctions=20_000, random_state=3)
    options = {"search_iterations": 2, "search_candidates": 6, "search_worlds": 1}
    found = VarianceAwareReranker("threshold", m_min=0.8, m_max=1.5, random_state=0, **options)
    params = found.fit(sim).params_
    assert 1 <= params["m_up"] <= 1.5
    assert 0.8 <= params["m_down"] <= 1
    log = sim.sample()[0]
    again = clone(found).fit([log])
    assert again.params_ == params


def test_search_without_a_large_enough_ad_says_so():
    sim = AdAuctionSimulator(n_auctions=500, random_state=0)
    with pytest.raises(ValueError, match="No covered ad gets more than 300"):
        VarianceAwareReranker(search_iterations=1).fit(sim)
    options = {"search_candidates": 2, "search_worlds": 1, "coverage_min_impressions": 10}
    VarianceAwareReranker(search_iterations=1, coverage_threshold=0.5, **options).fit(sim)


def test_q_learning_learns():
    sim = AdAuctionSimulator(n_covered=6, n_other=6, n_auctions=20_000, random_state=3)
    reranker = VarianceAwareReranker(
        "q", action_cost=0.0, search_iterations=10, search_worlds=1, random_state=0
    ).fit(sim)
    assert reranker.q_table_.any()
    usual, controlled = sim.run(), sim.run(reranker)
    assert np.nanmean(controlled.variance["sex"]) < np.nanmean(usual.variance["sex"])


def test_calibrated_multipliers_lie_within_the_limits():
    sim = AdAuctionSimulator(n_covered=6, n_other=6, n_auctions=5_000, random_state=3)
    reranker = VarianceAwareReranker("threshold", m_up=None, m_down=None, search_iterations=0).fit(
        sim
    )
    assert reranker.params_["m_up"].shape == (6,)
    assert ((reranker.params_["m_up"] >= 1) & (reranker.params_["m_up"] <= 4)).all()
    with pytest.raises(ValueError, match="calibrated on auctions"):
        VarianceAwareReranker("threshold", m_up=None).fit(
            eligible=ELIGIBLE, composition=COMPOSITION
        )


def test_published_settings():
    reranker = VarianceAwareReranker.published(m_up=3.0)
    assert (reranker.policy, reranker.batch_size, reranker.m_up, reranker.m_down) == (
        "threshold",
        10,
        3.0,
        0.5,
    )
    assert reranker.noise.noise_scale == pytest.approx(2.247544724497493)
    assert clone(reranker).get_params(deep=False)["m_up"] == 3.0


def test_river_protocol():
    learner = fitted().to_river()
    for _ in range(10):
        learner.learn_one({"ad_id": 0, "cluster": 0, "sex": 0, "race": 0})
    assert learner.predict_one({"ad_id": 0, "cluster": 0}) < 1
    learner.learn_one({"ad_id": 1, "cluster": 2})
    assert learner.reranker.n_impressions_[1] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m_min": 1.5}, "m_min"),
        ({"m_max": 0.5}, "m_max"),
        ({"policy": "best"}, "policy"),
        ({"batch_size": 0}, "batch_size"),
        ({"noise": NoisyCounter(epsilon=0)}, "epsilon"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        fitted(**options)


@pytest.mark.parametrize(
    ("delivered", "error", "message"),
    [
        ({"sensitive_features": {"sex": [7], "race": [0]}}, UnseenGroupError, "level 7"),
        ({"sensitive_features": {"sex": [None], "race": [0]}}, ValueError, "missing for 1"),
        ({"sensitive_features": {"sex": [0]}}, ValueError, "Nothing tells 'race'"),
        ({"posterior": {"sex": [[0.5, 0.6]], "race": [[1, 0, 0]]}}, ValueError, "sum to one"),
        ({"cluster": [99]}, ValueError, "Nothing tells 'sex'"),
        ({"cluster": [0, 1]}, ValueError, "clusters must have 1 entries"),
    ],
)
def test_bad_deliveries(delivered, error, message):
    reranker = fitted()
    with pytest.raises(error, match=message):
        reranker.partial_fit([0], **delivered)
    assert reranker.n_impressions_.sum() == 0


def test_bad_candidates():
    reranker = fitted()
    with pytest.raises(TypeError, match="ad_ids must hold integers"):
        reranker.multipliers(["flat"], [0])
    with pytest.raises(ValueError, match="reverse the meaning"):
        reranker.rerank([-1.0, 2.0], ad_ids=[0, 1], clusters=[0])
    with pytest.raises(ValueError, match="reverse the meaning"):
        reranker.rerank([np.nan, 2.0], ad_ids=[0, 1], clusters=[0])
    with pytest.raises(NotFittedError):
        VarianceAwareReranker().rerank([1.0], ad_ids=[0], clusters=[0])


@pytest.mark.parametrize(
    ("eligible", "composition", "message"),
    [
        (None, None, "Give eligible and composition"),
        ({"sex": [[0.5, 0.5]]}, {"race": [[0.5, 0.5]]}, "same attributes"),
        ({"sex": [[0.5, 0.5]]}, {"sex": [[0.2, 0.3, 0.5]]}, "same levels"),
        (
            {"sex": [[0.5, 0.5]], "race": [[0.5, 0.5]] * 2},
            {"sex": [[0.5, 0.5]], "race": [[0.5, 0.5]]},
            "same ads",
        ),
        ({"sex": [[-0.5, 1.5]]}, {"sex": [[0.5, 0.5]]}, r"eligible\['sex'\]"),
    ],
)
def test_bad_audiences(eligible, composition, message):
    with pytest.raises(ValueError, match=message):
        VarianceAwareReranker().fit(eligible=eligible, composition=composition)


def test_nothing_delivered_changes_nothing():
    reranker = fitted(noise=NoisyCounter(random_state=0)).partial_fit(**stream(100))
    before = reranker.get_state()
    empty = {"sex": np.empty((0, 2)), "race": np.empty((0, 3))}
    reranker.partial_fit([], sensitive_features={"sex": [], "race": []})
    reranker.partial_fit([], posterior=empty).partial_fit([], cluster=[])
    for name, value in before.items():
        np.testing.assert_array_equal(value, reranker.get_state()[name])


def test_many_cells_under_noise_are_warned_of():
    """Twelve intersecting groups, 300 impressions and noise: nothing to be judged at 10 %."""
    cells = {"sex x race": np.full((1, 12), 1 / 12)}
    noisy = VarianceAwareReranker(noise=NoisyCounter(epsilon=0.5))
    with pytest.warns(FairnessWarning, match="12 levels: with 300 impressions"):
        noisy.fit(eligible=cells, composition=cells)
    exact = VarianceAwareReranker().fit(eligible=cells, composition=cells)
    exact.partial_fit(np.zeros(50, int), sensitive_features={"sex x race": [3] * 50})
    assert exact.log_weights_["sex x race"][0].argmin() == 3


def test_skops_round_trip():
    sio = pytest.importorskip("skops.io")
    first = fitted(noise=NoisyCounter(random_state=1)).partial_fit(**stream(200))
    data = sio.dumps(first)
    second = sio.loads(data, trusted=sio.get_untrusted_types(data=data))
    for reranker in (first, second):
        reranker.partial_fit(**stream(200, seed=1))
    for name, value in first.get_state().items():
        np.testing.assert_array_equal(value, second.get_state()[name], err_msg=name)
