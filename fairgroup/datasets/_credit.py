"""Loaders of tables about banks: German credit, bank marketing, credit default, FICO scores."""

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
    translate,
)

__all__ = [
    "fetch_bank_marketing",
    "fetch_credit_default",
    "fetch_fico_transrisk",
    "fetch_german_credit",
]

_GERMAN_AGES = {"over 25": ("25 or younger", 26), "25 or more": ("under 25", 25)}
_GERMAN_SEX = {"A91": "male", "A92": "female", "A93": "male", "A94": "male", "A95": "female"}
# Attributes 7, 10 and 15 of the numeric file are functions of sex, age and foreign_worker.
_GERMAN_NUMERIC_PROTECTED = ["attribute_7", "attribute_10", "attribute_15"]

_BANK_FILES = {"additional": "bank-additional-full.csv.gz", "full": "bank-full.csv.gz"}
_BANK_AGES = {"25 or more": (25, 200), "25 to 59": (25, 59)}

_TAIWAN_SEX = {1: "male", 2: "female"}
_TAIWAN_MARRIAGE = {1: "married", 2: "single", 3: "other", 0: "other"}
_TAIWAN_EDUCATION = {
    1: "graduate school",
    2: "university",
    3: "high school",
    **dict.fromkeys((4, 0, 5, 6), "other"),
}

_FICO_FILES = (
    "transrisk_cdf_by_race_ssa.csv",
    "transrisk_performance_by_race_ssa.csv",
    "totals.csv",
)


