from ._acs import fetch_acs_alabama_2017
from ._catalogue import fetch, list_datasets
from ._census import fetch_adult, fetch_census_income_kdd, fetch_dutch_census
from ._clients import make_client_disparity
from ._credit import (
    fetch_bank_marketing,
    fetch_credit_default,
    fetch_fico_transrisk,
    fetch_german_credit,
)
from ._education import (
    fetch_law_school,
    fetch_oulad,
    fetch_student_performance,
    fetch_ufrgs_gpa,
)
from ._embedded import load_diabetes_progression, load_lending
from ._employment import fetch_nlsy79, fetch_recruitment_utrecht, fetch_ricci
from ._health import fetch_arrhythmia, fetch_diabetes_130, fetch_heart_disease
from ._insurance import (
    fetch_ausprivauto0405,
    fetch_bemtpl97,
    fetch_medical_cost,
    fetch_pg15training,
    fetch_swmotorcycle,
)
from ._justice import fetch_communities_crime, fetch_compas
from ._lending import make_lending
from ._polygenic import make_polygenic_scores
from ._ranking import fetch_engineering_students, fetch_trec_w3c_experts
from ._simulate import make_gerrymandering, make_group_stream
from ._surveys import fetch_drug_consumption

__all__ = [
    "fetch",
    "fetch_acs_alabama_2017",
    "fetch_adult",
    "fetch_arrhythmia",
    "fetch_ausprivauto0405",
    "fetch_bank_marketing",
    "fetch_bemtpl97",
    "fetch_census_income_kdd",
    "fetch_communities_crime",
    "fetch_compas",
    "fetch_credit_default",
    "fetch_diabetes_130",
    "fetch_drug_consumption",
    "fetch_dutch_census",
    "fetch_engineering_students",
    "fetch_fico_transrisk",
    "fetch_german_credit",
    "fetch_heart_disease",
    "fetch_law_school",
    "fetch_medical_cost",
    "fetch_nlsy79",
    "fetch_oulad",
    "fetch_pg15training",
    "fetch_recruitment_utrecht",
    "fetch_ricci",
    "fetch_student_performance",
    "fetch_swmotorcycle",
    "fetch_trec_w3c_experts",
    "fetch_ufrgs_gpa",
    "list_datasets",
    "load_diabetes_progression",
    "load_lending",
    "make_client_disparity",
    "make_gerrymandering",
    "make_group_stream",
    "make_lending",
    "make_polygenic_scores",
]
