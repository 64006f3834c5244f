"""Loaders of the two tables for learning to rank."""

from __future__ import annotations

import pandas as pd
from sklearn.utils import Bunch

from fairgroup.datasets._base import PathLike, documented, finish, read_files, translate

__all__ = ["fetch_engineering_students", "fetch_trec_w3c_experts"]

_QUERIES_PER_FOLD = 10
_STUDENT_FILES = ("engineering_students_gender.csv", "engineering_students_highschool.csv")
_GENDER = {0: "male", 1: "female"}
_SCHOOL = {0: "other", 1: "public"}


@documented(
    "trec_w3c_experts", extra="`query` (1 to 60), `fold` (1 to 6: the fold whose test part it is)"
)
def fetch_trec_w3c_experts(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load the W3C experts: who is an expert on the topic of a query?

    12,190 candidates of 60 queries, five retrieval scores, and a judgement between 0 and 1.
    Protected: gender.

    Parameters
    ----------
    {place}
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_trec_w3c_experts
    >>> fetch_trec_w3c_experts().query.nunique()  # doctest: +SKIP
    60
    """
    (frame,) = read_files(
        "trec_w3c_experts", ["trec_w3c_experts_total.csv"], data_home, download_if_missing
    )
    data = frame.drop(columns=["query_id", "judgement"])
    return finish(
        "trec_w3c_experts",
        data.assign(gender=translate(data["gender"], _GENDER)),
        frame["judgement"],
        sensitive=["gender"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        query=frame["query_id"],
        fold=((frame["query_id"] - 1) // _QUERIES_PER_FOLD + 1).rename("fold"),
    )


@documented("engineering_students", extra="`query` (year of entrance, 1 to 5)")
def fetch_engineering_students(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load engineering students: how well does an applicant do in the first year?

    2,403 students of five years at a school in Chile. Protected: gender, highschool. The year of
    entrance is the query, so that four years train and one tests.

    Parameters
    ----------
    {place}
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_engineering_students
    >>> fetch_engineering_students().data.shape  # doctest: +SKIP
    (2403, 6)
    """
    frame, schools = read_files(
        "engineering_students", _STUDENT_FILES, data_home, download_if_missing
    )
    # The two files hold the same students in the same order.
    common = [name for name in frame if name in schools]
    if not frame[common].equals(schools[common]):
        raise ValueError("The two files of engineering_students do not hold the same students.")
    people = pd.DataFrame(
        {
            "gender": translate(frame["gender"], _GENDER),
            "highschool": translate(schools["highschool"], _SCHOOL),
        }
    )
    data = frame.drop(columns=["entrance_year", "gender", "score"])
    return finish(
        "engineering_students",
        pd.concat([people, data], axis=1),
        frame["score"],
        sensitive=["gender", "highschool"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        query=frame["entrance_year"],
    )
