"""
A route for every kind of traveller
===================================

Decisions instead of numbers: every morning a route through a street grid is chosen for a
traveller, then the day's delays become known. Travellers on foot and by car suffer from
different streets, and somebody may belong to several groups.
:class:`~fairgroup.online.GroupwiseOptimizer` needs only an oracle that finds the shortest path
for given costs; each group follows its own perturbed leader.
"""

# %%
# A 5 x 5 grid on which one walks right or down: 40 streets, 70 routes of 8 streets. The oracle is
# scipy's shortest path.
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

side = 5
streets = [
    (r * side + c, (r + dr) * side + c + dc)
    for r in range(side)
    for c in range(side)
    for dr, dc in ((0, 1), (1, 0))
    if r + dr < side and c + dc < side
]
tail, head = np.array(streets).T
number = {street: e for e, street in enumerate(streets)}


def route(costs):
    """Streets of the cheapest route from the first corner to the last, as zeros and ones."""
    graph = csr_array((costs + 1e-9, (tail, head)), shape=(side**2, side**2))
    before = shortest_path(graph, indices=0, return_predecessors=True)[1]
    decision, node = np.zeros(len(streets)), side**2 - 1
    while node:
        decision[number[before[node], node]] = 1.0
        node = int(before[node])
    return decision


# %%
# Delays: cars are slow in the centre, walkers on the edge; older travellers (who may be either)
# avoid the streets that go down.
row, column = np.divmod(tail, side)
centre = np.abs(row - 2) + np.abs(column - 2) <= 2
down = head - tail == side
rng = np.random.default_rng(0)


def delays(car, old):
    mean = np.where(centre == car, 0.7, 0.2) + 0.2 * (down & old)
    return np.clip(mean + 0.15 * rng.normal(size=len(streets)), 0, 1)


# %%
from fairgroup.online import GroupwiseOptimizer

names = ["on foot", "by car", "old"]
model = GroupwiseOptimizer(route, len(streets), decision_size=8, random_state=0)
paid, best = np.zeros((3, 1500)), np.zeros((3, 1500))
for t in range(1500):
    car, old = rng.random() < 0.5, rng.random() < 0.3
    member = np.array([not car, car, old], dtype=float)
    model.decide(member)
    cost = delays(car, old)
    paid[:, t] = member * model.update(cost, member)
report = model.group_report()
report.index = ["everyone", *names]
report.round(1).drop(columns=["size"])

# %%
# Mean delay per trip over time. The dotted lines are the best single route of each group, known
# only at the end; the dashed line is the best single route for everybody, which is what a method
# without groups can hope for. The old do better than any single route could for them, because they
# also follow the routes of those who walk and of those who drive.
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for g, name in enumerate(names):
    trips = np.flatnonzero(paid[g])
    mean = np.cumsum(paid[g, trips]) / np.arange(1, len(trips) + 1)
    (line,) = ax.plot(trips[10:], mean[10:], label=name)
    ax.axhline(
        report.loc[name, "hindsight"] / report.loc[name, "n"], color=line.get_color(), ls=":"
    )
everybody = report.loc["everyone"]
ax.axhline(
    everybody["hindsight"] / everybody["n"], color="0.3", ls="--", label="one route for all"
)
ax.set(
    xlabel="day",
    ylabel="mean delay per trip",
    title="Every group nears or beats its own best route",
)
ax.legend(frameon=False)
plt.show()
