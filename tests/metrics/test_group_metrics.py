"""group_metrics against fairlearn's MetricFrame, scikit-learn, and a slow reference."""

import pickle
import warnings

import fairlearn.metrics as fl
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal
from sklearn.exceptions import UndefinedMetricWarning

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.metrics import group_metrics

PEER = {
    "accuracy": sk.accuracy_score,
    "selection_rate": fl.selection_rate,
    "true_positive_rate": fl.true_positive_rate,
    "false_positive_rate": fl.false_positive_rate,
    "true_negative_rate": fl.true_negative_rate,
    "false_negative_rate": fl.false_negative_rate,
    "precision": sk.precision_score,
    "f1": sk.f1_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
}


@pytest.fixture(scope="module")
def people():
    """Two attributes with one empty intersection, a control feature, labels and weights."""
    rng = np.random.default_rng(7)
    n = 1500
    frame = pd.DataFrame({"sex": rng.choice(["F", "M"], n), "race": rng.choice(list("abcd"), n)})
    frame = frame[~((frame.sex == "M") & (frame.race == "d"))].reset_index(drop=True)
    n = len(frame)
    control = pd.Series(rng.choice(["north", "south"], n), name="region")
    y, p = rng.integers(0, 2, n), rng.integers(0, 2, n)
    return frame, control, y, p, rng.random(n) + 0.1, rng.random(n)


