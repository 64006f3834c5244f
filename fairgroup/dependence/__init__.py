"""Distance covariance: dependence between predictions and all protected attributes at once.

:func:`distance_covariance`, :func:`joint_distance_covariance` and
:func:`concatenated_distance_covariance` measure it for attributes of any type, exactly and with
gradients; :func:`subgroup_energy_report` and :func:`independence_test` explain it;
:class:`DependencePenalty` and :class:`DistanceCovarianceLoss` penalise it in any model;
:class:`DistanceCovarianceClassifier`, :class:`DistanceCovarianceRegressor` and
:class:`FairnessPath` fit models with it.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
