"""The loaders against the figures that were measured on the real files.

`measured` holds row counts, base rates and missing values computed from the files by others than
the loaders. No test prints a row of COMPAS.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest

from fairgroup import datasets
from fairgroup.datasets._registry import dataset_ids, describe

DOWNLOADED = [name for name in dataset_ids() if not describe(name).embedded]


@pytest.fixture(scope="module")
def measured(data_home):
    return json.loads((data_home / "manifest.json").read_text())["measured"]


@pytest.fixture(scope="module")
def load(data_home):
    """Loader of a data set from the real files, never from a server; each result is kept."""

    @cache
    def load(dataset_id, **options):
        return datasets.fetch(
            dataset_id, data_home=data_home, download_if_missing=False, **options
        )

    return load


def rates(bunch, by, values=None):
    """Mean of the target, or of other values, for each level of a protected attribute."""
    values = bunch.target if values is None else values
    groups = bunch.sensitive_features[by] if isinstance(by, str) else by
    return {str(k): v for k, v in values.groupby(groups, observed=True).mean().items()}


def counts(column):
    return {str(k): v for k, v in column.value_counts().items()}


def missing(data):
    found = data.isna().sum()
    return found[found > 0].to_dict()


def rename(expected, **names):
    """Give the levels of the measured figures the names that the loader uses."""
    return {names.get(f"_{key}", key): value for key, value in expected.items()}


def close(found, expected, digits=4):
    """Equal after rounding to the digits with which a figure was written down."""
    return found == pytest.approx(expected, abs=0.5001 * 10**-digits)


# Every loader


@pytest.mark.parametrize("dataset_id", DOWNLOADED)
def test_the_bunch_is_complete(load, dataset_id):
    bunch = load(dataset_id)
    facts = describe(dataset_id)
    n = facts.rows
    assert len(bunch.data) == len(bunch.target) == len(bunch.sensitive_features) == n
    assert bunch.frame.shape == (n, bunch.data.shape[1] + 1)
    assert list(bunch.data.columns) == bunch.feature_names
    assert list(bunch.sensitive_features.columns) == bunch.sensitive_names
    assert set(facts.protected) <= set(bunch.sensitive_names)
    assert set(bunch.sensitive_names) - set(facts.protected) <= {"age_group", "black_group"}
    assert bunch.target.name not in bunch.data
    assert bunch.target.notna().all()
    assert not bunch.data.columns.duplicated().any()
    assert (bunch.DESCR, bunch.licence) == (datasets._sheets.render(facts), facts.licence)
    assert (bunch.source, bunch.citation) == (facts.source, facts.citation)
    assert bunch.warnings == list(facts.warnings)
    if bunch.target_names is not None:
        assert set(bunch.target) == {0, 1}
    for column in bunch.data:
        kind = bunch.data[column].dtype
        assert isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_numeric_dtype(kind)
    for name in bunch.sensitive_features.select_dtypes("category"):
        assert all(
            isinstance(level, str) for level in bunch.sensitive_features[name].cat.categories
        )
    for key in ("exposure", "sample_weight", "query", "groups", "claims", "scores", "usage"):
        if key in bunch:
            assert bunch[key].index.equals(bunch.data.index)
    assert ("exposure" in bunch) == bool(facts.exposure)


@pytest.mark.parametrize("dataset_id", DOWNLOADED)
def test_arrays_hold_the_same_and_the_protected_columns_can_be_left_out(load, dataset_id):
    bunch = load(dataset_id)
    arrays = load(dataset_id, as_frame=False, drop_sensitive=True)
    left = [c for c in bunch.feature_names if c in arrays.feature_names]
    assert arrays.feature_names == left
    assert not set(arrays.feature_names) & set(bunch.sensitive_names)
    assert arrays.frame is None
    for key in ("data", "target", "sensitive_features"):
        assert type(arrays[key]) is np.ndarray
    np.testing.assert_array_equal(arrays.target, bunch.target.to_numpy())
    assert arrays.data.shape == (len(bunch.data), len(left))
    assert arrays.sensitive_features.shape == bunch.sensitive_features.shape


# Census


@pytest.mark.parametrize(
    ("subset", "key"), [("train", "train"), ("test", "test"), ("all", "union")]
)
def test_adult(load, measured, subset, key):
    expected = measured["adult"][key]
    bunch = load("adult", subset=subset)
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["positive_rate"], 5)
    assert close(rates(bunch, "sex"), expected["by_sex"])
    assert close(rates(bunch, "race"), expected["by_race"])
    assert missing(bunch.data) == expected["missing"]
    assert len(load("adult", subset=subset, missing="drop").data) == expected["rows_complete"]
    raw = load("adult", subset=subset, preparation="raw")
    assert raw.frame.duplicated().sum() == expected["duplicates"]


def test_adult_usual_preparation(load):
    usual, raw = load("adult"), load("adult", preparation="raw")
    assert set(raw.feature_names) - set(usual.feature_names) == {"fnlwgt", "education"}
    assert (usual.sample_weight == raw.data["fnlwgt"]).all()
    # The blank after each comma, the first line of adult.test and the dots of its labels are gone.
    levels = raw.data["workclass"].cat.categories
    assert all(level == level.strip() for level in levels)
    assert raw.data["age"].between(17, 90).all()


def test_census_income_kdd(load, measured):
    expected = measured["census_income_kdd"]
    bunch = load("census_income_kdd")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["positive_rate"], 5)
    assert close(rates(bunch, "sex"), expected["by_sex"])
    assert close(rates(bunch, "race"), expected["by_race"])
    assert counts(bunch.sensitive_features["sex"]) == expected["counts_sex"]
    raw = load("census_income_kdd", preparation="raw")
    assert missing(raw.data) == expected["missing"]
    assert raw.frame.duplicated().sum() == expected["duplicates"]
    assert "instance_weight" in raw.data
    assert "instance_weight" not in bunch.data
    assert (bunch.sample_weight == raw.data["instance_weight"]).all()
    # The text NA of hispanic_origin is a category.
    assert counts(bunch.data["hispanic_origin"])["NA"] == 405
    adults = load("census_income_kdd", adults_only=True, missing="drop")
    assert adults.data["age"].min() >= 16
    assert not missing(adults.data)
    assert len(load("census_income_kdd", adults_only=True).data) == expected["rows_age_16_or_more"]
    assert len(adults.sample_weight) == len(adults.data)


def test_census_income_kdd_says_what_the_training_part_needs(load):
    with pytest.raises(FileNotFoundError, match=r"census-income\.data"):
        load("census_income_kdd", subset="all")


def test_dutch_census(load, measured, data_home):
    expected = measured["dutch_census"]
    bunch = load("dutch_census")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["positive_rate"])
    assert close(rates(bunch, "sex"), expected["by_sex"])
    assert counts(bunch.sensitive_features["sex"]) == expected["counts_sex"]
    assert bunch.frame.duplicated().sum() == expected["repeated_rows"]
    numbers = bunch.data.select_dtypes("number").columns
    assert list(numbers) == ["age", "edu_level"]
    arff = (data_home / "dutch_census" / "dutch_census_2001.arff").read_text().split("@data")[-1]
    last = [line.rsplit(",", 1)[-1].strip() for line in arff.split("\n") if line.count(",") == 11]
    assert [value == "2_1" for value in last] == bunch.target.astype(bool).to_list()


@pytest.mark.parametrize(
    "task", ["ACSIncome", "ACSEmployment", "ACSPublicCoverage", "ACSMobility", "ACSTravelTime"]
)
def test_acs(load, measured, task):
    expected = measured["acs_alabama_2017"][task]
    bunch = load("acs_alabama_2017", task=task)
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["positive_rate"])
    assert len(bunch.sample_weight) == expected["rows"]
    assert not {"ESR", "PUBCOV"} & set(bunch.feature_names) or task != "ACSEmployment"


def test_acs_income_groups(load, measured):
    expected = measured["acs_alabama_2017"]["ACSIncome"]
    bunch = load("acs_alabama_2017")
    names = {str(k): v for k, v in datasets._acs._RACE.items()}
    by_race = {names[k]: v for k, v in expected["by_RAC1P"].items()}
    assert close(rates(bunch, "RAC1P"), by_race)
    assert counts(bunch.data["RAC1P"]) == {
        names[k]: v for k, v in expected["counts_RAC1P"].items()
    }
    assert close(rates(bunch, "SEX"), rename(expected["by_SEX"], _1="male", _2="female"))


# Justice


@pytest.mark.parametrize("subset", ["general", "violent"])
def test_compas(load, measured, subset):
    expected = measured["compas"][subset]
    raw = load("compas", subset=subset, preparation="raw")
    assert len(raw.data) == expected["rows"]
    assert close(raw.target.mean(), expected["rate"])
    bunch = load("compas", subset=subset)
    assert len(bunch.data) == expected["filtered_rows"]
    assert close(bunch.target.mean(), expected["filtered_rate"])
    assert close(rates(bunch, "race"), expected["filtered_by_race"])
    assert close(rates(bunch, "sex"), expected["filtered_by_sex"])
    assert counts(bunch.sensitive_features["race"]) == expected["filtered_race_counts"]
    two = load("compas", subset=subset, races=("African-American", "Caucasian"))
    assert len(two.data) == expected["rows_black_white"]
    assert close(two.target.mean(), expected["rate_black_white"])
    assert list(two.data["race"].cat.categories) == ["African-American", "Caucasian"]


def test_compas_cutoff_correction(load, measured):
    expected = measured["compas"]["general"]["screened_until_2014_04_01"]
    bunch = load("compas", preparation="raw", cutoff_correction=True)
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["rate"])


def test_compas_all_scores(load, measured):
    expected = measured["compas"]["all_scores"]
    raw = load("compas", subset="all_scores", preparation="raw")
    assert len(raw.data) == expected["rows"]
    assert counts(raw.target) == expected["is_recid"]
    assert set(load("compas", subset="all_scores").target) == {0, 1}


def test_compas_scores_of_the_tool(load, measured):
    expected = measured["compas"]["general"]["score_5_or_more_FPR_FNR_unfiltered"]
    bunch = load("compas", preparation="raw")
    high = bunch.scores["decile_score"] >= 5
    for race, (fpr, fnr) in expected.items():
        here = bunch.sensitive_features["race"] == race
        assert close(high[here & (bunch.target == 0)].mean(), fpr)
        assert close(1 - high[here & (bunch.target == 1)].mean(), fnr)


@pytest.mark.parametrize("subset", ["general", "violent", "all_scores"])
def test_compas_holds_nothing_that_identifies_or_tells_the_outcome(load, data_home, subset):
    bunch = load("compas", subset=subset, preparation="raw", features="extended")
    name = datasets._justice._COMPAS_FILES[subset]
    file = pd.read_csv(data_home / "compas" / name)
    forbidden = ["id", "name", "first", "last", "dob", "event", "start", "end", "is_recid"]
    forbidden += [c for c in file if c.startswith(("r_", "vr_", "num_")) or "case" in c]
    forbidden += [c for c in file if c.endswith(("_date", "custody", "_in", "_out"))]
    shown = {*bunch.feature_names, *bunch.scores, *bunch.sensitive_names}
    assert not shown & set(forbidden)
    people = set(file["name"]) | set(file["last"]) | set(file["dob"])
    for table in (bunch.data, bunch.scores, bunch.sensitive_features):
        for column in table.select_dtypes(exclude="number"):
            leaked = bool(people & set(table[column].dropna().astype(str)))
            assert not leaked, column
    assert bunch.data["priors_count"].equals(file["priors_count"])


@pytest.mark.parametrize("races", ["Caucasian", (), ("Caucasian", "Martian")])
def test_compas_rejects_races_that_are_not_there(load, races):
    with pytest.raises(ValueError, match="races must be"):
        load("compas", races=races)


def test_communities_crime(load, measured):
    expected = measured["communities_crime"]["normalised"]
    bunch = load("communities_crime")
    assert bunch.data.shape == (expected["rows"], 99)
    assert not missing(bunch.data)
    assert close(bunch.target.mean(), expected["mean_target"], 3)
    assert bunch.target.median() == expected["median_target"]
    assert close(bunch.target.quantile(0.7), expected["quantile_70"], 2)
    groups = rates(bunch, "black_group")
    wanted = expected["mean_target_by_racepctblack_006"]
    assert close(groups, rename(wanted, _False="below 0.06", _True="0.06 or more"))
    found = counts(bunch.sensitive_features["black_group"])
    assert found["0.06 or more"] == expected["rows_racepctblack_006"]
    for name in ("racepctblack", "racePctWhite"):
        correlation = bunch.target.corr(bunch.sensitive_features[name])
        assert close(correlation, expected[f"corr_{name}"])
    binary = load("communities_crime", threshold=0.7)
    assert close(binary.target.mean(), expected["share_target_over_07"])
    raw = load("communities_crime", preparation="raw")
    assert raw.frame.shape[1] == expected["columns"]
    assert len(missing(raw.data)) == expected["columns_with_missing"]


def test_communities_crime_unnormalised(load, measured):
    expected = measured["communities_crime"]["unnormalised"]
    raw = load("communities_crime", subset="unnormalised", preparation="raw")
    assert len(raw.data) == expected["rows"]
    assert raw.target.isna().sum() == expected["target_missing"]
    assert close(raw.target.mean(), expected["mean_target"], 2)
    usual = load("communities_crime", subset="unnormalised")
    assert len(usual.data) == expected["rows"] - expected["target_missing"]
    assert raw.data.shape[1] == expected["columns"] - 18
    assert not any("Per" in name and name.startswith(("murd", "rapes")) for name in raw.data)
    with_threshold = load(
        "communities_crime", subset="unnormalised", preparation="raw", threshold=500
    )
    assert with_threshold.target.isna().sum() == expected["target_missing"]


# Banks


def test_german_credit(load, measured):
    expected = measured["german_credit"]
    bunch = load("german_credit")
    assert len(bunch.data) == expected["rows"]
    assert bunch.target.mean() == expected["good_rate"]
    assert close(rates(bunch, "sex"), expected["good_by_sex"])
    assert counts(bunch.sensitive_features["sex"]) == expected["counts_sex"]
    assert close(rates(bunch, "foreign_worker"), expected["good_by_foreign_worker"])
    over = rename(expected["good_by_age_over_25"], _False="25 or younger", _True="over 25")
    assert close(rates(bunch, "age_group"), over)
    other = load("german_credit", age_group="25 or more")
    wanted = rename(expected["good_by_age_25_or_more"], _False="under 25", _True="25 or more")
    assert close(rates(other, "age_group"), wanted)
    assert missing(bunch.data) == {}


def test_german_credit_without_protected_columns_cannot_tell_them(load):
    for preparation in ("usual", "numeric"):
        bunch = load("german_credit", preparation=preparation)
        dropped = load("german_credit", preparation=preparation, drop_sensitive=True)
        for name in ("sex", "age", "foreign_worker"):
            people = bunch.sensitive_features[name]
            for column in dropped.data:
                table = pd.crosstab(dropped.data[column], people)
                assert ((table > 0).sum(axis=1) > 1).any() or len(table) > 100, (column, name)


@pytest.mark.parametrize(
    ("subset", "key"), [("full", "bank_full"), ("additional", "bank_additional_full")]
)
def test_bank_marketing(load, measured, subset, key):
    expected = measured["bank_marketing"][key]
    bunch = load("bank_marketing", subset=subset)
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["yes_rate"], 5)
    known = {k: v for k, v in expected["by_marital"].items() if k != "unknown"}
    assert close(rates(bunch, "marital"), known)
    unknown = bunch.sensitive_features["marital"].isna()
    if "unknown" in expected["by_marital"]:
        assert close(bunch.target[unknown].mean(), expected["by_marital"]["unknown"])
    assert missing(bunch.data) == expected["unknown"]
    for option in ("25 or more", "25 to 59"):
        groups = load("bank_marketing", subset=subset, age_group=option)
        wanted = expected[f"by_age_{option.replace(' ', '_')}"]
        names = {"_True": option, "_False": f"not {option}"}
        assert close(rates(groups, "age_group"), rename(wanted, **names))
    complete = load("bank_marketing", subset=subset, missing="drop")
    assert len(complete.data) == expected["rows_without_unknown"]
    assert "duration" not in bunch.data
    with_duration = load("bank_marketing", subset=subset, keep_duration=True)
    assert with_duration.frame.duplicated().sum() == expected["duplicates"]


def test_credit_default(load, measured):
    expected = measured["credit_default"]
    bunch = load("credit_default")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["default_rate"])
    assert close(rates(bunch, "SEX"), rename(expected["by_sex"], _1="male", _2="female"))
    found = counts(bunch.sensitive_features["SEX"])
    assert found == rename(expected["counts_sex"], _1="male", _2="female")
    young = rename(expected["by_age_under_25"], _False="25 or more", _True="under 25")
    assert close(rates(bunch, "age_group"), young)
    assert missing(bunch.data) == {}
    raw = load("credit_default", preparation="raw")
    assert close(rates(raw, "MARRIAGE"), expected["by_marriage"])
    assert raw.frame.duplicated().sum() == expected["duplicates_without_id"]
    assert set(raw.data["EDUCATION"].cat.categories) == set("0123456")
    assert len(bunch.data["EDUCATION"].cat.categories) == 4


def test_fico_transrisk(load, measured):
    expected = measured["fico_transrisk"]
    bunch = load("fico_transrisk")
    race = bunch.sensitive_features["race"]
    assert counts(race) == {
        k.replace("- ", "-"): expected["score_steps"] for k in expected["people"]
    }
    people = bunch.sample_weight.groupby(race, observed=True).sum()
    defaults = (bunch.sample_weight * (1 - bunch.target)).groupby(race, observed=True).sum()
    for group, size in expected["people"].items():
        assert people[group.replace("- ", "-")] == pytest.approx(size, rel=1e-4)
    for group, rate in expected["overall_default_rate"].items():
        name = group.replace("- ", "-")
        assert defaults[name] / people[name] == pytest.approx(rate, abs=2e-3)


# Insurance


def test_medical_cost(load, measured):
    expected = measured["medical_cost"]
    bunch = load("medical_cost")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["mean_charges"], 2)
    assert close(bunch.target.std(), expected["std_charges"], 2)
    assert close(rates(bunch, "sex"), expected["mean_by_sex"], 2)
    assert close(rates(bunch, "region"), expected["mean_by_region"], 2)
    assert close(rates(bunch, bunch.data["smoker"]), expected["mean_by_smoker"], 2)
    assert counts(bunch.data["sex"]) == expected["counts_sex"]
    assert counts(bunch.data["smoker"]) == expected["counts_smoker"]
    assert missing(bunch.data) == {}
    without = load("medical_cost", drop_duplicates=True, log_target=True)
    assert len(bunch.data) - len(without.data) == expected["duplicates"]
    assert without.target.max() == pytest.approx(np.log(bunch.target.max()))


def frequency(bunch, by=None):
    total = pd.DataFrame({"claims": bunch.target, "years": bunch.exposure})
    if by is None:
        return total["claims"].sum() / total["years"].sum()
    sums = total.groupby(bunch.sensitive_features[by], observed=True).sum()
    return (sums["claims"] / sums["years"]).to_dict()


def test_pg15training(load, measured):
    expected = measured["pg15training"]
    raw = load("pg15training", preparation="raw")
    assert len(raw.data) == expected["rows"]
    assert raw.groups.nunique() == expected["unique_policies"]
    assert counts(raw.data["Gender"]) == expected["counts_gender"]
    assert counts(raw.data["CalYear"]) == expected["counts_year"]
    assert raw.claims["Numtppd"].sum() == expected["claims_material"]
    assert raw.claims["Numtpbi"].sum() == expected["claims_injury"]
    assert close(raw.exposure.sum(), expected["exposure_years"], 1)
    assert close(frequency(raw), expected["frequency_material"])
    assert close(frequency(raw, "Gender"), expected["frequency_material_by_gender"])
    injury = load("pg15training", preparation="raw", target="Numtpbi")
    assert close(frequency(injury, "Gender"), expected["frequency_injury_by_gender"])
    cost = load("pg15training", preparation="raw", target="Indtppd")
    assert close(rates(cost, "Gender"), expected["mean_cost_material_by_gender"], 2)
    assert missing(raw.data) == {}


def test_pg15training_without_the_repeated_policies(load):
    bunch = load("pg15training")
    assert bunch.groups.is_unique
    # Figures of the published study, which drops the first 21 rows.
    assert bunch.target.sum() == 14_724
    assert close(bunch.exposure.sum(), 89_748.0137)
    assert not {"Numtppd", "Numtpbi", "Indtppd", "Indtpbi", "PolNum"} & set(bunch.data)


def test_bemtpl97(load, measured):
    expected = measured["bemtpl97"]
    bunch = load("bemtpl97")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.exposure.sum(), expected["exposure_years"], 1)
    assert bunch.target.sum() == expected["claims"]
    assert close(frequency(bunch), expected["frequency"])
    assert close(frequency(bunch, "sex"), expected["frequency_by_sex"])
    assert counts(bunch.data["sex"]) == expected["counts_sex"]
    assert close(load("bemtpl97", target="claim").target.mean(), expected["share_with_claim"], 3)
    amount = load("bemtpl97", target="amount")
    assert close(amount.target.sum(), expected["total_amount"], 2)
    assert close(rates(amount, "sex"), expected["mean_amount_by_sex"], 2)
    severity = load("bemtpl97", target="average", location="postcode")
    assert (severity.claims["nclaims"] > 0).all()
    assert {"long", "lat"} & set(severity.data) == set()
    assert isinstance(severity.data["postcode"].dtype, pd.CategoricalDtype)
    assert not {"postcode", "long", "lat"} & set(load("bemtpl97", location="none").data)


def test_ausprivauto0405(load, measured):
    expected = measured["ausprivauto0405"]
    bunch = load("ausprivauto0405")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["claim_rate"], 5)
    assert close(rates(bunch, "Gender"), expected["claim_rate_by_gender"])
    assert close(rates(bunch, "DrivAge"), expected["claim_rate_by_age"])
    assert bunch.data["DrivAge"].cat.ordered
    assert close(bunch.exposure.sum(), expected["exposure_years"], 1)
    assert counts(bunch.data["Gender"]) == expected["counts_gender"]
    number = load("ausprivauto0405", target="ClaimNb")
    assert close(frequency(number, "Gender"), expected["frequency_by_gender"])
    everything = pd.concat([bunch.data, bunch.claims, bunch.exposure], axis=1)
    assert everything.duplicated().sum() == expected["duplicates"]


def test_swmotorcycle(load, measured):
    expected = measured["swmotorcycle"]
    everyone = load("swmotorcycle", zero_exposure="keep")
    assert len(everyone.data) == expected["rows"]
    bunch = load("swmotorcycle")
    assert len(bunch.data) == expected["rows"] - expected["zero_exposure"]
    assert everyone.target.sum() == expected["claims"]
    assert (everyone.target > 0).sum() == expected["rows_with_claim"]
    assert close(frequency(everyone, "Gender"), expected["frequency_by_gender"], 5)
    assert counts(everyone.data["Gender"]) == expected["counts_gender"]
    assert (bunch.exposure > 0).all()


# Education


def test_law_school_first_attempt(load, measured):
    expected = measured["law_school"]["clean"]
    bunch = load("law_school")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["pass_rate_first_attempt"])
    assert close(rates(bunch, "race"), expected["by_race"])
    by_male = {"female": expected["by_male"]["0.0"], "male": expected["by_male"]["1.0"]}
    assert close(rates(bunch, "sex"), by_male)
    assert counts(bunch.data["race"]) == expected["counts_race"]


def test_law_school_black_white(load, measured):
    expected = measured["law_school"]["law_dataset"]
    bunch = load("law_school", version="black_white")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["pass_rate"])
    names = {"_0": "Black", "_1": "White"}
    assert close(rates(bunch, "race"), rename(expected["by_racetxt"], **names))
    assert counts(bunch.data["race"]) == rename(expected["counts"], **names)


def test_law_school_eventually(load, measured):
    expected = measured["law_school"]["raw"]
    bunch = load("law_school", version="eventually")
    assert len(bunch.data) == expected["rows"] - expected["without_bar_result"]
    assert close(bunch.target.mean(), expected["passed_eventually"], 3)


def test_law_school_first_year_grades(load, measured):
    expected = measured["law_school"]["law_data"]
    bunch = load("law_school", version="first_year_grades")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["mean_ZFYA"])
    assert close(rates(bunch, "race"), expected["ZFYA_by_race"])
    by_sex = rename(expected["ZFYA_by_sex"], _1="female", _2="male")
    assert close(rates(bunch, "sex"), by_sex)
    assert counts(bunch.data["race"]) == expected["counts_race"]
    assert bunch.target_names is None


def test_law_school_undergraduate_grades(load):
    bunch = load("law_school", version="undergraduate_grades")
    assert len(bunch.data) == 20_800
    assert bunch.sensitive_names == ["race", "sex", "age"]
    assert bunch.target.name == "ugpa"
    assert bunch.data["age"].min() > 0


@pytest.mark.parametrize(("subject", "key"), [("mathematics", "mat"), ("portuguese", "por")])
def test_student_performance(load, measured, subject, key):
    expected = measured["student_performance"][key]
    bunch = load("student_performance", subject=subject)
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["mean_G3"])
    assert close(rates(bunch, "sex"), expected["mean_G3_by_sex"])
    assert counts(bunch.data["sex"]) == expected["counts_sex"]
    assert (bunch.target == 0).sum() == expected["zeros_G3"]
    found = counts(bunch.sensitive_features["age_group"])
    assert found["18 or older"] == expected["age_18_or_more"]
    assert missing(bunch.data) == {}
    passed = load("student_performance", subject=subject, target="pass")
    assert close(passed.target.mean(), expected["pass_rate"])
    assert close(rates(passed, "sex"), expected["pass_by_sex"])
    assert not {"G1", "G2"} & set(bunch.data)
    assert {"G1", "G2"} <= set(load("student_performance", earlier_grades=True).data)


def test_oulad(load, measured):
    expected = measured["oulad"]
    bunch = load("oulad")
    assert len(bunch.data) == expected["rows"]
    assert bunch.groups.nunique() == expected["students"]
    assert close(bunch.target.mean(), expected["pass_rate"])
    for name in ("gender", "disability", "age_band"):
        assert close(rates(bunch, name), expected[f"by_{name}"])
    assert counts(bunch.data["gender"]) == expected["counts_gender"]
    assert bunch.data["imd_band"].cat.ordered


def test_ufrgs_gpa(load, measured):
    expected = measured["ufrgs_gpa"]
    bunch = load("ufrgs_gpa")
    names = {"_0": "female", "_1": "male"}
    assert len(bunch.data) == expected["rows"]
    assert counts(bunch.data["gender"]) == rename(expected["counts_gender"], **names)
    assert close(bunch.target.mean(), expected["mean_gpa"])
    assert close(rates(bunch, "gender"), rename(expected["mean_gpa_by_gender"], **names))
    binary = load("ufrgs_gpa", target="at_least_3")
    wanted = rename(expected["share_gpa_3_or_more_by_gender"], **names)
    assert close(rates(binary, "gender"), wanted)
    assert missing(bunch.data) == {}


# Health


def test_diabetes_130(load, measured):
    expected = measured["diabetes_130"]
    raw = load("diabetes_130", preparation="raw")
    assert len(raw.data) == expected["rows"]
    assert raw.groups.nunique() == expected["patients"]
    assert close(raw.target.mean(), expected["rate_under_30"])
    ever = load("diabetes_130", preparation="raw", target="ever")
    assert close(ever.target.mean(), expected["rate_any"])
    assert close(rates(raw, "gender"), expected["by_gender"])
    assert counts(raw.data["gender"]) == expected["counts_gender"]
    known = {k: v for k, v in expected["by_race"].items() if k != "missing"}
    assert close(rates(raw, "race"), known)
    unknown = raw.sensitive_features["race"].isna()
    assert close(raw.target[unknown].mean(), expected["by_race"]["missing"])
    assert missing(raw.data) == expected["missing"]
    # The text None is a category.
    assert counts(raw.data["A1Cresult"])["None"] > 80_000
    dead = raw.data["discharge_disposition_id"].isin(["11", "13", "14", "19", "20", "21"])
    assert dead.sum() == expected["death_or_hospice"]


def test_diabetes_130_usual_preparation(load):
    bunch = load("diabetes_130")
    assert len(bunch.data) == 69_990 - 3
    assert bunch.groups.is_unique
    assert set(bunch.data["gender"].cat.categories) == {"Female", "Male"}
    assert len(bunch.data["diag_1"].cat.categories) == 9
    assert bunch.data["age"].cat.ordered


def test_heart_disease(load, measured):
    total = 0
    for site, expected in measured["heart_disease"].items():
        bunch = load("heart_disease", site=site)
        total += len(bunch.data)
        assert len(bunch.data) == expected["rows"]
        assert close(bunch.target.mean(), expected["disease_rate"])
        names = {"_0": "female", "_1": "male"}
        assert close(rates(bunch, "sex"), rename(expected["by_sex"], **names))
        assert counts(bunch.data["sex"]) == rename(expected["counts_sex"], **names)
        # On top of the question marks, a cholesterol of zero is missing.
        found = {k: v for k, v in missing(bunch.data).items() if k != "chol"}
        assert found == {k: v for k, v in expected["missing"].items() if k != "chol"}
        assert not (bunch.data["chol"] == 0).any()
    assert len(load("heart_disease", missing="drop").data) == 297
    everyone = load("heart_disease", site="all")
    assert len(everyone.data) == total
    assert everyone.groups.nunique() == 4
    assert everyone.data["chol"].isna().sum() == 172 + 23 + 7


def test_arrhythmia(load, measured):
    expected = measured["arrhythmia"]
    raw = load("arrhythmia", preparation="raw")
    assert raw.frame.shape == (expected["rows"], expected["columns"])
    assert close(raw.target.mean(), expected["normal_rate"], 3)
    names = {"_0": "male", "_1": "female"}
    assert close(rates(raw, "sex"), rename(expected["normal_by_sex"], **names))
    assert counts(raw.data["sex"]) == rename(expected["counts_sex"], **names)
    assert missing(raw.data) == {f"ecg_{k}": v for k, v in expected["missing"].items()}
    usual = load("arrhythmia")
    assert raw.data.shape[1] - usual.data.shape[1] == expected["constant_columns"] + 1
    assert raw.data["height"].max() == 780
    assert usual.data["height"].max() < 200


def test_drug_consumption(load, measured):
    expected = measured["drug_consumption"]
    everyone = load("drug_consumption", overclaimers="keep")
    assert len(everyone.data) == expected["rows"]
    assert counts(everyone.data["Gender"]) == expected["counts_gender"]
    assert close((everyone.data["Ethnicity"] == "white").mean(), expected["share_white"])
    assert len(everyone.data) - len(load("drug_consumption").data) == expected["semer_claimed"]
    assert missing(everyone.data) == {}
    assert everyone.data["Age"].cat.ordered
    assert counts(everyone.data["Country"])["UK"] == 1044
    for drug in ("Cannabis", "Coke"):
        bunch = load("drug_consumption", drug=drug, overclaimers="keep")
        assert close(bunch.target.mean(), expected[f"{drug}_ever"]["rate"])
        assert close(rates(bunch, "Gender"), expected[f"{drug}_ever"]["by_gender"])
        assert drug not in bunch.data


def test_drug_consumption_levels_are_nested(load):
    options = ("ever", "last_decade", "last_year", "last_month")
    means = [load("drug_consumption", used=used).target.mean() for used in options]
    assert means == sorted(means, reverse=True)
    bunch = load("drug_consumption", used="last_year")
    assert (bunch.target == (bunch.usage["Cannabis"].astype(str) >= "CL3")).all()


# Work


def test_ricci(load, measured):
    expected = measured["ricci"]
    bunch = load("ricci")
    names = {"_W": "white", "_B": "Black", "_H": "Hispanic"}
    assert len(bunch.data) == expected["rows"]
    assert bunch.target.sum() == expected["eligible"]
    assert close(bunch.target.mean(), expected["rate"])
    assert close(rates(bunch, "Race"), rename(expected["by_race"], **names))
    assert counts(bunch.data["Race"]) == rename(expected["counts_race"], **names)
    assert counts(bunch.data["Position"]) == expected["counts_position"]
    other = bunch.target[bunch.data["Race"] != "white"]
    assert close(other.mean(), expected["white_against_rest"]["B or H"])
    assert "Combine" not in bunch.data
    assert "Combine" in load("ricci", keep_combined_score=True).data


def test_recruitment_utrecht(load, measured):
    expected = measured["recruitment_utrecht"]
    bunch = load("recruitment_utrecht")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["positive_rate"])
    assert close(rates(bunch, "gender"), expected["by_gender"])
    assert close(rates(bunch, bunch.data["company"]), expected["by_company"])
    assert counts(bunch.data["gender"]) == expected["counts_gender"]
    assert missing(bunch.data) == {}
    for company in "ABCD":
        one = load("recruitment_utrecht", company=company)
        wanted = {
            k: expected["by_company_and_gender"][f"{company} {k}"] for k in rates(one, "gender")
        }
        assert close(rates(one, "gender"), wanted)
        assert "company" not in one.data


def test_nlsy79(load, measured):
    expected = measured["nlsy79"]
    bunch = load("nlsy79")
    assert len(bunch.data) == expected["rows"]
    assert close(bunch.target.mean(), expected["mean_income90"])
    assert close(rates(bunch, "gender"), expected["mean_income90_by_gender"])
    assert counts(bunch.data["gender"]) == expected["counts_gender"]
    assert (bunch.target == bunch.target.max()).sum() == expected["top_code_income90"]["rows"]
    assert close(bunch.target.max(), expected["top_code_income90"]["value"])
    binary = load("nlsy79", target="income96", threshold=1.7)
    assert close(binary.target.mean(), expected["share_income96_over_17000"])
    assert missing(bunch.data) == {}
    assert not {"income90", "income96", "income06"} & set(bunch.data)
    raw = load("nlsy79", preparation="raw")
    tall = raw.data["height"] == 504
    assert (bunch.data["height"][tall] == 64).all()


# Ranking


def test_trec_w3c_experts(load, measured, data_home):
    expected = measured["trec_w3c_experts"]
    bunch = load("trec_w3c_experts")
    names = {"_0": "male", "_1": "female"}
    assert len(bunch.data) == expected["rows"]
    assert bunch.query.nunique() == expected["queries"]
    assert set(bunch.query.value_counts().drop(43)) == {200}
    assert (bunch.query == 43).sum() == 390
    women = bunch.data["gender"] == "female"
    assert close(women.mean(), expected["share_gender_1"])
    per_query = women.groupby(bunch.query).sum()
    assert set(per_query.drop(43)) == {21}
    assert per_query[43] == 22
    assert close(rates(bunch, "gender"), rename(expected["mean_judgement_by_gender"], **names))
    for fold in range(1, 7):
        file = data_home / "trec_w3c_experts" / f"fold_{fold}_test.csv"
        theirs = pd.read_csv(file, header=None)
        ours = bunch.fold == fold
        assert ours.sum() == len(theirs)
        assert set(bunch.query[ours]) == set(theirs[0])


def test_engineering_students(load, measured):
    expected = measured["engineering_students"]
    bunch = load("engineering_students")
    assert len(bunch.data) == expected["rows"]
    assert counts(bunch.query) == expected["students_per_year"]
    for name, levels in (
        ("gender", {"_0": "male", "_1": "female"}),
        ("highschool", {"_0": "other", "_1": "public"}),
    ):
        assert counts(bunch.data[name]) == rename(expected[f"counts_{name}"], **levels)
        assert close(rates(bunch, name), rename(expected[f"mean_score_by_{name}"], **levels))


# Wrong options


@pytest.mark.parametrize(
    ("dataset_id", "options"),
    [
        ("adult", {"subset": "validation"}),
        ("compas", {"preparation": "usual"}),
        ("communities_crime", {"subset": "raw"}),
        ("law_school", {"version": "raw"}),
        ("drug_consumption", {"drug": "cannabis"}),
        ("acs_alabama_2017", {"task": "income"}),
    ],
)
def test_a_wrong_option_is_an_error_that_lists_the_options(load, dataset_id, options):
    (name, value) = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{name} must be one of .*'{value}'"):
        load(dataset_id, **options)
