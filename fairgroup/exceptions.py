"""The errors and warnings that are fairgroup's own.

Where scikit-learn has one that fits, it is used: ``UndefinedMetricWarning`` for a rate without a
denominator, ``ConvergenceWarning`` for a solver that missed its tolerance, ``NotFittedError``.
"""

__all__ = ["FairgroupWarning", "FairnessWarning", "UnseenGroupError"]


class FairgroupWarning(UserWarning):
    """Base class of the warnings of fairgroup."""


class FairnessWarning(FairgroupWarning):
    """Some rows or a whole fit are not covered by the fairness requirement that was asked for.

    Raised, for example, when an estimator is fitted without ``sensitive_features``, when rows
    without a known group take no part in the fairness term, or when groups are too small even
    after merging.
    """


class UnseenGroupError(ValueError):
    """A group appears that was not there when the encoder or estimator was fitted."""
