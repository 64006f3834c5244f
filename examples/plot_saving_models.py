"""
Keeping a model: joblib, skops, and the state of a stream
=========================================================

A model that decides about people should be kept as it was, with the groups it knows. ``joblib``
keeps any Python object and runs any code when it is read. ``skops`` reads only types that you
have looked at and trusted. Online learners also give their state as plain arrays, which any
program can read, and which continue to the last bit.
"""

# %%
# A fitted model
# --------------

import pickle
import tempfile
from pathlib import Path
from time import perf_counter

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.datasets import load_lending, make_group_stream
from fairgroup.groups import SensitiveColumns
from fairgroup.information import FrontierPostProcessor
from fairgroup.online import GroupwiseRegressor

lending = load_lending()
protected = ["sex", "ethnicity"]
X = lending.data[[*protected, "income", "debt_ratio", "late_payments"]]
inner = make_pipeline(
    StandardScaler(), FrontierPostProcessor(LogisticRegression(), random_state=0)
)
model = SensitiveColumns(inner, protected, drop=True).fit(X, lending.target)

# %%
# Two files
# ---------
# skops lists the types in a file that it does not know by itself. Read the list before you hand it
# back as trusted: here everything comes from fairgroup and NumPy.

folder = Path(tempfile.mkdtemp())
joblib.dump(model, folder / "model.joblib")
skops.io.dump(model, folder / "model.skops")
unknown = skops.io.get_untrusted_types(file=folder / "model.skops")
unknown

# %%
# Both decide like the model that was saved, and both know its groups: a person of an unknown group
# is an error afterwards as before.

rows = {}
for name, load in {
    "model.joblib": joblib.load,
    "model.skops": lambda path: skops.io.load(path, trusted=unknown),
}.items():
    start = perf_counter()
    copy = load(folder / name)
    rows[name] = {
        "kilobytes": (folder / name).stat().st_size / 1000,
        "milliseconds to load": 1000 * (perf_counter() - start),
        "same decisions": np.array_equal(copy.predict(X), model.predict(X)),
        "runs code of the file": name.endswith("joblib"),
    }
pd.DataFrame(rows).T

# %%
# In the middle of a stream
# -------------------------
# A learner that is interrupted must go on as if nothing had happened: its weights, its groups and
# its running sums belong to the state. ``get_state`` returns arrays and numbers only.

stream = make_group_stream(3000, drift_at=(), random_state=0)
learn = {"X": stream.data.to_numpy(), "y": stream.target.to_numpy()}


def part(start, stop):
    return (
        {name: values[start:stop] for name, values in learn.items()},
        {"sensitive_features": stream.sensitive_features.iloc[start:stop]},
    )


def go_on(learner, start=1000, stop=3000):
    rows, groups = part(start, stop)
    return learner.progressive_predict(**rows, **groups)


first = GroupwiseRegressor()
rows, groups = part(0, 1000)
first.partial_fit(**rows, **groups)
np.savez(folder / "state.npz", **{k: np.asarray(v) for k, v in first.get_state().items()})

with np.load(folder / "state.npz") as file:
    state = {name: file[name] for name in file.files}
restored = {
    "arrays (npz)": GroupwiseRegressor().set_state(state),
    "pickle": pickle.loads(pickle.dumps(first)),
    "begun anew 100 rows before": GroupwiseRegressor().partial_fit(
        *(values[900:1000] for values in learn.values()),
        sensitive_features=stream.sensitive_features.iloc[900:1000],
    ),
}
uninterrupted = go_on(first)

# %%
# The difference to the learner that was never interrupted. Two curves are exactly zero, not
# nearly; the third shows how long a learner that kept nothing but the last hundred rows differs.

fig, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
for name, learner in restored.items():
    apart = np.abs(go_on(learner) - uninterrupted)
    smooth = pd.Series(apart).rolling(50, min_periods=1).mean()
    style = "--" if name == "pickle" else "-"
    ax.plot(np.arange(1000, 3000), smooth, style, lw=2, label=f"{name}: at most {apart.max():.2g}")
ax.set(xlabel="row of the stream", ylabel="difference of predictions", title="After a restart")
ax.legend()
