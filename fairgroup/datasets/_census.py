"""Loaders of census tables: Adult, Census-Income (KDD), Dutch census."""

from __future__ import annotations

import pandas as pd
from sklearn.utils import Bunch

from fairgroup.datasets._base import (
    PathLike,
    binary,
    check_option,
    codes_to_text,
    documented,
    finish,
    read_files,
)

__all__ = ["fetch_adult", "fetch_census_income_kdd", "fetch_dutch_census"]

_ADULT_FILES = {
    "all": ("adult.data", "adult.test"),
    "train": ("adult.data",),
    "test": ("adult.test",),
}
_KDD_FILES = {
    "test": ("census-income.test.gz",),
    "train": ("census-income.data",),
    "all": ("census-income.data", "census-income.test.gz"),
}
_KDD_CODES = [
    "detailed_industry_recode",
    "detailed_occupation_recode",
    "own_business_or_self_employed",
    "veterans_benefits",
]
_KDD_HALF_MISSING = [
    "migration_code_change_in_msa",
    "migration_code_change_in_reg",
    "migration_code_move_within_reg",
    "migration_prev_res_in_sunbelt",
]


@documented("adult", extra="`sample_weight` (fnlwgt, the weight of the survey)")
def fetch_adult(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    subset: str = "all",
    preparation: str = "usual",
    missing: str = "keep",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load Adult: does a US worker of 1994 earn more than 50,000 dollars a year?

    48,842 people. Protected: sex, race, age (in years).

    Parameters
    ----------
    {place}
    subset : {"all", "train", "test"}, default="all"
        The given split; "all" is the training part followed by the test part.
    preparation : {"usual", "raw"}, default="usual"
        "usual" leaves out `fnlwgt` (a survey weight) and `education` (the text of
        `education-num`). "raw" keeps all 14 columns.
    missing : {"keep", "drop"}, default="keep"
        What to do with the 3,620 rows in which work class, occupation or country are unknown.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_adult
    >>> adult = fetch_adult(subset="train")  # doctest: +SKIP
    >>> adult.target.mean().round(4)  # doctest: +SKIP
    np.float64(0.2408)
    """
    check_option("subset", subset, _ADULT_FILES)
    check_option("preparation", preparation, ("usual", "raw"))
    check_option("missing", missing, ("keep", "drop"))
    parts = read_files("adult", _ADULT_FILES[subset], data_home, download_if_missing)
    frame = pd.concat(parts, ignore_index=True)
    if missing == "drop":
        frame = frame.dropna()
    # The labels of adult.test end in a dot.
    target = binary(frame["income"].str.rstrip("."), ">50K")
    data = frame.drop(columns="income")
    if preparation == "usual":
        data = data.drop(columns=["fnlwgt", "education"])
    return finish(
        "adult",
        data,
        target,
        sensitive=["sex", "race", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("<=50K", ">50K"),
        sample_weight=frame["fnlwgt"],
    )


@documented("census_income_kdd", extra="`sample_weight` (number of people a record stands for)")
def fetch_census_income_kdd(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    subset: str = "test",
    preparation: str = "usual",
    missing: str = "keep",
    adults_only: bool = False,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load Census-Income (KDD): does a US person of 1994 or 1995 have more than 50,000 dollars?

    99,762 people in the test part, 199,523 in the training part. Protected: sex, race,
    hispanic_origin, age. The income is another one than in Adult.

    Parameters
    ----------
    {place}
    subset : {"test", "train", "all"}, default="test"
        The given split, drawn at random from the same source. The test part is a third of the
        people and the default because it is large enough for most purposes.
    preparation : {"usual", "raw"}, default="usual"
        "usual" leaves out `instance_weight` and the four migration columns that are half missing,
        and treats numeric codes as categories. "raw" keeps all 41 columns as they are.
    missing : {"keep", "drop"}, default="keep"
        What to do with rows that have a missing value in a column that is used.
    adults_only : bool, default=False
        Whether to keep only people of 16 years and more; children never have the income.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_census_income_kdd
    >>> fetch_census_income_kdd().target.mean().round(4)  # doctest: +SKIP
    np.float64(0.062)
    """
    check_option("subset", subset, _KDD_FILES)
    check_option("preparation", preparation, ("usual", "raw"))
    check_option("missing", missing, ("keep", "drop"))
    parts = read_files("census_income_kdd", _KDD_FILES[subset], data_home, download_if_missing)
    frame = pd.concat(parts, ignore_index=True)
    if adults_only:
        frame = frame[frame["age"] >= 16]
    weight = frame["instance_weight"]
    if preparation == "usual":
        frame = frame.drop(columns=["instance_weight", *_KDD_HALF_MISSING])
        frame = codes_to_text(frame, _KDD_CODES)
    if missing == "drop":
        frame = frame.dropna()
    return finish(
        "census_income_kdd",
        frame.drop(columns="income"),
        binary(frame["income"], "50000+."),
        sensitive=["sex", "race", "hispanic_origin", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("<=50K", ">50K"),
        sample_weight=weight.loc[frame.index],
    )


@documented("dutch_census")
def fetch_dutch_census(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load the Dutch census of 2001: does a person work in a high-level occupation?

    60,420 people. Protected: sex. Age and level of education are ordered numbers, all other
    columns are codes and come as categories.

    Parameters
    ----------
    {place}
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_dutch_census
    >>> fetch_dutch_census().data.shape  # doctest: +SKIP
    (60420, 11)
    """
    (frame,) = read_files("dutch_census", ["dutch.csv.gz"], data_home, download_if_missing)
    data = frame.drop(columns="occupation")
    codes = [str(name) for name in data if name not in ("sex", "age", "edu_level")]
    return finish(
        "dutch_census",
        codes_to_text(data, codes),
        binary(frame["occupation"], 1),
        sensitive=["sex"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("low-level occupation", "high-level occupation"),
    )
