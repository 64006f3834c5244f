"""Loader of the American Community Survey sample and its five prediction tasks.

The tasks are those of Ding, Hardt, Miller and Schmidt (2021), "Retiring Adult", appendix B.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from sklearn.utils import Bunch

from fairgroup.datasets._base import (
    PathLike,
    check_option,
    codes_to_text,
    documented,
    finish,
    read_files,
    translate,
)

__all__ = ["fetch_acs_alabama_2017"]


@dataclass(frozen=True)
class _Task:
    """Who takes part, what is asked (both for ``DataFrame.eval``), and with which features."""

    who: str
    question: str
    names: tuple[str, str]
    features: tuple[str, ...]


_PERSON: tuple[str, ...] = (
    "AGEP",
    "SCHL",
    "MAR",
    "SEX",
    "RAC1P",
    "DIS",
    "CIT",
    "MIL",
    "ANC",
    "NATIVITY",
)
_PERSON += ("DEAR", "DEYE", "DREM", "ESP")
_TASKS = {
    "ACSIncome": _Task(
        "AGEP > 16 and PINCP > 100 and WKHP > 0 and PWGTP >= 1",
        "PINCP > 50000",
        ("at most 50,000 dollars", "more than 50,000 dollars"),
        ("AGEP", "COW", "SCHL", "MAR", "OCCP", "POBP", "RELP", "WKHP", "SEX", "RAC1P"),
    ),
    "ACSEmployment": _Task(
        "AGEP > 16 and AGEP < 90 and PWGTP >= 1",
        "ESR == 1",
        ("not employed", "employed"),
        (*_PERSON, "RELP", "MIG"),
    ),
    "ACSPublicCoverage": _Task(
        "AGEP < 65 and PINCP <= 30000",
        "PUBCOV == 1",
        ("no public health insurance", "public health insurance"),
        (*_PERSON, "MIG", "PINCP", "ESR", "ST", "FER"),
    ),
    "ACSMobility": _Task(
        "AGEP > 18 and AGEP < 35",
        "MIG == 1",
        ("moved", "same address as a year ago"),
        (*_PERSON, "RELP", "GCL", "COW", "ESR", "WKHP", "JWMNP", "PINCP"),
    ),
    "ACSTravelTime": _Task(
        "AGEP > 16 and PWGTP >= 1 and ESR == 1",
        "JWMNP > 20",
        ("up to 20 minutes", "more than 20 minutes"),
        (
            *("AGEP", "SCHL", "MAR", "SEX", "DIS", "ESP", "MIG", "RELP", "RAC1P", "PUMA", "ST"),
            *("CIT", "OCCP", "JWTR", "POWPUMA", "POVPIP"),
        ),
    ),
}
# Blanks mean "not applicable". All other columns are codes.
_NUMBERS = ("AGEP", "WKHP", "PINCP", "JWMNP", "POVPIP", "SCHL")
_SEX = {1: "male", 2: "female"}
_RACE = {
    1: "White",
    2: "Black",
    3: "American Indian",
    4: "Alaska Native",
    5: "American Indian or Alaska Native, tribe not given",
    6: "Asian",
    7: "Pacific Islander",
    8: "other",
    9: "two or more",
}


@documented("acs_alabama_2017", extra="`sample_weight` (PWGTP, the weight of the survey)")
def fetch_acs_alabama_2017(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    task: str = "ACSIncome",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load a sample of the American Community Survey: Alabama 2017, five prediction tasks.

    5,000 people, of whom 2,321 take part in ACSIncome. Protected: SEX, RAC1P, AGEP.

    Parameters
    ----------
    {place}
    task : {"ACSIncome", "ACSEmployment", "ACSPublicCoverage", "ACSMobility", "ACSTravelTime"}, \
default="ACSIncome"
        The tasks of Ding et al. (2021), with their filters and features.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_acs_alabama_2017
    >>> fetch_acs_alabama_2017(task="ACSMobility").target.mean().round(4)  # doctest: +SKIP
    np.float64(0.7165)
    """
    check_option("task", task, _TASKS)
    (frame,) = read_files(
        "acs_alabama_2017",
        ["alabama_2017_person_sample.csv.gz"],
        data_home,
        download_if_missing,
    )
    what = _TASKS[task]
    frame = frame.rename(columns={"RELSHIPP": "RELP"})  # its name since 2019
    frame = frame[pd.Series(frame.eval(what.who))]
    data = frame[list(what.features)]
    data = codes_to_text(data, [c for c in what.features if c not in (*_NUMBERS, "SEX", "RAC1P")])
    data = data.assign(SEX=translate(data["SEX"], _SEX), RAC1P=translate(data["RAC1P"], _RACE))
    return finish(
        "acs_alabama_2017",
        data,
        pd.Series(frame.eval(what.question), dtype="int64", name=task),
        sensitive=["SEX", "RAC1P", "AGEP"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=what.names,
        sample_weight=frame["PWGTP"],
    )