@pytest.mark.parametrize("columns", [["sex"], ["sex", "race"]])
@pytest.mark.parametrize("controlled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_metricframe(people, columns, controlled, weighted):
    frame, control, y, p, weight, _ = people
    groups = frame[columns]
    control = control if controlled else None
    frame_of_peer = fl.MetricFrame(
        metrics=PEER,
        y_true=y,
        y_pred=p,
        sensitive_features=groups,
        control_features=control,
        sample_params={name: {"sample_weight": weight} for name in PEER} if weighted else None,
    )
    ours = group_metrics(
        y,
        p,
        sensitive_features=groups,
        control_features=control,
        metrics=list(PEER),
        sample_weight=weight if weighted else None,
    )
    names = list(PEER)
    assert_equal = assert_frame_equal if controlled else assert_series_equal
    assert_frame_equal(ours.by_group[names], frame_of_peer.by_group)
    assert_equal(ours.overall[names], frame_of_peer.overall)
    for method in ("between_groups", "to_overall"):
        assert_equal(ours.difference(method), frame_of_peer.difference(method=method))
        assert_equal(ours.ratio(method), frame_of_peer.ratio(method=method))


def test_empty_intersection_is_nan_without_warning(people):
    frame, _, y, p, *_ = people
    table = group_metrics(y, p, sensitive_features=frame).by_group
    assert len(table) == 8
    assert table.loc[("M", "d")].isna().all()


def test_count_equals_metricframe_and_ignores_weights(people):
    frame, _, y, p, weight, _ = people
    peer = fl.MetricFrame(metrics=fl.count, y_true=y, y_pred=p, sensitive_features=frame)
    ours = group_metrics(y, p, sensitive_features=frame, metrics="count", sample_weight=weight)
    assert_series_equal(ours.by_group["count"], peer.by_group, check_names=False)
    assert ours.difference()["count"] == peer.difference()


def test_ready_gaps_equal_fairlearn(people):
    frame, _, y, p, weight, _ = people
    gaps = group_metrics(y, p, sensitive_features=frame, sample_weight=weight).gaps()
    options = {"sensitive_features": frame, "sample_weight": weight}
    for name in ("demographic_parity", "equalized_odds", "equal_opportunity"):
        for kind in ("difference", "ratio"):
            peer = getattr(fl, f"{name}_{kind}")(y, p, **options)
            assert gaps[f"{name}_{kind}"] == pytest.approx(peer, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_equals_scikit_learn(people, weighted):
    frame, _, _, _, weight, score = people
    rng = np.random.default_rng(0)
    y = 1e4 + rng.gamma(2.0, size=len(frame))
    p = y + rng.uniform(-0.5, 0.5, size=len(frame)) + score
    weight = weight if weighted else None
    functions = {
        "mean_prediction": fl.mean_prediction,
        "mean_absolute_error": sk.mean_absolute_error,
        "mean_squared_error": sk.mean_squared_error,
        "root_mean_squared_error": sk.root_mean_squared_error,
        "r2": sk.r2_score,
        "mean_poisson_deviance": sk.mean_poisson_deviance,
        "mean_gamma_deviance": sk.mean_gamma_deviance,
    }
    ours = group_metrics(
        y, p, sensitive_features=frame, metrics=list(functions), sample_weight=weight
    )
    rows = (frame.sex == "F") & (frame.race == "b")
    for name, function in functions.items():
        part = None if weight is None else weight[rows]
        assert ours.overall[name] == pytest.approx(function(y, p, sample_weight=weight), rel=1e-9)
        value = function(y[rows], p[rows], sample_weight=part)
        assert ours.by_group.loc[("F", "b"), name] == pytest.approx(value, rel=1e-9)
    bias = group_metrics(y, p, sensitive_features=frame, metrics="bias").overall["bias"]
    assert bias == pytest.approx(np.mean(p - y))


def test_marginals_are_those_of_one_attribute(people):
    frame, control, y, p, weight, _ = people
    for options in ({}, {"control_features": control, "sample_weight": weight}):
        both = group_metrics(y, p, sensitive_features=frame, **options)
        for name in frame:
            alone = group_metrics(y, p, sensitive_features=frame[name], **options)
            assert_frame_equal(both.marginals[name], alone.by_group)
            ours, theirs = both.difference(attribute=name), alone.difference()
            (assert_frame_equal if "control_features" in options else assert_series_equal)(
                ours, theirs
            )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_slow_reference(data):
    n = data.draw(st.integers(1, 40))
    integers = st.lists(st.integers(0, 2), min_size=n, max_size=n)
    y, p = np.array(data.draw(integers)) > 0, np.array(data.draw(integers)) > 1
    a, b = np.array(data.draw(integers)), np.array(data.draw(integers))
    names = ["selection_rate", "true_positive_rate", "precision", "accuracy"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        result = group_metrics(y, p, sensitive_features=np.c_[a, b], metrics=names)
    for i, j in {*zip(a.tolist(), b.tolist(), strict=True)}:
        rows = (a == i) & (b == j)
        expected = [_mean(p[rows]), _mean(p[rows & y]), _mean(y[rows & p]), _mean((y == p)[rows])]
        np.testing.assert_allclose(result.by_group.loc[(i, j), names], expected)
        assert result.by_group.loc[(i, j), "count"] == rows.sum()
    values = [_mean(p[(a == i) & (b == j)]) for i, j in {*zip(a, b, strict=True)}]
    gap = max(values) - min(values) if len(values) > 1 else np.nan
    np.testing.assert_allclose(result.difference()["selection_rate"], gap)


def _mean(values):
    return values.mean() if len(values) else np.nan


@pytest.mark.parametrize(
    "make",
    [
        lambda y: np.array(["no", "yes"])[y],
        lambda y: np.array(["no", "yes"], dtype=object)[y],
        lambda y: pd.Series(np.array(["no", "yes"])[y]),
        lambda y: pd.Series(np.array(["no", "yes"])[y], dtype="category"),
        lambda y: pl.Series(np.array(["no", "yes"])[y].tolist()),
        lambda y: np.array(["no", "yes"])[y].tolist(),
    ],
)
def test_labels_of_any_type(people, make):
    frame, _, y, p, *_ = people
    plain = group_metrics(y, p, sensitive_features=frame).by_group
    text = group_metrics(make(y), make(p), sensitive_features=frame, pos_label="yes").by_group
    assert_frame_equal(plain, text)


@pytest.mark.parametrize("values", [(False, True), (0.0, 1.0), (-1, 1), (0, 1)])
def test_positive_label_is_found(people, values):
    frame, _, y, p, *_ = people
    y, p = np.array(values)[y], np.array(values)[p]
    rate = group_metrics(y, p, sensitive_features=frame.sex).overall["selection_rate"]
    assert rate == pytest.approx((p == values[1]).mean())


@pytest.mark.parametrize("values", [("no", "yes"), (1, 2), (0, 2)])
def test_undecidable_positive_label_is_an_error(people, values):
    frame, _, y, p, *_ = people
    y, p = np.array(values)[y], np.array(values)[p]
    with pytest.raises(ValueError, match="pass pos_label="):
        group_metrics(y, p, sensitive_features=frame.sex, metrics="selection_rate")
    group_metrics(
        y, p, sensitive_features=frame.sex, metrics="accuracy"
    )  # needs no positive label
    with pytest.raises(ValueError, match="not among the labels"):
        group_metrics(
            y, p, sensitive_features=frame.sex, metrics="selection_rate", pos_label="maybe"
        )


def test_positive_label_may_be_absent_from_the_sample():
    with pytest.warns(UndefinedMetricWarning, match="true_positive_rate"):
        result = group_metrics(
            ["no"] * 4, ["no"] * 4, sensitive_features=list("aabb"), pos_label="yes"
        )
    assert result.overall["selection_rate"] == 0.0
    assert np.isnan(result.overall["true_positive_rate"])


def test_several_classes_one_against_the_rest(people):
    frame = people[0]
    rng = np.random.default_rng(1)
    y, p = rng.choice(list("xyz"), len(frame)), rng.choice(list("xyz"), len(frame))
    result = group_metrics(
        y, p, sensitive_features=frame.sex, metrics=["true_positive_rate", "balanced_accuracy"]
    )
    for label in "xyz":
        alone = group_metrics(
            y == label, p == label, sensitive_features=frame.sex, metrics="true_positive_rate"
        )
        assert_series_equal(
            result.by_group[f"true_positive_rate[{label}]"],
            alone.by_group["true_positive_rate"],
            check_names=False,
        )
    rows = frame.sex == "F"
    expected = sk.balanced_accuracy_score(y[rows], p[rows])
    assert result.by_group.loc["F", "balanced_accuracy"] == pytest.approx(expected)
    columns = [f"true_positive_rate[{label}]" for label in "xyz"]
    assert result.gaps()["equal_opportunity_difference"] == result.difference()[columns].max()
    one = group_metrics(y, p, sensitive_features=frame.sex, pos_label="y", metrics="precision")
    assert one.overall["precision"] == pytest.approx((y == "y")[p == "y"].mean())


def test_undefined_rate_is_nan_named_and_left_out():
    y = [1, 0, 1, 0, 0, 0]
    p = [1, 0, 0, 0, 1, 0]
    with pytest.warns(UndefinedMetricWarning, match=r"true_positive_rate is undefined .* g=c: no"):
        result = group_metrics(
            y, p, sensitive_features=pd.Series(list("aabbcc"), name="g"), metrics=list(PEER)[:4]
        )
    assert np.isnan(result.by_group.loc["c", "true_positive_rate"])
    assert result.difference()["true_positive_rate"] == 1.0
    with pytest.warns(UndefinedMetricWarning):
        lone = group_metrics(y[2:], p[2:], sensitive_features=list("aabb"))
    assert np.isnan(lone.difference()["true_positive_rate"])
    assert np.isnan(lone.gaps()["equalized_odds_difference"])  # not the FPR part alone


def test_ignored_rows_count_overall_and_are_reported(people):
    frame, _, y, p, *_ = people
    frame = frame.astype(object)
    frame.loc[[0, 5, 9], "race"] = None
    with pytest.raises(ValueError, match="missing"):
        group_metrics(y, p, sensitive_features=frame)
    with pytest.warns(FairnessWarning, match="3 rows"):
        result = group_metrics(
            y, p, sensitive_features=frame, encoder=GroupEncoder(missing="ignore")
        )
    assert result.n_ignored == 3
    assert result.overall["count"] == len(frame)
    assert result.by_group["count"].sum() == len(frame) - 3
    assert result.marginals["sex"]["count"].sum() == len(frame)
    kept = frame.race.notna().to_numpy()
    alone = group_metrics(y[kept], p[kept], sensitive_features=frame[kept])
    assert_frame_equal(result.by_group, alone.by_group)


def test_merged_groups_and_fitted_encoder(people):
    frame, _, y, p, *_ = people
    frame = frame.copy()
    frame.loc[:29, "race"] = "rare"  # about 15 of each sex: both intersections are merged
    encoder = GroupEncoder(min_group_size=20, small="merge").fit(frame)
    result = group_metrics(y, p, sensitive_features=frame, encoder=encoder)
    assert result.by_group["count"].sum() == len(frame)
    assert len(result.marginals["race"]) == 5
    part = group_metrics(
        y[:3], p[:3], sensitive_features=frame[:3], encoder=encoder, metrics="count"
    )
    assert part.by_group["count"].sum() == 3
    assert np.isnan(part.difference()["count"])


def test_overlapping_groups_are_the_attributes_stacked(people):
    frame, _, y, p, *_ = people
    overlapping = group_metrics(
        y, p, sensitive_features=frame, encoder=GroupEncoder(intersections=False)
    )
    joint = group_metrics(y, p, sensitive_features=frame)
    assert len(overlapping.by_group) == 6
    assert_frame_equal(overlapping.marginals["race"], joint.marginals["race"])
    with pytest.raises(ValueError, match="name the attribute"):
        overlapping.difference()
    assert_series_equal(overlapping.gaps(attribute="sex"), joint.gaps(attribute="sex"))


def test_callables_names_and_a_dict(people):
    frame, _, y, p, weight, _ = people

    def cost(y_true, y_pred, sample_weight=None):
        return np.average(3 * (y_true > y_pred) + (y_pred > y_true), weights=sample_weight)

    result = group_metrics(
        y,
        p,
        sensitive_features=frame,
        metrics={"ours": "accuracy", "cost": cost},
        sample_weight=weight,
    )
    assert list(result.by_group) == ["count", "ours", "cost"]
    rows = (frame.sex == "M") & (frame.race == "a")
    expected = cost(y[rows], p[rows], weight[rows])
    assert result.by_group.loc[("M", "a"), "cost"] == pytest.approx(expected)
    assert result.overall["cost"] == pytest.approx(cost(y, p, weight))
    with pytest.raises(TypeError, match="takes no sample_weight"):
        group_metrics(
            y, p, sensitive_features=frame, metrics=lambda y, p: 0.0, sample_weight=weight
        )


def test_gap_name_and_renamed_rates_give_the_gap(people):
    frame, _, y, p, *_ = people
    named = group_metrics(y, p, sensitive_features=frame, metrics="equalized_odds_difference")
    renamed = group_metrics(
        y,
        p,
        sensitive_features=frame,
        metrics={"recall": "true_positive_rate", "fall-out": "false_positive_rate"},
    )
    expected = fl.equalized_odds_difference(y, p, sensitive_features=frame)
    for result in (named, renamed):
        assert result.gaps()["equalized_odds_difference"] == pytest.approx(expected)


def test_weights_equal_repetition(people):
    frame, _, y, p, _, score = people
    times = np.random.default_rng(0).integers(1, 4, len(frame))
    metrics = ["accuracy", "f1", "mean_absolute_error", "r2", "roc_auc", "calibration_error"]
    weighted = group_metrics(
        y, p, sensitive_features=frame, y_score=score, metrics=metrics, sample_weight=times
    )
    repeat = np.repeat(np.arange(len(frame)), times)
    repeated = group_metrics(
        y[repeat],
        p[repeat],
        sensitive_features=frame.iloc[repeat],
        y_score=score[repeat],
        metrics=metrics,
    )
    assert_frame_equal(weighted.by_group[metrics], repeated.by_group[metrics])


def test_order_of_rows_and_kind_of_table_do_not_matter(people):
    frame, _, y, p, *_ = people
    expected = group_metrics(y, p, sensitive_features=frame).by_group
    order = np.random.default_rng(0).permutation(len(frame))
    shuffled = group_metrics(y[order], p[order], sensitive_features=frame.iloc[order])
    assert_frame_equal(shuffled.by_group, expected)
    polars = group_metrics(pl.Series(y), pl.Series(p), sensitive_features=pl.from_pandas(frame))
    assert_frame_equal(polars.by_group, expected)
    lists = group_metrics(y.tolist(), p.tolist(), sensitive_features=frame.to_dict("list"))
    assert_frame_equal(lists.by_group, expected)


def test_default_metrics_follow_the_task(people):
    frame, _, y, p, _, score = people
    labels = group_metrics(y, p, sensitive_features=frame, y_score=score)
    assert {"accuracy", "selection_rate", "roc_auc"} <= set(labels.metrics)
    numbers = group_metrics(score, score + 0.1, sensitive_features=frame)
    assert {"bias", "mean_absolute_error"} <= set(numbers.metrics)


def test_long_table_holds_every_value(people):
    frame, control, y, p, *_ = people
    result = group_metrics(
        y, p, sensitive_features=frame, control_features=control, n_bootstrap=50, random_state=0
    )
    table = result.to_frame()
    assert len(table) == len(result.metrics) * 2 * (1 + 7 + 2 + 4)
    row = table[
        (table.view == "race")
        & (table.group == "race=b")
        & (table.control == "region=south")
        & (table.metric == "accuracy")
    ]
    assert row["value"].item() == result.marginals["race"].loc[("south", "b"), "accuracy"]
    assert (table.lower <= table.upper).all()


def test_result_pickles_without_the_rows(people):
    frame, _, y, p, *_ = people
    rows = np.tile(np.arange(len(y)), 50)
    result = group_metrics(
        y[rows], p[rows], sensitive_features=frame.iloc[rows], n_bootstrap=10, random_state=0
    )
    stored = pickle.dumps(result)
    assert len(stored) < 60_000
    copy = pickle.loads(stored)
    assert_frame_equal(copy.to_frame(), result.to_frame())
    assert_frame_equal(copy.intervals.gaps(), result.intervals.gaps())


def test_html_escapes_names():
    result = group_metrics(
        [0, 1],
        [0, 1],
        sensitive_features=pd.Series(["<script>", "b"], name="<b>"),
        metrics="accuracy",
    )
    assert "<script>" not in result._repr_html_()
    assert "&lt;script&gt;" in result._repr_html_()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y_pred": [0, 1]}, ValueError, "y_pred has 2 rows"),
        ({"y_true": [], "y_pred": []}, ValueError, "no rows"),
        ({"sensitive_features": ["a"]}, ValueError, "sensitive_features has 1 rows"),
        ({"metrics": "acuracy"}, ValueError, "Unknown metric 'acuracy'"),
        ({"metrics": "roc_auc"}, ValueError, "needs y_score"),
        ({"y_pred": None}, ValueError, "needs y_pred"),
        ({"y_true": [0, 1, np.nan, 1]}, ValueError, "y_true has 1 missing"),
        (
            {"y_true": ["a", None, "b", "a"], "metrics": "accuracy"},
            ValueError,
            "y_true has 1 missing",
        ),
        ({"y_true": ["0", "1", "0", "1"], "metrics": "accuracy"}, TypeError, "different types"),
        ({"y_true": list("abca"), "metrics": "r2"}, TypeError, "must be numeric"),
        ({"y_pred": [0.0, np.inf, 0, 0], "metrics": "bias"}, ValueError, "not finite in row 1"),
        ({"sample_weight": [1, 1, -1, 1]}, ValueError, "not negative"),
        ({"n_bootstrap": -1}, ValueError, "n_bootstrap"),
        ({"confidence_level": 95}, ValueError, "between 0 and 1"),
        ({"y_true": [[0, 1]] * 4}, ValueError, "one column"),
        ({"control_features": [1, None, 1, 1]}, ValueError, "missing"),
    ],
)
def test_bad_input(change, error, message):
    arguments = {
        "y_true": [0, 1, 0, 1],
        "y_pred": [0, 1, 1, 1],
        "sensitive_features": list("aabb"),
        "metrics": ["selection_rate"],
    } | change
    with pytest.raises(error, match=message):
        group_metrics(arguments.pop("y_true"), arguments.pop("y_pred"), **arguments)


def test_continuous_attribute_is_an_error_that_says_how_to_bin(people):
    _, _, y, p, _, score = people
    with pytest.raises(ValueError, match=r"pandas\.cut"):
        group_metrics(y, p, sensitive_features=score)


def test_continuous_labels_are_not_counted():
    with pytest.raises(ValueError, match="regression metrics"):
        group_metrics(
            np.arange(20_000.0) / 7,
            np.arange(20_000.0),
            sensitive_features=np.arange(20_000) % 2,
            metrics="accuracy",
        )


def test_wrong_method_attribute_and_missing_draws(people):
    frame, _, y, p, *_ = people
    result = group_metrics(y, p, sensitive_features=frame)
    with pytest.raises(ValueError, match="between_groups"):
        result.difference("pairs")
    with pytest.raises(ValueError, match="expected one of"):
        result.ratio(attribute="age")
    with pytest.raises(AttributeError, match="n_bootstrap"):
        result.intervals
