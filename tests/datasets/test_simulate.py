"""The two small simulators against what they promise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from fairgroup.datasets import make_gerrymandering, make_group_stream


def gap(values, people, names):
    means = values.groupby([people[name] for name in names], observed=True).mean()
    return means.max() - means.min()


@pytest.mark.parametrize("n_attributes", [2, 3])
@pytest.mark.parametrize("key", ["target", "prediction"])
def test_only_the_full_intersection_shows_the_gap(n_attributes, key):
    bunch = make_gerrymandering(200_000, n_attributes=n_attributes, gap=0.5, random_state=0)
    people = bunch.sensitive_features
    names = list(people.columns)
    for size in range(1, n_attributes):
        for some in combinations(names, size):
            assert gap(bunch[key], people, some) < 0.02
    assert gap(bunch[key], people, names) == pytest.approx(0.5, abs=0.02)
    assert bunch.true_gaps.to_dict() == {"one attribute": 0.0, "all attributes": 0.5}
    assert set(bunch.true_probability) == {0.25, 0.75}


def test_prediction_and_label_are_independent_given_the_group():
    bunch = make_gerrymandering(200_000, gap=0.6, random_state=1)
    for rate in set(bunch.true_probability):
        here = bunch.true_probability == rate
        assert abs(np.corrcoef(bunch.target[here], bunch.prediction[here])[0, 1]) < 0.02


def test_the_signal_is_in_the_first_feature():
    bunch = make_gerrymandering(100_000, signal=2.0, n_features=3, random_state=2)
    high = bunch.true_probability == bunch.true_probability.max()
    means = bunch.data[["x1", "x2", "x3"]].groupby(high).mean()
    assert (means.loc[True] - means.loc[False]).to_list() == pytest.approx([2, 0, 0], abs=0.03)
    assert bunch.feature_names == ["x1", "x2", "x3", "attribute_1", "attribute_2"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n_samples": 0}, "n_samples"),
        ({"n_attributes": 1}, "n_attributes"),
        ({"n_attributes": 2.5}, "n_attributes"),
        ({"gap": 1.5}, "gap"),
        ({"gap": "big"}, "gap"),
        ({"n_features": 0}, "n_features"),
    ],
)
def test_gerrymandering_rejects_bad_parameters(options, name):
    with pytest.raises(ValueError, match=name):
        make_gerrymandering(**options)


def test_the_stream_is_the_linear_model_of_its_coefficients():
    stream = make_group_stream(3000, drift_at=(0.2, 0.7), noise=0.0, random_state=0)
    x, member = stream.data.to_numpy(), stream.memberships.to_numpy()
    for t in range(0, 3000, 71):
        own = stream.coef[stream.phase[t]]
        groups = [g for g in range(1, member.shape[1]) if member[t, g] == 1]
        weights = own[0] + (np.mean([own[g] for g in groups], axis=0) if groups else 0)
        assert stream.true_mean[t] == pytest.approx(x[t] @ weights)
    np.testing.assert_allclose(stream.target, stream.true_mean)
    assert stream.phase.value_counts().to_dict() == {0: 600, 1: 1500, 2: 900}
    assert stream.coef.shape == (3, 4, 5)
    np.testing.assert_allclose(np.linalg.norm(stream.coef, axis=2), 1)


def test_groups_overlap_in_their_shares():
    stream = make_group_stream(50_000, group_shares=(0.5, 0.2), random_state=1)
    member = stream.memberships
    assert (member["everyone"] == 1).all()
    assert member.mean().to_list() == pytest.approx([1, 0.5, 0.2], abs=0.01)
    assert (member["group_1"] * member["group_2"]).mean() == pytest.approx(0.1, abs=0.01)
    for name in ("group_1", "group_2"):
        inside = (stream.sensitive_features[name] == "in").astype(float)
        pd.testing.assert_series_equal(inside, member[name])


def test_noise_and_bound_of_the_target():
    stream = make_group_stream(50_000, noise=0.3, heterogeneity=2.0, random_state=2)
    assert (stream.target - stream.true_mean).std() == pytest.approx(0.3, rel=0.02)
    assert stream.true_mean.abs().max() <= 3 * np.sqrt(5)
    one_model = make_group_stream(100, heterogeneity=0.0, drift_at=(), noise=0.0, random_state=3)
    coef, *_ = np.linalg.lstsq(one_model.data, one_model.target, rcond=None)
    np.testing.assert_allclose(coef, one_model.coef[0, 0])


def test_same_seed_same_stream():
    one, two = make_group_stream(50, random_state=4), make_group_stream(50, random_state=4)
    pd.testing.assert_series_equal(one.target, two.target)
    assert not one.target.equals(make_group_stream(50, random_state=5).target)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n_samples": 0}, "n_samples"),
        ({"n_features": True}, "n_features"),
        ({"group_shares": ()}, "group_shares"),
        ({"group_shares": (0.5, 1.5)}, "group_shares"),
        ({"drift_at": (0.5, 0.5)}, "drift_at"),
        ({"drift_at": (1.0,)}, "drift_at"),
        ({"noise": -1}, "noise"),
        ({"heterogeneity": -0.1}, "heterogeneity"),
    ],
)
def test_group_stream_rejects_bad_parameters(options, name):
    with pytest.raises(ValueError, match=name):
        make_group_stream(**options)
