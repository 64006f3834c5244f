"""Loaders of tables about patients: diabetes readmission, heart disease, arrhythmia."""

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
    ordered,
    read_files,
    translate,
)

__all__ = ["fetch_arrhythmia", "fetch_diabetes_130", "fetch_heart_disease"]

_DEATH_OR_HOSPICE = [11, 13, 14, 19, 20, 21]
_ENCOUNTER_CODES = ["admission_type_id", "discharge_disposition_id", "admission_source_id"]
_DECADES = [f"[{age}-{age + 10})" for age in range(0, 100, 10)]
# Chapters of ICD-9 as in Strack et al. (2014), table 2: first and last whole number.
_DIAGNOSES = {
    "circulatory": [(390, 459), (785, 785)],
    "respiratory": [(460, 519), (786, 786)],
    "digestive": [(520, 579), (787, 787)],
    "diabetes": [(250, 250)],
    "injury": [(800, 999)],
    "musculoskeletal": [(710, 739)],
    "genitourinary": [(580, 629), (788, 788)],
    "neoplasms": [(140, 239)],
}
_HEART_SITES = ("cleveland", "hungarian", "switzerland", "va")
_HEART_CODES = ["cp", "fbs", "restecg", "exang", "slope", "thal"]
_TALLEST = 250  # cm; the table has people of 608 and 780 cm


@documented("diabetes_130", extra="`groups` (the patient; several encounters with raw)")
def fetch_diabetes_130(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    target: str = "within_30_days",
    preparation: str = "usual",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load diabetes 130-US hospitals: is a patient admitted again?

    69,987 patients. Protected: race (missing for some), gender, age (ten-year bands).

    Parameters
    ----------
    {place}
    target : {"within_30_days", "ever"}, default="within_30_days"
        Readmission within 30 days, or at any time.
    preparation : {"usual", "raw"}, default="usual"
        "usual" removes encounters that end in death or hospice, keeps the first encounter of each
        patient in the file, removes three people of unknown gender, leaves out weight and
        payer_code, and puts diagnoses into nine groups (Strack et al., 2014). "raw" keeps all
        101,766 encounters and columns but the identifiers; split them by `groups`.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_diabetes_130
    >>> fetch_diabetes_130(preparation="raw").target.mean().round(4)  # doctest: +SKIP
    np.float64(0.1116)
    """
    check_option("target", target, ("within_30_days", "ever"))
    check_option("preparation", preparation, ("usual", "raw"))
    (frame,) = read_files("diabetes_130", ["diabetic_data.csv.gz"], data_home, download_if_missing)
    if preparation == "usual":
        frame = frame[~frame["discharge_disposition_id"].isin(_DEATH_OR_HOSPICE)]
        frame = frame.drop_duplicates("patient_nbr")
        frame = frame[frame["gender"] != "Unknown/Invalid"]
        diagnoses = {name: _diagnosis(frame[name]) for name in ("diag_1", "diag_2", "diag_3")}
        frame = frame.drop(columns=["weight", "payer_code"]).assign(**diagnoses)
    readmitted = frame["readmitted"]
    data = frame.drop(columns=["encounter_id", "patient_nbr", "readmitted"])
    data = codes_to_text(data, _ENCOUNTER_CODES)
    return finish(
        "diabetes_130",
        data.assign(age=ordered(data["age"], _DECADES)),
        binary(readmitted == "<30" if target == "within_30_days" else readmitted != "NO", True),
        sensitive=["race", "gender", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("not readmitted", "readmitted"),
        groups=frame["patient_nbr"],
    )


def _diagnosis(codes: pd.Series) -> pd.Series:
    """Chapter of an ICD-9 code; codes with letters are "other", missing ones stay missing."""
    number = pd.to_numeric(codes, errors="coerce") // 1
    chapter = pd.Series("other", index=codes.index, name=codes.name)
    for name, ranges in _DIAGNOSES.items():
        for first, last in ranges:
            chapter[number.between(first, last)] = name
    return chapter.where(codes.notna())


@documented("heart_disease", extra="`groups` (the hospital)")
def fetch_heart_disease(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    site: str = "cleveland",
    missing: str = "keep",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load heart disease: does angiography show a disease?

    303 patients in Cleveland, 920 at four hospitals. Protected: sex, age.

    Parameters
    ----------
    {place}
    site : {"cleveland", "hungarian", "switzerland", "va", "all"}, default="cleveland"
        The hospital; "va" is Long Beach, "all" puts the four below each other.
    missing : {"keep", "drop"}, default="keep"
        What to do with rows that have a missing value; Cleveland has six, elsewhere hardly a row
        is complete. A cholesterol of zero is read as missing.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_heart_disease
    >>> fetch_heart_disease(missing="drop").data.shape  # doctest: +SKIP
    (297, 13)
    """
    check_option("site", site, (*_HEART_SITES, "all"))
    check_option("missing", missing, ("keep", "drop"))
    sites = _HEART_SITES if site == "all" else (site,)
    parts = read_files(
        "heart_disease",
        [f"processed.{name}.data" for name in sites],
        data_home,
        download_if_missing,
    )
    frame = pd.concat(
        [part.assign(hospital=name) for part, name in zip(parts, sites, strict=True)],
        ignore_index=True,
    )
    frame["chol"] = frame["chol"].mask(frame["chol"] == 0)
    if missing == "drop":
        frame = frame.dropna()
    data = codes_to_text(frame.drop(columns=["num", "hospital"]), _HEART_CODES)
    return finish(
        "heart_disease",
        data.assign(sex=translate(data["sex"], {0: "female", 1: "male"})),
        binary(frame["num"] > 0, True, "disease"),
        sensitive=["sex", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("no disease", "disease"),
        groups=frame["hospital"],
    )


@documented("arrhythmia")
def fetch_arrhythmia(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    preparation: str = "usual",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load arrhythmia: is an electrocardiogram normal?

    452 patients, 279 attributes. Protected: sex, age. The target is 1 for a normal one.

    Parameters
    ----------
    {place}
    preparation : {"usual", "raw"}, default="usual"
        "usual" leaves out the attribute that is missing in five of six rows and the 17 constant
        ones, and reads impossible heights as missing. "raw" keeps everything.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_arrhythmia
    >>> fetch_arrhythmia().data.shape  # doctest: +SKIP
    (452, 261)
    """
    check_option("preparation", preparation, ("usual", "raw"))
    (frame,) = read_files("arrhythmia", ["arrhythmia.data"], data_home, download_if_missing)
    names = ["age", "sex", "height", "weight", *(f"ecg_{i}" for i in range(4, 279)), "class"]
    frame = frame.set_axis(names, axis=1)
    data = frame.drop(columns="class")
    if preparation == "usual":
        data["height"] = data["height"].mask(data["height"] > _TALLEST)
        mostly_missing = data.columns[data.isna().mean() > 0.5]
        constant = data.columns[data.nunique() <= 1]
        data = data.drop(columns=mostly_missing.union(constant))
    return finish(
        "arrhythmia",
        data.assign(sex=translate(data["sex"], {0: "male", 1: "female"})),
        binary(frame["class"], 1, "normal"),
        sensitive=["sex", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("arrhythmia", "normal"),
    )
