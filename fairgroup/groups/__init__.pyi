from ._codes import GroupCodes
from ._group_encoder import GroupEncoder
from ._membership_encoder import MembershipEncoder
from ._sensitive_columns import SensitiveColumns
from ._sensitive_encoder import SensitiveEncoder

__all__ = [
    "GroupCodes",
    "GroupEncoder",
    "MembershipEncoder",
    "SensitiveColumns",
    "SensitiveEncoder",
]
