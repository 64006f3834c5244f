"""Loader of the survey on drug consumption."""

from __future__ import annotations

from sklearn.utils import Bunch

from fairgroup.datasets._base import (
    PathLike,
    binary,
    check_option,
    documented,
    finish,
    read_files,
    translate,
)

__all__ = ["fetch_drug_consumption"]

_DRUGS: tuple[str, ...] = (
    "Alcohol",
    "Amphet",
    "Amyl",
    "Benzos",
    "Caff",
    "Cannabis",
    "Choc",
    "Coke",
    "Crack",
)
_DRUGS += ("Ecstasy", "Heroin", "Ketamine", "Legalh", "LSD", "Meth", "Mushrooms", "Nicotine")
_DRUGS += ("Semer", "VSA")
# CL0 never, CL1 over a decade ago, CL2 last decade, CL3 last year, ...: the first level that
# counts.
_FIRST_LEVEL = {"ever": 1, "last_decade": 2, "last_year": 3, "last_month": 4}
# The file has one number per category; the table is the one in the description of the data set.
_CODES = {
    "Age": {
        -0.95197: "18-24",
        -0.07854: "25-34",
        0.49788: "35-44",
        1.09449: "45-54",
        1.82213: "55-64",
        2.59171: "65+",
    },
    "Gender": {0.48246: "female", -0.48246: "male"},
    "Education": {
        -2.43591: "left school before 16",
        -1.7379: "left school at 16",
        -1.43719: "left school at 17",
        -1.22751: "left school at 18",
        -0.61113: "some college",
        -0.05921: "professional certificate",
        0.45468: "university degree",
        1.16365: "master",
        1.98437: "doctorate",
    },
    "Country": {
        -0.09765: "Australia",
        0.24923: "Canada",
        -0.46841: "New Zealand",
        -0.28519: "other",
        0.21128: "Ireland",
        0.96082: "UK",
        -0.57009: "USA",
    },
    "Ethnicity": {
        -0.50212: "Asian",
        -1.10702: "Black",
        1.90725: "mixed Black and Asian",
        0.126: "mixed white and Asian",
        -0.22166: "mixed white and Black",
        0.1144: "other",
        -0.31685: "white",
    },
}


@documented("drug_consumption", extra="`usage` (DataFrame: CL0 to CL6 for all 19 substances)")
def fetch_drug_consumption(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    drug: str = "Cannabis",
    used: str = "ever",
    overclaimers: str = "drop",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load drug consumption: has a person used a drug?

    1,877 people of an online survey, with personality scores. Protected: Gender, Ethnicity,
    Country, Age (ordered bands).

    Parameters
    ----------
    {place}
    drug : str, default="Cannabis"
        Which of the 19 substances: a column of `usage`.
    used : {"ever", "last_decade", "last_year", "last_month"}, default="ever"
        What counts as use.
    overclaimers : {"drop", "keep"}, default="drop"
        What to do with the eight people who say they used Semer, which does not exist.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_drug_consumption
    >>> fetch_drug_consumption(drug="Coke").target.mean().round(2)  # doctest: +SKIP
    np.float64(0.45)
    """
    check_option("drug", drug, _DRUGS)
    check_option("used", used, _FIRST_LEVEL)
    check_option("overclaimers", overclaimers, ("drop", "keep"))
    (frame,) = read_files(
        "drug_consumption", ["drug_consumption.data"], data_home, download_if_missing
    )
    if overclaimers == "drop":
        frame = frame[frame["Semer"] == "CL0"]
    named = {
        name: translate(frame[name], codes, ordered=name in ("Age", "Education"))
        for name, codes in _CODES.items()
    }
    usage = frame[list(_DRUGS)]
    level = usage[drug].str.removeprefix("CL").astype("int64")
    return finish(
        "drug_consumption",
        frame.drop(columns=["ID", *_DRUGS]).assign(**named),
        binary(level >= _FIRST_LEVEL[used], True, f"{drug}_{used}"),
        sensitive=["Gender", "Ethnicity", "Country", "Age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("not used", "used"),
        usage=usage,
    )
