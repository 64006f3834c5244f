"""Loaders of tables about hiring, promotion and income from work."""

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

__all__ = ["fetch_nlsy79", "fetch_recruitment_utrecht", "fetch_ricci"]

_RICCI_RACE = {"W": "white", "B": "Black", "H": "Hispanic"}
_RICCI_PASS = 70
_NLSY_INCOMES = ["income90", "income96", "income06"]


@documented("ricci")
def fetch_ricci(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    keep_combined_score: bool = False,
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load Ricci: is a firefighter of New Haven eligible for promotion?

    118 candidates of 2003. Protected: Race.

    Parameters
    ----------
    {place}
    keep_combined_score : bool, default=False
        Whether to keep the combined score as a feature. The target says whether it is at least
        70, so that keeping it, as many papers do, gives the answer away.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_ricci
    >>> fetch_ricci().target.sum()  # doctest: +SKIP
    np.int64(56)
    """
    (frame,) = read_files("ricci", ["ricci.csv"], data_home, download_if_missing)
    data = frame.assign(Race=translate(frame["Race"], _RICCI_RACE))
    return finish(
        "ricci",
        data if keep_combined_score else data.drop(columns="Combine"),
        binary(frame["Combine"] >= _RICCI_PASS, True, "eligible"),
        sensitive=["Race"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("not eligible", "eligible"),
    )


@documented("recruitment_utrecht")
def fetch_recruitment_utrecht(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    company: str = "all",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load the Utrecht recruitment data: is an applicant (synthetic) invited?

    4,000 applications to four companies with different biases. Protected: gender (three values),
    nationality, sport, age.

    Parameters
    ----------
    {place}
    company : {"all", "A", "B", "C", "D"}, default="all"
        All companies with the company as a feature, or one of them. Pooling hides that company D
        favours women and company B men.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_recruitment_utrecht
    >>> fetch_recruitment_utrecht(company="B").target.mean()  # doctest: +SKIP
    np.float64(0.309)
    """
    check_option("company", company, ("all", "A", "B", "C", "D"))
    (frame,) = read_files(
        "recruitment_utrecht",
        ["recruitmentdataset-2022-1.3.csv"],
        data_home,
        download_if_missing,
    )
    if company != "all":
        frame = frame[frame["company"] == company].drop(columns="company")
    return finish(
        "recruitment_utrecht",
        frame.drop(columns=["Id", "decision"]),
        binary(frame["decision"], True),
        sensitive=["gender", "nationality", "sport", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=("not invited", "invited"),
    )


@documented("nlsy79")
def fetch_nlsy79(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    target: str = "income90",
    threshold: float | None = None,
    preparation: str = "usual",
    drop_sensitive: bool = False,
    as_frame: bool = True,
) -> Bunch:
    """Load the National Longitudinal Survey of Youth 1979: what does a person earn?

    4,908 people. Protected: gender, race (29 origins), age (years in 1979).

    Parameters
    ----------
    {place}
    target : {"income90", "income96", "income06"}, default="income90"
        Income of 1990, 1996 or 2006 in units of 10,000 US dollars. The other two are left out.
    threshold : float, default=None
        With a number, the target is 1 where the income exceeds it, else 0; 1.7 with income96 is
        the binary task of other packages. None predicts the income.
    preparation : {"usual", "raw"}, default="usual"
        "usual" turns the height, written as feet and inches without a separator (504 is 5 feet
        4), into inches. "raw" leaves it.
    {shape}

    {returns}

    Examples
    --------
    >>> from fairgroup.datasets import fetch_nlsy79
    >>> fetch_nlsy79().target.mean().round(4)  # doctest: +SKIP
    np.float64(1.8398)
    """
    check_option("target", target, _NLSY_INCOMES)
    check_option("preparation", preparation, ("usual", "raw"))
    (frame,) = read_files(
        "nlsy79", ["national_longitudinal_survey.csv.gz"], data_home, download_if_missing
    )
    data = frame.drop(columns=_NLSY_INCOMES)
    if preparation == "usual":
        data["height"] = 12 * (data["height"] // 100) + data["height"] % 100
    income = frame[target]
    return finish(
        "nlsy79",
        data,
        income if threshold is None else binary(income > threshold, True, target),
        sensitive=["gender", "race", "age"],
        drop_sensitive=drop_sensitive,
        as_frame=as_frame,
        target_names=None if threshold is None else ("lower income", "higher income"),
    )
