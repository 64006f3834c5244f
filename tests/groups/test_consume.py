"""How an estimator of ours asks for groups and reads them; shown on the smallest one."""

from __future__ import annotations

import numpy as np
import pytest
from _toys import ReweighedLogistic, people, reweighing
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.groups._consume import encode_groups


def test_without_groups_it_warns_and_everyone_is_one_group():
    with pytest.warns(FairnessWarning, match="ReweighedLogistic was fitted without"):
        encoder, groups = encode_groups(None, 4, estimator=ReweighedLogistic())
    assert encoder is None
    assert groups.codes.tolist() == [0, 0, 0, 0]


def test_the_users_encoder_is_cloned_or_used_when_fitted():
    mine = GroupEncoder(missing="group")
    encoder, groups = encode_groups(["f", None], 2, encoder=mine)
    assert encoder is not mine
    assert groups.names[1] == "sensitive_feature_0=(missing)"
    fitted = GroupEncoder().fit(["f", "m", "x"])
    encoder, groups = encode_groups(["m", "m"], 2, encoder=fitted)
    assert encoder is fitted
    assert groups.codes.tolist() == [1, 1]


def test_a_wrong_number_of_rows_is_named():
    with pytest.raises(ValueError, match="sensitive_features has 3 rows, but X has 2"):
        encode_groups(["f", "m", "f"], 2)


def test_overlapping_groups_are_refused():
    with pytest.raises(ValueError, match="ReweighedLogistic needs every row in one group"):
        encode_groups(
            [["f", "a"]],
            1,
            encoder=GroupEncoder(intersections=False),
            estimator=ReweighedLogistic(),
        )


def test_reweighing_makes_group_and_label_independent():
    rng = np.random.default_rng(0)
    codes, labels = rng.integers(-1, 3, 500), rng.integers(0, 2, 500)
    weights = rng.uniform(0.5, 2, 500)
    fair = weights * reweighing(codes, labels, 3, 2, weights)
    rates = [np.average(labels[codes == g], weights=fair[codes == g]) for g in range(3)]
    known = codes >= 0
    np.testing.assert_allclose(rates, np.average(labels[known], weights=weights[known]))
    np.testing.assert_array_equal(fair[~known], weights[~known])


def test_groups_travel_through_a_pipeline_in_a_search_with_nothing_requested():
    frame, y = people()
    X, sex = frame[["debt", "income"]], frame["sex"]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), ReweighedLogistic()),
        {"reweighedlogistic__fairness_weight": [0.0, 1.0]},
    )
    with config_context(enable_metadata_routing=True):
        search.fit(X, y, sensitive_features=sex)
    model = search.best_estimator_[-1]
    assert model.encoder_.labels_ == (("female",), ("male",))
    alone = clone(model).fit(StandardScaler().fit_transform(X), y, sensitive_features=sex)
    np.testing.assert_allclose(model.model_.coef_, alone.model_.coef_)
