from ._classifier import AranyaniClassifier
from ._display import AranyaniHistoryDisplay, AranyaniPathDisplay, AranyaniTreeDisplay
from ._path import AranyaniPath, aranyani_path
from ._regressor import AranyaniRegressor

__all__ = [
    "AranyaniClassifier",
    "AranyaniHistoryDisplay",
    "AranyaniPath",
    "AranyaniPathDisplay",
    "AranyaniRegressor",
    "AranyaniTreeDisplay",
    "aranyani_path",
]
