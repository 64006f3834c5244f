"""The shim gives what it promises with the installed scikit-learn."""

from __future__ import annotations

from numbers import Integral, Real

import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.utils.fixes import parse_version

from fairgroup.utils import _sklearn as shim


class Doubler(BaseEstimator):
    """A smallest estimator that uses the shim."""

    _parameter_constraints = {
        "factor": [shim.Interval(Real, 0, None, closed="left")],
        "mode": [shim.StrOptions({"fast", "slow"}), None],
    }

    def __init__(self, *, factor=2.0, mode=None):
        self.factor = factor
        self.mode = mode

    @shim.fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        self.fitted_ = True
        return self


def test_everything_that_is_listed_is_there():
    assert all(hasattr(shim, name) for name in shim.__all__)


@pytest.mark.parametrize("wrong", [{"factor": -1.0}, {"factor": "2"}, {"mode": "quick"}])
def test_wrong_parameters_are_named(wrong):
    (name,) = wrong
    with pytest.raises(shim.InvalidParameterError, match=f"'{name}' parameter of Doubler"):
        Doubler(**wrong).fit([[1.0]])


def test_right_parameters_pass():
    assert Doubler(factor=0, mode="slow").fit([[1.0]]).fitted_


def test_functions_are_validated():
    @shim.validate_params(
        {"n": [shim.Interval(Integral, 1, None, closed="left")]},
        prefer_skip_nested_validation=True,
    )
    def count(*, n):
        return n

    assert count(n=1) == 1
    with pytest.raises(ValueError, match=r"'n' parameter of .*count must be"):
        count(n=0)


def test_callbacks_are_used_where_scikit_learn_has_them():
    assert parse_version(sklearn.__version__) < parse_version("1.9") or shim.CALLBACKS
