"""Loaders of tables about crime and courts: COMPAS, Communities and Crime."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from sklearn.utils import Bunch

from fairgroup.datasets._base import PathLike, check_option, documented, finish, read_files

__all__ = ["fetch_communities_crime", "fetch_compas"]

_COMPAS_FILES = {
    "general": "compas-scores-two-years.csv",
    "violent": "compas-scores-two-years-violent.csv",
    "all_scores": "compas-scores.csv.gz",
}
# A list of what is kept, not of what is dropped: a column that nobody thought of cannot leak a
# name or the outcome.
_COMPAS_USUAL = [
    "sex",
    "age",
    "age_cat",
    "race",
    "juv_fel_count",
    "juv_misd_count",
    "juv_other_count",
    "priors_count",
    "c_charge_degree",
]
_COMPAS_EXTENDED = ["days_b_screening_arrest", "c_days_from_compas", "c_charge_desc"]
_COMPAS_SCORES = ["decile_score", "score_text", "v_decile_score", "v_score_text"]
_LAST_FOLLOWED = "2014-04-01"

_CRIME_FILES = {
    "normalised": "communities.data",
    "unnormalised": "CommViolPredUnnormalizedData.csv",
}
_CRIME_TARGET = "ViolentCrimesPerPop"
_CRIME_PROTECTED = ["racepctblack", "racePctWhite", "racePctHisp", "PctForeignBorn"]
_CRIME_PLACE = ["state", "county", "community", "communityname", "fold"]
_CRIME_PLACE += ["countyCode", "communityCode"]
_CRIME_FIRST_OUTCOME = "murders"  # the unnormalised file ends with 18 crime figures


@documented("compas", extra="`scores` (DataFrame: the COMPAS scores, 1 to 10 and as words)")
def fetch_compas(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    subset: str = "general",
    preparation: str = "propublica",
    features: str = "usual",
    cutoff_correction: bool = False,
    races: Sequence[str] | None = None,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load COMPAS: is a person charged again within two years?

    6,172 people after ProPublica's filter. Protected: race, sex, age. Names, birth dates, case
    numbers and all dates are left out, and so is whatever became known only afterwards.

    Parameters
    ----------
    {place}
    subset : {"general", "violent", "all_scores"}, default="general"
        The file: any new charge, violent charges only, or everyone who was given a score (target
        `is_recid`, which is -1 where the outcome is not known; the filter removes those).
    preparation : {"propublica", "raw"}, default="propublica"
        ProPublica's filter keeps the rows whose charge lies within 30 days of the score, whose
        outcome is known, whose charge is not an ordinary traffic offence and that have a score.
        "raw" keeps every row.
    features : {"usual", "extended"}, default="usual"
        "usual": sex, age, age_cat, race, priors_count, c_charge_degree and the juvenile counts.
        "extended": also the text of the charge and the days between charge, arrest and score.
    cutoff_correction : bool, default=False
        Whether to remove the people screened after 1 April 2014. They could not be followed for
        two years and are in the file almost only if they were charged again (Barenstein, 2019).
    races : sequence of str, default=None
        Keep only these values of `race`, often ``("African-American", "Caucasian")``. None keeps
        everyone.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_compas
    >>> compas = fetch_compas()  # doctest: +SKIP
    >>> compas.data.shape  # doctest: +SKIP
    (6172, 9)
    """
    check_option("subset", subset, _COMPAS_FILES)
    check_option("preparation", preparation, ("propublica", "raw"))
    check_option("features", features, ("usual", "extended"))
    (frame,) = read_files("compas", [_COMPAS_FILES[subset]], data_home, download_if_missing)
    if preparation == "propublica":
        frame = frame[_propublica_filter(frame, violent=subset == "violent")]
    if cutoff_correction:
        frame = frame[frame["compas_screening_date"] <= _LAST_FOLLOWED]
    if races is not None:
        frame = frame[frame["race"].isin(_known_races(frame, races))]
    target = frame["is_recid" if subset == "all_scores" else "two_year_recid"].astype("int64")
    return finish(
        "compas",
        frame[_COMPAS_USUAL + (_COMPAS_EXTENDED if features == "extended" else [])],
        target,
        sensitive=["race", "sex", "age"],
        also_drop=["age_cat"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("no new charge", "new charge"),
        scores=frame[_COMPAS_SCORES],
    )


def _propublica_filter(frame: pd.DataFrame, *, violent: bool) -> pd.Series:
    score = "v_score_text" if violent else "score_text"  # the text N/A is read as missing
    return (
        frame["days_b_screening_arrest"].between(-30, 30)
        & (frame["is_recid"] != -1)
        & (frame["c_charge_degree"] != "O")
        & frame[score].notna()
    )


def _known_races(frame: pd.DataFrame, races: Sequence[str]) -> list[str]:
    known = set(frame["race"])
    wrong = [race for race in races if race not in known]
    if isinstance(races, str) or not races or wrong:
        raise ValueError(
            f"races must be a sequence of values out of {sorted(known)}; found {races!r}."
        )
    return list(races)


@documented("communities_crime")
def fetch_communities_crime(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    subset: str = "normalised",
    preparation: str = "usual",
    threshold: float | None = None,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load Communities and Crime: violent crimes per population of US communities.

    1,994 communities, 99 features. Protected: the shares of Black, white, Hispanic and
    foreign-born people, four continuous attributes; in the normalised file also `black_group`,
    whether the scaled share of Black people is at least 0.06.

    Parameters
    ----------
    {place}
    subset : {"normalised", "unnormalised"}, default="normalised"
        Values scaled to 0 to 1 and clipped, or 2,215 communities in raw units (crimes per
        100,000).
    preparation : {"usual", "raw"}, default="usual"
        "usual" leaves out the name of the place, the suggested fold, the police columns (five of
        six communities have none) and OtherPerCap, and rows without the target. "raw" keeps every
        row and column but the other crime figures.
    threshold : float, default=None
        With a number, the target is 1 where violent crime exceeds it, else 0. None predicts the
        figure itself.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_communities_crime
    >>> fetch_communities_crime().data.shape  # doctest: +SKIP
    (1994, 99)
    """
    check_option("subset", subset, _CRIME_FILES)
    check_option("preparation", preparation, ("usual", "raw"))
    (frame,) = read_files(
        "communities_crime", [_CRIME_FILES[subset]], data_home, download_if_missing
    )
    if preparation == "usual":
        frame = frame[frame[_CRIME_TARGET].notna()]
    first_outcome = _CRIME_TARGET if subset == "normalised" else _CRIME_FIRST_OUTCOME
    data = frame.loc[:, : str(first_outcome)].drop(columns=first_outcome)
    if preparation == "usual":
        police = [c for c in data if data[c].isna().mean() > 0.5]
        names = {*_CRIME_PLACE, *police, "OtherPerCap"}
        data = data.drop(columns=[c for c in data if c in names])
    target = frame[_CRIME_TARGET]
    if threshold is not None:
        target = (target > threshold).astype("int64").where(target.notna())
    groups = None
    if subset == "normalised":
        black = (frame["racepctblack"] >= 0.06).map({False: "below 0.06", True: "0.06 or more"})
        groups = pd.DataFrame({"black_group": black})
    return finish(
        "communities_crime",
        data,
        target,
        sensitive=_CRIME_PROTECTED,
        extra_sensitive=groups,
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=None if threshold is None else ("less violent crime", "more violent crime"),
    )
