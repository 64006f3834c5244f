"""Loaders of insurance tables, four of motor policies with exposure and one of health charges."""

from __future__ import annotations

import numpy as np
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
)

__all__ = [
    "fetch_ausprivauto0405",
    "fetch_bemtpl97",
    "fetch_medical_cost",
    "fetch_pg15training",
    "fetch_swmotorcycle",
]

_PG15_CLAIMS = ["Numtppd", "Numtpbi", "Indtppd", "Indtpbi"]
_BELGIAN_CLAIMS = ["nclaims", "claim", "amount", "average"]
_AUSTRALIAN_CLAIMS = ["ClaimOcc", "ClaimNb", "ClaimAmount"]
_SWEDISH_CLAIMS = ["ClaimNb", "ClaimAmount"]
_AUSTRALIAN_AGES = ["youngest", "young", "working", "older work.", "old", "oldest"]
_AUSTRALIAN_CARS = ["youngest cars", "young cars", "old cars", "oldest cars"]


@documented("medical_cost")
def fetch_medical_cost(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    log_target: bool = False,
    drop_duplicates: bool = False,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load medical cost: the yearly charges of (simulated) members of a US health plan.

    1,338 people. Protected: sex, region, age. smoker is a risk factor, not a protected attribute.

    Parameters
    ----------
    {place}
    log_target : bool, default=False
        Whether to predict the natural logarithm of the charges.
    drop_duplicates : bool, default=False
        Whether to remove the one row that repeats another.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_medical_cost
    >>> fetch_medical_cost().target.mean().round(2)  # doctest: +SKIP
    np.float64(13270.42)
    """
    (frame,) = read_files("medical_cost", ["insurance.csv"], data_home, download_if_missing)
    if drop_duplicates:
        frame = frame.drop_duplicates()
    charges = frame["charges"]
    return finish(
        "medical_cost",
        frame.drop(columns="charges"),
        np.log(charges).rename("log_charges") if log_target else charges,
        sensitive=["sex", "region", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
    )


@documented(
    "pg15training",
    extra="`exposure` (years), `claims` (DataFrame: numbers and costs), `groups` (policy number)",
)
def fetch_pg15training(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    target: str = "Numtppd",
    preparation: str = "usual",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load pg15training: claims of French motor third-party policies, 2009 and 2010.

    100,000 policies. Protected: Gender, Occupation, Group2 (region), Age.

    Parameters
    ----------
    {place}
    target : {"Numtppd", "Numtpbi", "Indtppd", "Indtpbi"}, default="Numtppd"
        Number of material claims or of bodily-injury claims, or their cost in euro. No claim
        figure is a feature.
    preparation : {"usual", "raw"}, default="usual"
        "usual" removes the 21 rows at the top that repeat a policy, and the subregion (471
        levels). "raw" keeps all 100,021 rows and the subregion.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_pg15training
    >>> policies = fetch_pg15training()  # doctest: +SKIP
    >>> round(policies.target.sum() / policies.exposure.sum(), 6)  # doctest: +SKIP
    np.float64(0.164059)
    """
    check_option("target", target, _PG15_CLAIMS)
    check_option("preparation", preparation, ("usual", "raw"))
    (frame,) = read_files("pg15training", ["pg15training.csv.gz"], data_home, download_if_missing)
    if preparation == "usual":
        frame = frame.drop_duplicates(["PolNum", "CalYear"], keep="last")
        frame = frame.drop(columns="SubGroup2")
    data = frame.drop(columns=["PolNum", "Exppdays", *_PG15_CLAIMS])
    return finish(
        "pg15training",
        data.assign(Category=ordered(data["Category"], ["Small", "Medium", "Large"])),
        frame[target],
        sensitive=["Gender", "Occupation", "Group2", "Age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        exposure=(frame["Exppdays"] / 365).rename("exposure"),
        claims=frame[_PG15_CLAIMS],
        groups=frame["PolNum"],
    )


@documented("bemtpl97", extra="`exposure` (years), `claims` (DataFrame: numbers and costs)")
def fetch_bemtpl97(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    target: str = "nclaims",
    location: str = "coordinates",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load beMTPL97: claims of Belgian motor third-party policies in 1997.

    163,212 policies. Protected: sex, ageph (years).

    Parameters
    ----------
    {place}
    target : {"nclaims", "claim", "amount", "average"}, default="nclaims"
        Number of claims, whether there was one, their cost in euro, or the cost per claim. The
        last keeps only the policies with a claim.
    location : {"coordinates", "postcode", "none"}, default="coordinates"
        Which geographic columns to keep. They are proxies of whoever lives there.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_bemtpl97
    >>> fetch_bemtpl97(target="average").data.shape  # doctest: +SKIP
    (18276, 12)
    """
    check_option("target", target, _BELGIAN_CLAIMS)
    check_option("location", location, ("coordinates", "postcode", "none"))
    (frame,) = read_files("bemtpl97", ["beMTPL97.csv.gz"], data_home, download_if_missing)
    if target == "average":
        frame = frame[frame["nclaims"] > 0]
    unused = {"coordinates": ["postcode"], "postcode": ["long", "lat"]}
    data = frame.drop(columns=["id", "expo", *_BELGIAN_CLAIMS])
    data = codes_to_text(data, ["postcode"])
    return finish(
        "bemtpl97",
        data.drop(columns=unused.get(location, ["postcode", "long", "lat"])),
        frame[target],
        sensitive=["sex", "ageph"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("no claim", "claim") if target == "claim" else None,
        exposure=frame["expo"].rename("exposure"),
        claims=frame[_BELGIAN_CLAIMS],
    )


@documented("ausprivauto0405", extra="`exposure` (years), `claims` (DataFrame: numbers and costs)")
def fetch_ausprivauto0405(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    target: str = "ClaimOcc",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load ausprivauto0405: claims of Australian private motor policies, 2004 and 2005.

    67,856 policies. Protected: Gender, DrivAge (six ordered bands).

    Parameters
    ----------
    {place}
    target : {"ClaimOcc", "ClaimNb", "ClaimAmount"}, default="ClaimOcc"
        Whether there was a claim, how many, or their cost in Australian dollars.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_ausprivauto0405
    >>> fetch_ausprivauto0405().target.mean().round(4)  # doctest: +SKIP
    np.float64(0.0681)
    """
    check_option("target", target, _AUSTRALIAN_CLAIMS)
    (frame,) = read_files(
        "ausprivauto0405", ["ausprivauto0405.csv.gz"], data_home, download_if_missing
    )
    ages = [f"{age} people" for age in _AUSTRALIAN_AGES]
    data = frame.drop(columns=["Exposure", *_AUSTRALIAN_CLAIMS])
    return finish(
        "ausprivauto0405",
        data.assign(
            DrivAge=ordered(data["DrivAge"], ages),
            VehAge=ordered(data["VehAge"], _AUSTRALIAN_CARS),
        ),
        binary(frame[target], 1) if target == "ClaimOcc" else frame[target],
        sensitive=["Gender", "DrivAge"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("no claim", "claim") if target == "ClaimOcc" else None,
        exposure=frame["Exposure"].rename("exposure"),
        claims=frame[_AUSTRALIAN_CLAIMS],
    )


@documented("swmotorcycle", extra="`exposure` (years), `claims` (DataFrame: numbers and costs)")
def fetch_swmotorcycle(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    target: str = "ClaimNb",
    zero_exposure: str = "drop",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load swmotorcycle: claims of Swedish motorcycle policies, 1994 to 1998.

    62,474 policies with exposure. Protected: Gender, OwnerAge (years).

    Parameters
    ----------
    {place}
    target : {"ClaimNb", "ClaimAmount"}, default="ClaimNb"
        Number of claims, or their cost in Swedish crowns.
    zero_exposure : {"drop", "keep"}, default="drop"
        What to do with the 2,074 rows whose exposure is zero, which have no claim rate.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_swmotorcycle
    >>> fetch_swmotorcycle().data.shape  # doctest: +SKIP
    (62474, 6)
    """
    check_option("target", target, _SWEDISH_CLAIMS)
    check_option("zero_exposure", zero_exposure, ("drop", "keep"))
    (frame,) = read_files("swmotorcycle", ["swmotorcycle.csv.gz"], data_home, download_if_missing)
    if zero_exposure == "drop":
        frame = frame[frame["Exposure"] > 0]
    return finish(
        "swmotorcycle",
        frame.drop(columns=["Exposure", *_SWEDISH_CLAIMS]),
        frame[target],
        sensitive=["Gender", "OwnerAge"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        exposure=frame["Exposure"].rename("exposure"),
        claims=frame[_SWEDISH_CLAIMS],
    )
