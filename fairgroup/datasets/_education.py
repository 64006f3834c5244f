"""Loaders of tables about schools and universities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from sklearn.utils import Bunch

from fairgroup.datasets._base import (
    PathLike,
    binary,
    check_option,
    documented,
    finish,
    ordered,
    read_files,
    translate,
)

__all__ = [
    "fetch_law_school",
    "fetch_oulad",
    "fetch_student_performance",
    "fetch_ufrgs_gpa",
]

_SEX = {0: "female", 1: "male"}
_LAW_FEATURES = ["decile1b", "decile3", "lsat", "ugpa", "zfygpa", "zgpa", "fulltime", "fam_inc"]
_LAW_FEATURES += ["tier"]
_KOMIYAMA = ["age", "decile1", "decile3", "fam_inc", "lsat", "ugpa", "gender", "race1", "cluster"]
_KOMIYAMA += ["fulltime", "bar"]
_STUDENT_FILES = {"mathematics": "student-mat.csv", "portuguese": "student-por.csv"}
_OULAD_AGES = ["0-35", "35-55", "55<="]
_OULAD_AREAS = [f"{low}-{low + 10}%" for low in range(0, 100, 10)]


@dataclass(frozen=True)
class _Version:
    """One of the tables that go by the name of law school, and how it is read."""

    file: str
    prepare: Callable[[pd.DataFrame], tuple[pd.DataFrame, pd.Series]]
    sensitive: tuple[str, ...]
    names: tuple[str, str] | None = ("not passed", "passed")


def _law_clean(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    race = frame["race"]
    data = frame[_LAW_FEATURES].assign(race=race, sex=translate(frame["male"], _SEX))
    return data, binary(frame["pass_bar"], 1)


def _law_black_white(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    race = translate(frame["racetxt"], {0: "Black", 1: "White"})
    return _law_clean(frame.assign(race=race))


def _law_raw(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    frame = frame[frame["pass_bar"].notna()]
    data = frame[_LAW_FEATURES].assign(race=frame["race1"], sex=frame["gender"])
    return data, binary(frame["pass_bar"], 1)


def _law_grades(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    sex = translate(frame["sex"], {1: "female", 2: "male"})
    return frame[["LSAT", "UGPA", "race"]].assign(sex=sex), frame["ZFYA"]


def _law_komiyama(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    frame = frame[_KOMIYAMA].dropna().rename(columns={"race1": "race", "gender": "sex"})
    # The table holds minus the age at the bar examination (7 - 69 = -62 for 1907 and 1969).
    data = frame.drop(columns="ugpa").assign(age=-frame["age"])
    return data, frame["ugpa"]


_LAW_VERSIONS = {
    "first_attempt": _Version("law_school_clean.csv", _law_clean, ("race", "sex")),
    "black_white": _Version("law_dataset.csv", _law_black_white, ("race", "sex")),
    "eventually": _Version("lsac.csv.gz", _law_raw, ("race", "sex")),
    "first_year_grades": _Version("law_data.csv", _law_grades, ("race", "sex"), None),
    "undergraduate_grades": _Version("lsac.csv.gz", _law_komiyama, ("race", "sex", "age"), None),
}


@documented("law_school")
def fetch_law_school(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    version: str = "first_attempt",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load law school: does a law student pass the bar examination, or with what grades?

    Students who entered US law schools in 1991. Protected: race, sex; in one version also age.
    Tables that share this name hold different tasks, so the version has to be stated with every
    result.

    Parameters
    ----------
    {place}
    version : {"first_attempt", "black_white", "eventually", "first_year_grades", \
"undergraduate_grades"}, default="first_attempt"
        "first_attempt": 20,798 people, passed at the first attempt, race White or Non-White (Le
        Quy et al., 2022). "black_white": its 18,692 Black and white people. "eventually": the
        23,103 people of the full table with a result, passed in the end. "first_year_grades":
        21,791 people, standardised first-year grades from LSAT and undergraduate grades (Kusner
        et al., 2017). "undergraduate_grades": 20,800 people, undergraduate grade point average,
        with age (only its order is meaningful) as a third protected attribute (Komiyama et al.,
        2018).
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_law_school
    >>> fetch_law_school(version="black_white").target.mean().round(4)  # doctest: +SKIP
    np.float64(0.9018)
    """
    check_option("version", version, _LAW_VERSIONS)
    chosen = _LAW_VERSIONS[version]
    (frame,) = read_files("law_school", [chosen.file], data_home, download_if_missing)
    data, target = chosen.prepare(frame)
    return finish(
        "law_school",
        data,
        target,
        sensitive=chosen.sensitive,
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=chosen.names,
    )


