from ._compare import compare
from ._comparison import Comparison
from ._display import ComparisonDisplay

__all__ = ["Comparison", "ComparisonDisplay", "compare"]
