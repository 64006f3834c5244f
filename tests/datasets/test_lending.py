"""The lending simulator against its exact rates, and the stored sample against the simulator."""

from __future__ import annotations

import gzip
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import norm
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairgroup.datasets import load_diabetes_progression, load_lending, make_lending
from fairgroup.datasets._lending import _OFFICER_NOISE, LendingWorld

LENDING = Path(__file__).parents[2] / "datasets" / "lending.csv"
PARAMETERS = [
    {},
    {"minority_share": 0.5, "age_effect": 0.0},
    {"base_rate": 0.3, "repayment_gap": 0.1, "approval_gap": 0.5, "minority_share": 0.1},
]


def expectation(function, mean, spread):
    """E[function(z)] of a normal z, by quadrature."""
    scale = np.sqrt(spread)
    value, _ = integrate.quad(
        lambda z: function(mean + scale * z) * norm.pdf(z), -12, 12, epsabs=1e-12, limit=200
    )
    return value


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_exact_rates_agree_with_quadrature(parameters):
    world = LendingWorld(**parameters)
    rates = world.true_rates()
    for row, mean in zip(rates.to_dict("records"), world.index_mean, strict=True):
        assert row["repayment"] == pytest.approx(
            expectation(norm.cdf, mean, world.index_spread), abs=1e-9
        )
        positive = norm.sf(0, mean, np.sqrt(world.index_spread))
        assert row["ideal_approval"] == pytest.approx(positive, abs=1e-12)
    spread = world.index_spread + _OFFICER_NOISE**2
    approved = norm.sf(0, world.score_mean, np.sqrt(spread))
    np.testing.assert_allclose(rates["historical_approval"], approved, atol=1e-12)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_rates_over_all_ages_are_the_average_of_the_rates_by_age(parameters):
    world = LendingWorld(**parameters)
    score, weight = np.polynomial.hermite_e.hermegauss(12)  # ages are normal scores in disguise
    weight /= weight.sum()
    by_age = sum(
        w * world.true_rates(20 + 55 * norm.cdf(z)) for z, w in zip(score, weight, strict=True)
    )
    np.testing.assert_allclose(by_age, world.true_rates(), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    base_rate=st.floats(0.35, 0.65),
    repayment_gap=st.floats(0, 0.6),
    approval_gap=st.floats(0, 0.6),
    minority_share=st.floats(0.05, 0.5),
    age_effect=st.floats(0, 0.8),
)
def test_no_single_attribute_ever_shows_the_gap(
    base_rate, repayment_gap, approval_gap, minority_share, age_effect
):
    world = LendingWorld(base_rate, repayment_gap, approval_gap, age_effect, minority_share)
    gaps = world.true_gaps()
    exact = gaps[["repayment", "historical_approval"]]
    assert exact.loc[["sex", "ethnicity"]].to_numpy() == pytest.approx(0, abs=1e-9)
    both = exact.loc["sex and ethnicity"].to_numpy()
    assert both == pytest.approx([repayment_gap, approval_gap])
    # The decision by the true probability is not linear in the rates; it stays close to parity.
    assert gaps["ideal_approval"].loc["sex"] < 0.1 * max(repayment_gap, 1e-6)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_simulated_rates_lie_within_four_standard_errors_of_the_exact_ones(parameters):
    bunch = make_lending(200_000, random_state=1, **parameters)
    people = bunch.sensitive_features
    groups = [people["sex"], people["ethnicity"]]
    found = {
        "repayment": bunch.target,
        "ideal_approval": bunch.true_probability >= 0.5,
        "historical_approval": bunch.approval_score >= 0.5,
    }
    for name, values in found.items():
        stats = values.groupby(groups, observed=True).agg(["mean", "size"])
        error = np.sqrt(stats["mean"] * (1 - stats["mean"]) / stats["size"])
        assert (np.abs(stats["mean"] - bunch.true_rates[name]) < 4 * error).all(), name
    share = stats["size"] / len(people)
    np.testing.assert_allclose(share, bunch.true_rates["share"], atol=0.005)


def test_the_effect_of_age_is_the_exact_one():
    bunch = make_lending(400_000, random_state=2)
    world = LendingWorld()
    for age in (25, 45, 65):
        near = (bunch.sensitive_features["age"] - age).abs() <= 1
        exact = world.true_rates(age)["repayment"] @ world.shares
        assert bunch.true_probability[near].mean() == pytest.approx(exact, abs=0.01)
    repaid = bunch.true_gaps.loc["age 30 to 60", "repayment"]
    assert repaid > 0.15
    assert make_lending(10, age_effect=0).true_gaps.loc["age 30 to 60"].abs().max() < 1e-12


def test_true_probability_is_the_probability_of_the_target():
    bunch = make_lending(200_000, random_state=3)
    tenth = pd.cut(bunch.true_probability, np.linspace(0, 1, 11))
    table = pd.DataFrame({"p": bunch.true_probability, "y": bunch.target}).groupby(
        tenth, observed=True
    )
    mean, size = table.mean(), table.size()
    error = np.sqrt(mean["p"] * (1 - mean["p"]) / size)
    assert (np.abs(mean["y"] - mean["p"]) < 4 * error).all()


