"""Protected attributes: who belongs to which group.

One way in for everything that describes people: arrays, Series, DataFrames (pandas, polars and
what narwhals reads), one or several columns. Four shapes come out:

* :class:`GroupEncoder`: a partition, every row in one group (``codes``), and the groups of each
  column on its own;
* :class:`MembershipEncoder`: overlapping groups, a matrix of memberships in [0, 1];
* :class:`SensitiveEncoder`: typed numeric blocks (binary, categorical, ordinal, continuous) with
  distances;
* :class:`SensitiveColumns`: the columns taken out of X on the way into any estimator.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