@documented("student_performance")
def fetch_student_performance(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    subject: str = "mathematics",
    target: str = "grade",
    earlier_grades: bool = False,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load student performance: what final grade do Portuguese pupils get?

    395 pupils in mathematics, 649 in Portuguese. Protected: sex, school, address (urban or
    rural), age and `age_group` (18 years).

    Parameters
    ----------
    {place}
    subject : {"mathematics", "portuguese"}, default="mathematics"
        The file.
    target : {"grade", "pass"}, default="grade"
        The final grade G3 (0 to 20), or whether it is at least 10.
    earlier_grades : bool, default=False
        Whether to keep G1 and G2, the grades of the first two periods, which nearly give the
        final one away.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_student_performance
    >>> fetch_student_performance(target="pass").target.mean().round(4)  # doctest: +SKIP
    np.float64(0.6709)
    """
    check_option("subject", subject, _STUDENT_FILES)
    check_option("target", target, ("grade", "pass"))
    (frame,) = read_files(
        "student_performance", [_STUDENT_FILES[subject]], data_home, download_if_missing
    )
    adult = (frame["age"] >= 18).map({True: "18 or older", False: "under 18"})
    passed = target == "pass"
    return finish(
        "student_performance",
        frame.drop(columns=["G3"] if earlier_grades else ["G1", "G2", "G3"]),
        binary(frame["G3"] >= 10, True, "passed") if passed else frame["G3"],
        sensitive=["sex", "school", "address", "age"],
        extra_sensitive=pd.DataFrame({"age_group": adult}),
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("failed", "passed") if passed else None,
    )


@documented("oulad", extra="`groups` (the student, who may occur in several courses)")
def fetch_oulad(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load OULAD: does a student of the Open University pass a course?

    21,562 enrolments of 20,316 students. Protected: gender, disability, age_band, imd_band
    (deprivation of the area, from most to least deprived).

    Parameters
    ----------
    {place}
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_oulad
    >>> fetch_oulad().target.mean().round(4)  # doctest: +SKIP
    np.float64(0.6797)
    """
    (frame,) = read_files("oulad", ["oulad_clean.csv.gz"], data_home, download_if_missing)
    data = frame.drop(columns=["id_student", "final_result"])
    return finish(
        "oulad",
        data.assign(
            age_band=ordered(data["age_band"], _OULAD_AGES),
            imd_band=ordered(data["imd_band"], _OULAD_AREAS),
        ),
        binary(frame["final_result"], "Pass", "passed"),
        sensitive=["gender", "disability", "age_band", "imd_band"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("failed", "passed"),
        groups=frame["id_student"],
    )


@documented("ufrgs_gpa")
def fetch_ufrgs_gpa(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    target: str = "gpa",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load UFRGS: what grades do students of a Brazilian university get, given entrance scores?

    43,303 students, nine scores. Protected: gender.

    Parameters
    ----------
    {place}
    target : {"gpa", "at_least_3"}, default="gpa"
        The mean grade of the first three semesters (0 to 4), or whether it is at least 3.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_ufrgs_gpa
    >>> fetch_ufrgs_gpa().target.mean().round(4)  # doctest: +SKIP
    np.float64(2.7857)
    """
    check_option("target", target, ("gpa", "at_least_3"))
    (frame,) = read_files(
        "ufrgs_gpa", ["ufrgs_entrance_exam_and_gpa.csv.gz"], data_home, download_if_missing
    )
    data = frame.drop(columns="gpa")
    gpa = frame["gpa"]
    return finish(
        "ufrgs_gpa",
        data.assign(gender=translate(data["gender"], _SEX)),
        gpa if target == "gpa" else binary(gpa >= 3, True, target),
        sensitive=["gender"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=None if target == "gpa" else ("below 3", "at least 3"),
    )
