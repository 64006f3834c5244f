"""A decomposition in plain words."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["explain"]

# A part below this share of its disparity is not worth a sentence of its own.
_MINOR = 0.1


def explain(audit: Any) -> str:
    """Sentences about a fitted DisparityDecomposition.

    Parameters
    ----------
    audit : DisparityDecomposition
        Fitted.

    Returns
    -------
    text : str
        Paragraphs separated by blank lines.
    """
    parts = [_sizes(audit), _global(audit), _local(audit), _advice(audit), _certainty(audit)]
    return "\n\n".join(part for part in parts if part)


def _units(audit: Any) -> str:
    return {2: "bits", "e": "nats"}.get(audit.base, f"units of base {audit.base}")


def _value(audit: Any, name: str, value: float) -> str:
    interval = audit.confidence_intervals_.get(name)
    shown = f"{value:.4f} {_units(audit)}"
    if interval is None:
        return shown
    return (
        f"{shown} ({audit.confidence_level:.0%} interval {interval[0]:.4f} to {interval[1]:.4f})"
    )


def _sizes(audit: Any) -> str:
    return (
        f"{audit.n_samples_:g} rows, {len(audit.z_labels_)} groups, {len(audit.client_labels_)} "
        "clients. "
        f"The largest difference between two groups in how they are decided about is "
        f"{audit.statistical_parity_:.3f} in the pooled population."
    )


def _probability(value: float) -> str:
    return "below 1e-16" if value < 1e-16 else f"{value:.2g}"


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _global(audit: Any) -> str:
    text = f"Global disparity: {_value(audit, 'global', audit.global_disparity_)}."
    share = _share(audit.redundant_, audit.global_disparity_)
    if audit.global_disparity_ <= 0:
        return f"{text} Decisions do not depend on the group in the pooled population."
    return (
        f"{text} {share:.0%} of it is redundant: knowing only the client tells the same about "
        "the group as the decision "
        "does, because groups and decisions differ between the clients; this part can remain "
        "when every client is made "
        f"fair on its own. {1 - share:.0%} is unique: it is there inside the clients as well."
    )


def _local(audit: Any) -> str:
    if not np.isfinite(audit.local_disparity_):
        return "Local disparity: not known from these aggregates."
    text = f"Local disparity: {_value(audit, 'local', audit.local_disparity_)}."
    if audit.local_disparity_ <= 0:
        return f"{text} Inside every client, decisions do not depend on the group."
    share = _share(audit.masked_, audit.local_disparity_)
    return (
        f"{text} {share:.0%} of it is masked: it cancels between the clients and an audit of the "
        "pooled data does not "
        "see it."
    )


def _advice(audit: Any) -> str:
    """What the larger part means for somebody who wants to do something."""
    redundant = _share(audit.redundant_, audit.global_disparity_)
    masked = (
        _share(audit.masked_, audit.local_disparity_)
        if np.isfinite(audit.local_disparity_)
        else 0.0
    )
    if redundant > 1 - _MINOR:
        return (
            "Mitigating client by client will not make the whole fair; "
            "the clients have to act together."
        )
    if masked > 1 - _MINOR:
        return (
            "Mitigating the pooled model will not make the clients fair; "
            "each client has to be looked at."
        )
    if redundant < _MINOR and masked < _MINOR and audit.global_disparity_ > 0:
        return (
            "Almost all disparity is unique: mitigating inside the clients also makes the whole "
            "fair, and the reverse."
        )
    return ""


def _certainty(audit: Any) -> str:
    lines = []
    if np.isfinite(getattr(audit, "p_value_global_", np.nan)):
        lines.append(
            "Chance alone would give a global disparity of this size with probability "
            f"{_probability(audit.p_value_global_)}, a local one with "
            f"{_probability(audit.p_value_local_)}."
        )
    if not audit.confidence_intervals_:
        lines.append("No intervals were asked for (n_bootstrap=0).")
    if audit.duality_gap_ > 0:
        lines.append(f"The unique part is exact to {audit.duality_gap_:.1e} {_units(audit)}.")
    return " ".join(lines)