def test_a_plain_model_has_a_gap_that_only_the_intersection_shows():
    lending = load_lending()
    people = lending.sensitive_features
    model = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(), make_column_selector(dtype_include="category")),
            (StandardScaler(), make_column_selector(dtype_include="number")),
        ),
        LogisticRegression(max_iter=500),
    )
    for data in (lending.data, load_lending(drop_sensitive=True).data):
        score = cross_val_predict(model, data, lending.target, cv=3, method="predict_proba")[:, 1]
        approved = pd.Series(score > 0.5)
        for name in ("sex", "ethnicity"):
            assert np.ptp(approved.groupby(people[name], observed=True).mean()) < 0.02
        both = approved.groupby([people["sex"], people["ethnicity"]], observed=True).mean()
        assert 0.25 < np.ptp(both) < 0.35
        assert both.idxmin() == ("female", "minority")
        best = roc_auc_score(lending.target, lending.true_probability)
        assert 0.8 < roc_auc_score(lending.target, score) < best


def test_proxies_tell_the_attributes_and_nothing_else_does_alone():
    bunch = make_lending(100_000, random_state=4)
    people = bunch.sensitive_features

    def spread(feature, attribute):
        table = pd.crosstab(bunch.data[feature], people[attribute], normalize="columns")
        return np.abs(table.iloc[:, 0] - table.iloc[:, 1]).sum() / 2

    assert spread("occupation", "sex") > 0.3
    assert spread("district", "ethnicity") > 0.3
    assert spread("purpose", "sex") < 0.02
    assert spread("employment", "sex") < 0.03
    assert spread("housing", "ethnicity") < 0.03


def test_the_stored_sample_is_what_the_simulator_drew():
    drawn = make_lending(random_state=0)
    stored = load_lending()
    assert stored.data.equals(drawn.data)
    assert stored.target.equals(drawn.target)
    for key in ("true_probability", "approval_score"):
        np.testing.assert_allclose(stored[key], drawn[key], atol=5.001e-5)
    pd.testing.assert_frame_equal(stored.true_gaps, drawn.true_gaps)


def test_the_csv_in_the_repository_is_the_packaged_table():
    packed = (files("fairgroup.datasets") / "data" / "lending.csv.gz").read_bytes()
    assert gzip.decompress(packed) == LENDING.read_bytes()
    assert LENDING.stat().st_size < 1_500_000
    table = pd.read_csv(LENDING)
    bunch = load_lending()
    assert list(table.columns) == [*bunch.feature_names, "repaid"]
    assert len(table) == 20_000


def test_the_data_sheet_states_the_exact_disparities():
    sheet = load_lending().DESCR
    world = LendingWorld()
    for table in (world.true_rates().drop(columns="share"), world.true_gaps()):
        for name, row in table.iterrows():
            words = " ".join(name) if isinstance(name, tuple) else name
            line = next(x for x in sheet.splitlines() if x.startswith(f"| {words} |"))
            assert line.endswith(" | ".join(f"{value:.4f}" for value in row) + " |")


def test_target_approved_is_the_decision_of_the_bank():
    bunch = load_lending(target="approved")
    assert bunch.target.name == "approved"
    assert ((bunch.approval_score >= 0.5) == (bunch.target == 1)).all()
    assert bunch.target_names == ["refused", "approved"]
    assert "repaid" not in bunch.data


def test_arrays_and_left_out_columns():
    bunch = make_lending(50, as_frame=False, drop_sensitive=True)
    assert bunch.data.shape == (50, 10)
    assert bunch.sensitive_features.shape == (50, 3)
    for key in ("data", "target", "sensitive_features", "true_probability", "approval_score"):
        assert type(bunch[key]) is np.ndarray


def test_same_seed_same_table():
    one, two = make_lending(100, random_state=5), make_lending(100, random_state=5)
    assert one.frame.equals(two.frame)
    assert not one.frame.equals(make_lending(100, random_state=6).frame)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be at least 1"),
        ({"base_rate": 1.5}, "base_rate must be in"),
        ({"base_rate": "half"}, "base_rate must be in"),
        ({"repayment_gap": 0.9}, "does not fit base_rate"),
        ({"approval_gap": 0.9}, "does not fit base_rate"),
        ({"minority_share": 0.7}, r"minority_share must be in \(0, 0.5\]"),
        ({"minority_share": 0.0}, r"minority_share must be in \(0, 0.5\]"),
        ({"age_effect": 0.9}, "age_effect must be in"),
        ({"target": "default"}, "target must be one of"),
    ],
)
def test_bad_parameters_are_errors_that_name_them(options, message):
    with pytest.raises(ValueError, match=message):
        make_lending(**options)


def test_load_lending_rejects_an_unknown_target():
    with pytest.raises(ValueError, match="target must be one of"):
        load_lending(target="default")


def test_diabetes_progression_is_the_data_of_scikit_learn():
    bunch = load_diabetes_progression()
    assert bunch.data.shape == (442, 10)
    assert bunch.target.mean() == pytest.approx(152.133, abs=1e-3)
    assert bunch.sensitive_features["sex"].value_counts().to_dict() == {
        "group 1": 235,
        "group 2": 207,
    }
    assert bunch.sensitive_features["age"].between(19, 79).all()
    assert load_diabetes_progression(drop_sensitive=True).data.shape == (442, 8)
    assert load_diabetes_progression(as_frame=False).data.shape == (442, 10)