@documented("german_credit")
def fetch_german_credit(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    preparation: str = "usual",
    age_group: str = "over 25",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load German credit: is a loan good?

    1,000 loans of the 1970s. Protected: sex (derived, and unreliable), foreign_worker, age and
    `age_group`.

    Parameters
    ----------
    {place}
    preparation : {"usual", "numeric"}, default="usual"
        "usual": the 20 attributes with their codes as categories. "numeric": the 24 numbers that
        upstream made of them.
    age_group : {"over 25", "25 or more"}, default="over 25"
        How `age_group` splits the ages; both are found in the literature.
    {shape} Columns that spell out sex go with it.

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_german_credit
    >>> fetch_german_credit().target.mean()  # doctest: +SKIP
    np.float64(0.7)
    """
    check_option("preparation", preparation, ("usual", "numeric"))
    check_option("age_group", age_group, _GERMAN_AGES)
    frame, numeric = read_files(
        "german_credit", ["german.data", "german.data-numeric"], data_home, download_if_missing
    )
    young, at_least = _GERMAN_AGES[age_group]
    people = frame[["foreign_worker", "age"]].assign(
        sex=translate(frame["personal_status_sex"], _GERMAN_SEX),
        age_group=(frame["age"] >= at_least).map({True: age_group, False: young}),
    )
    if preparation == "usual":
        data, in_data = frame.drop(columns="credit_risk"), ["foreign_worker", "age"]
        also_drop = ["personal_status_sex"]
    else:
        data = numeric.iloc[:, :24].set_axis([f"attribute_{i}" for i in range(1, 25)], axis=1)
        in_data, also_drop = [], _GERMAN_NUMERIC_PROTECTED
    return finish(
        "german_credit",
        data,
        binary(frame["credit_risk"], 1, "good_credit"),
        sensitive=in_data,
        extra_sensitive=people.drop(columns=in_data),
        also_drop=also_drop,
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("bad", "good"),
    )


@documented("bank_marketing")
def fetch_bank_marketing(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    subset: str = "additional",
    missing: str = "keep",
    keep_duration: bool = False,
    age_group: str = "25 or more",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load bank marketing: does a client subscribe to a term deposit?

    41,188 phone calls of a Portuguese bank. Protected: marital, age and `age_group`.

    Parameters
    ----------
    {place}
    subset : {"additional", "full"}, default="additional"
        The table with economic indicators, or the one of 45,211 calls without them.
    missing : {"keep", "drop"}, default="keep"
        The word "unknown" is read as a missing value. "drop" removes the rows that have one.
    keep_duration : bool, default=False
        Whether to keep the duration of the call, which is known only when the answer is.
    age_group : {"25 or more", "25 to 59"}, default="25 or more"
        How `age_group` splits the ages.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_bank_marketing
    >>> fetch_bank_marketing(missing="drop").data.shape  # doctest: +SKIP
    (30488, 19)
    """
    check_option("subset", subset, _BANK_FILES)
    check_option("missing", missing, ("keep", "drop"))
    check_option("age_group", age_group, _BANK_AGES)
    (frame,) = read_files("bank_marketing", [_BANK_FILES[subset]], data_home, download_if_missing)
    frame = frame.mask(frame == "unknown")
    if missing == "drop":
        frame = frame.dropna()
    inside = frame["age"].between(*_BANK_AGES[age_group])
    return finish(
        "bank_marketing",
        frame.drop(columns=["y"] if keep_duration else ["y", "duration"]),
        binary(frame["y"], "yes", "subscribed"),
        sensitive=["marital", "age"],
        extra_sensitive=pd.DataFrame(
            {"age_group": inside.map({True: age_group, False: f"not {age_group}"})}
        ),
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("no", "yes"),
    )


@documented("credit_default")
def fetch_credit_default(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    preparation: str = "usual",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load default of credit card clients: does a client in Taiwan miss the next payment?

    30,000 clients. Protected: SEX, EDUCATION, MARRIAGE, AGE and `age_group` (25 years).

    Parameters
    ----------
    {place}
    preparation : {"usual", "raw"}, default="usual"
        "usual" gives the codes of sex, marriage and education their names and counts the
        undocumented ones as "other". "raw" keeps the codes, as text.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_credit_default
    >>> fetch_credit_default().target.mean()  # doctest: +SKIP
    np.float64(0.2212)
    """
    check_option("preparation", preparation, ("usual", "raw"))
    (frame,) = read_files(
        "credit_default",
        ["default_of_credit_card_clients.csv"],
        data_home,
        download_if_missing,
    )
    target = binary(frame["default payment next month"], 1, "default")
    data = frame.drop(columns=["ID", "default payment next month"])
    if preparation == "usual":
        data = data.assign(
            SEX=translate(data["SEX"], _TAIWAN_SEX),
            EDUCATION=translate(data["EDUCATION"], _TAIWAN_EDUCATION),
            MARRIAGE=translate(data["MARRIAGE"], _TAIWAN_MARRIAGE),
        )
    else:
        data = codes_to_text(data, ["SEX", "EDUCATION", "MARRIAGE"])
    young = (frame["AGE"] < 25).map({True: "under 25", False: "25 or more"})
    return finish(
        "credit_default",
        data,
        target,
        sensitive=["SEX", "EDUCATION", "MARRIAGE", "AGE"],
        extra_sensitive=pd.DataFrame({"age_group": young}),
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("paid", "default"),
    )


@documented("fico_transrisk", extra="`sample_weight` (people with that score in that group)")
def fetch_fico_transrisk(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load FICO/TransRisk credit scores: what share of a group repays, by score?

    An aggregate, not a table of people: one row per group and score (4 x 198). `data` has the
    score (0 to 100) and the group, `target` the share without a default, and `sample_weight` the
    number of people, the density of the score times the size of the group. Protected: race.

    Parameters
    ----------
    {place}
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_fico_transrisk
    >>> fetch_fico_transrisk().data.shape  # doctest: +SKIP
    (792, 2)
    """
    share, defaults, totals = (
        # The header has a blank in "Non- Hispanic white".
        table.rename(columns=lambda name: name.replace("- ", "-"))
        for table in read_files("fico_transrisk", _FICO_FILES, data_home, download_if_missing)
    )
    groups = [name for name in share if name != "Score"]
    density = share[groups].diff().fillna(share[groups]) / 100
    frame = pd.concat(
        [
            pd.DataFrame(
                {
                    "score": share["Score"],
                    "race": group,
                    "repaid": 1 - defaults[group] / 100,
                    "people": density[group] * totals[group].iloc[0],
                }
            )
            for group in groups
        ],
        ignore_index=True,
    )
    return finish(
        "fico_transrisk",
        frame[["score", "race"]],
        frame["repaid"],
        sensitive=["race"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        sample_weight=frame["people"],
    )
