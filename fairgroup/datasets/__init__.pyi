from ._catalogue import fetch, list_datasets
from ._census import fetch_adult
from ._embedded import load_diabetes_progression, load_lending
from ._justice import fetch_compas
from ._lending import make_lending

__all__ = [
    "fetch",
    "fetch_adult",
    "fetch_compas",
    "list_datasets",
    "load_diabetes_progression",
    "load_lending",
    "make_lending",
]
