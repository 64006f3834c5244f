"""Loaders of census tables: Adult."""

from __future__ import annotations

import pandas as pd
from sklearn.utils import Bunch

from fairgroup.datasets._base import PathLike, binary, check_option, documented, finish, read_files

__all__ = ["fetch_adult"]

_ADULT_FILES = {
    "all": ("adult.data", "adult.test"),
    "train": ("adult.data",),
    "test": ("adult.test",),
}


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
