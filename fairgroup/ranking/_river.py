"""One impression at a time: the protocol of stream learners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairgroup.ranking._reranker import VarianceAwareReranker


class RiverReranker:
    """``learn_one`` and ``predict_one`` around a fitted re-ranker, which it changes.

    Parameters
    ----------
    reranker : VarianceAwareReranker
        Fitted.
    """

    def __init__(self, reranker: VarianceAwareReranker) -> None:
        self.reranker = reranker

    def learn_one(self, x: Mapping[str, Any]) -> None:
        """Count one delivered impression.

        Parameters
        ----------
        x : mapping
            ``"ad_id"``, ``"cluster"`` and a level for each attribute (attributes without one are
            counted by the cluster's composition).
        """
        levels = {a: [x[a]] for a in self.reranker.attributes_ if a in x}
        cluster = [x["cluster"]] if "cluster" in x else None
        self.reranker.partial_fit([x["ad_id"]], cluster=cluster, sensitive_features=levels or None)

    def predict_one(self, x: Mapping[str, Any]) -> float:
        """Multiplier of an ad for a user's cluster.

        Parameters
        ----------
        x : mapping
            ``"ad_id"`` and ``"cluster"``.

        Returns
        -------
        multiplier : float
        """
        return float(self.reranker.multipliers([x["ad_id"]], [x["cluster"]])[0])
