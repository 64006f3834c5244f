"""The groups that an estimator has seen, as a table in its HTML representation."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import islice
from typing import Any

__all__ = ["GroupsShown", "rows_text"]

MOST_SHOWN = 30


class GroupsShown:
    """Mixin: in a notebook, a fitted estimator shows which groups it has seen.

    Put it left of ``BaseEstimator``. The table stands above scikit-learn's table of fitted
    attributes, which exists since scikit-learn 1.9; before, the parameters are shown alone.
    """

    def _groups_seen(self) -> Iterable[tuple[str, str]]:
        """Name and description (such as its number of rows) of each group; by default those of
        ``encoder_``, else of the fitted model inside, or its last step.
        """
        for name in ("encoder_", "estimator_", "best_estimator_"):
            known: Any = getattr(self, name, None)
            known = known.steps[-1][1] if hasattr(known, "steps") else known
            if isinstance(known, GroupsShown):
                return known._groups_seen()
        return []

    def _get_fitted_attr_html(self, doc_link: str = "") -> Tables:
        theirs: Any = super()
        return Tables(list(self._groups_seen()), theirs._get_fitted_attr_html(doc_link))


class Tables:
    """Two tables in the place where scikit-learn puts one.

    Parameters
    ----------
    groups : list of tuple of str
        Name and description of each group.
    attributes : object
        scikit-learn's table of the fitted attributes.
    """

    def __init__(self, groups: list[tuple[str, str]], attributes: Any) -> None:
        self.groups, self.attributes = groups, attributes

    def __len__(self) -> int:
        return len(self.groups) + len(self.attributes)

    def _repr_html_inner(self) -> str:
        below = self.attributes._repr_html_inner() if len(self.attributes) else ""
        return groups_table(self.groups) + below


def groups_table(groups: list[tuple[str, str]]) -> str:
    """Return an HTML table in scikit-learn's classes; empty where there are no groups."""
    if not groups:
        return ""
    shown = [
        f'<tr class="default"><td class="param">{escape(name)}</td><td>{escape(text)}</td></tr>'
        for name, text in islice(groups, MOST_SHOWN)
    ]
    if len(groups) > MOST_SHOWN:
        more = f"and {len(groups) - MOST_SHOWN:,} more"
        shown.append(f'<tr class="default"><td class="param">{more}</td><td></td></tr>')
    return (
        '<div class="estimator-table"><details open>'
        f"<summary>Groups seen ({len(groups):,})</summary>"
        f'<table class="parameters-table"><tbody>{"".join(shown)}</tbody></table>'
        "</details></div>"
    )


def rows_text(count: float) -> str:
    """Return a number of rows as text; sums of memberships may be broken."""
    if float(count).is_integer():
        return f"{count:,.0f} row" + ("" if count == 1 else "s")
    return f"{count:,.1f} rows"
