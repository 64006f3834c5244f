"""A fitted encoder as text, and back."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from fairgroup.exceptions import UnseenGroupError
from fairgroup.groups import GroupEncoder
from fairgroup.groups._encoder_state import encoder_from_text, encoder_to_text

PEOPLE = pd.DataFrame(
    {
        "sex": ["f", "m", "m", "f", None, "f"],
        "old": [True, True, False, True, False, False],
        "code": [1, 2, 2, 1, 1, 1],
        "level": np.array([0.5, 1.5, 0.5, 1.5, 0.5, 0.5]),
    }
)


@pytest.mark.parametrize(
    "settings",
    [
        {"missing": "group"},
        {"missing": "ignore"},
        {"missing": "group", "min_group_size": 2, "small": "merge"},
        {"missing": "group", "intersections": False},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::fairgroup.exceptions.FairnessWarning")
def test_it_encodes_alike(settings):
    encoder = GroupEncoder(**settings).fit(PEOPLE)
    text = encoder_to_text(encoder)
    json.loads(text)
    other = encoder_from_text(text, GroupEncoder(**settings))
    expected, found = encoder.transform(PEOPLE), other.transform(PEOPLE)
    assert np.array_equal(found.codes, expected.codes)
    assert found.labels == expected.labels
    assert found.names == expected.names
    assert other.merged_ == encoder.merged_
    assert np.array_equal(other.counts_, encoder.counts_)
    with pytest.raises(UnseenGroupError):
        other.transform(PEOPLE.assign(sex="x"))


def test_nothing():
    assert encoder_from_text(encoder_to_text(None), None) is None


def test_levels_that_are_no_plain_values():
    encoder = GroupEncoder().fit(pd.Series(pd.cut([1, 30, 60, 2], [0, 25, 80])))
    with pytest.raises(TypeError, match=r"astype\(str\)"):
        encoder_to_text(encoder)
