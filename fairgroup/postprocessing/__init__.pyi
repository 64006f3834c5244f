from ._display import FairTTTSDisplay
from ._fairttts import FairTTTS
from ._fairttts_cv import FairTTTSCV
from ._readers import TreeReader, register_tree_reader
from ._trees import TreeEnsemble

__all__ = [
    "FairTTTS",
    "FairTTTSCV",
    "FairTTTSDisplay",
    "TreeEnsemble",
    "TreeReader",
    "register_tree_reader",
]
