from . import comparison, datasets, exceptions, groups, metrics
from ._show_versions import show_versions
from ._version import __version__
from .comparison import compare
from .groups import GroupEncoder, MembershipEncoder, SensitiveColumns, SensitiveEncoder

__all__ = [
    "GroupEncoder",
    "MembershipEncoder",
    "SensitiveColumns",
    "SensitiveEncoder",
    "__version__",
    "compare",
    "comparison",
    "datasets",
    "exceptions",
    "groups",
    "metrics",
    "show_versions",
]
