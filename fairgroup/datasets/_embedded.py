"""Data sets that need no download: the lending sample and scikit-learn's diabetes data."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.utils import Bunch

from fairgroup.datasets._base import check_option, finish
from fairgroup.datasets._lending import LendingWorld, lending_bunch

__all__ = ["load_diabetes_progression", "load_lending"]


def load_lending(
    *, target: str = "repaid", drop_sensitive: bool = False, as_frame: bool = True
) -> Bunch:
    """Load the embedded lending sample: 20,000 simulated loan applications.

    The table is the one that ``make_lending(20_000, random_state=0)`` drew when it was stored,
    and the same as ``datasets/lending.csv``; :func:`make_lending` describes how it comes about.
    Women and men repay equally often, so do majority and minority, but women of the minority
    repay less often and were approved less often still.

    Parameters
    ----------
    target : {"repaid", "approved"}, default="repaid"
        What is to be predicted: whether the loan is repaid, or what the bank decided in the past.
    drop_sensitive : bool, default=False
        Whether to leave sex, ethnicity and age out of `data`.
    as_frame : bool, default=True
        Whether to return pandas objects. False gives NumPy arrays.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        As in :func:`make_lending`; `true_probability` and `approval_score` are stored with four
        decimals.

    Raises
    ------
    ValueError
        When `target` is unknown.

    Examples
    --------
    >>> from fairgroup.datasets import load_lending
    >>> lending = load_lending()
    >>> people = lending.sensitive_features
    >>> lending.target.groupby([people.sex, people.ethnicity], observed=True).mean().round(
    ...     2
    ... ).to_list()
    [0.71, 0.53, 0.6, 0.79]
    """
    check_option("target", target, ("repaid", "approved"))
    folder = files(__package__) / "data"
    data, truth = (
        pd.read_csv(str(folder / name)) for name in ("lending.csv.gz", "lending_truth.csv.gz")
    )
    return lending_bunch(
        data,
        truth,
        LendingWorld(),
        target=target,
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
    )


def load_diabetes_progression(*, drop_sensitive: bool = False, as_frame: bool = True) -> Bunch:
    """Load scikit-learn's embedded diabetes data: how far has the disease come in a year?

    442 patients, ten measurements in their own units, a continuous target. Protected: sex and age
    (in years).

    Parameters
    ----------
    drop_sensitive : bool, default=False
        Whether to leave sex and age out of `data`.
    as_frame : bool, default=True
        Whether to return pandas objects. False gives NumPy arrays.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `data`, `target`, `sensitive_features` and the keys of the other loaders.

    Examples
    --------
    >>> from fairgroup.datasets import load_diabetes_progression
    >>> load_diabetes_progression().sensitive_features.columns.to_list()
    ['sex', 'age']
    """
    raw = load_diabetes(as_frame=True, scaled=False)
    data = raw.data.assign(sex="group " + raw.data["sex"].astype(int).astype(str))
    return finish(
        "diabetes_progression",
        data,
        raw.target.rename("progression"),
        sensitive=["sex", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
    )
