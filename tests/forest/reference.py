"""Slow, obvious Aranyani: products along paths, explicit masks, one row and one rule at a time.

Nothing here shares a formula with the kernels: the derivative of a leaf's probability by a node is
the product over the *other* nodes of the path, and every statistic is a list of plain arrays.
"""

from __future__ import annotations

import numpy as np


def sigmoid(z):
    return np.where(
        z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))
    )


def paths(depth):
    """For each leaf its nodes, and whether the path goes left there."""
    found = []
    for leaf in range(2**depth):
        at, path = 2**depth - 1 + leaf, []
        while at:
            parent = (at - 1) // 2
            path.append((parent, at == 2 * parent + 1))
            at = parent
        found.append(path[::-1])
    return found


class SlowForest:
    """Parameters ``W`` (T, m, d), ``b`` (T, m), ``theta`` (T, L, K); K = 1 is regression."""

    def __init__(
        self,
        W,
        b,
        theta,
        *,
        weight=0.0,
        level="node",
        notion="demographic_parity",
        n_groups=2,
        delta=0.01,
        slope="unit",
        reduction="mean",
        decay=1.0,
        wait=False,
        optimizer="adam",
        rate=2e-3,
        betas=(0.9, 0.999),
        epsilon=1e-7,
    ):
        self.W, self.b, self.theta = (np.array(a, dtype=float) for a in (W, b, theta))
        self.T, self.m, self.d = self.W.shape
        self.L, self.K = self.theta.shape[1:]
        self.paths = paths(int(np.log2(self.L)))
        self.weight, self.level, self.notion = weight, level, notion
        self.delta, self.slope, self.reduction = delta, slope, reduction
        self.decay, self.wait = decay, wait
        self.optimizer, self.rate, self.betas, self.epsilon = optimizer, rate, betas, epsilon
        self.n_groups = n_groups
        self.n_strata = self.K if notion == "equalized_odds" else 1
        self.stats = {}  # (stratum, group) -> [rows, list of means, list of mean gradients]
        self.updates, self.mom, self.vel = 0, 0.0, 0.0
        self.log = []  # (stratum, group, values, gradients) of every row that entered

    # ---- the model

    def parts(self, x):
        n = sigmoid(self.W @ x + self.b)
        p = np.array(
            [
                [
                    np.prod([n[t, j] if left else 1 - n[t, j] for j, left in path])
                    for path in paths_of
                ]
                for t, paths_of in enumerate([self.paths] * self.T)
            ]
        )
        if self.K == 1:
            return n, p, self.theta
        e = np.exp(self.theta - self.theta.max(axis=2, keepdims=True))
        return n, p, e / e.sum(axis=2, keepdims=True)

    def output(self, x):
        _, p, s = self.parts(x)
        return np.einsum("tl,tlk->k", p, s) / self.T

    def gradient(self, x, k):
        """Of output k by all parameters, as one vector (W, b, theta)."""
        n, p, s = self.parts(x)
        dW, db, dtheta = np.zeros_like(self.W), np.zeros_like(self.b), np.zeros_like(self.theta)
        for t in range(self.T):
            for leaf, path in enumerate(self.paths):
                for j, left in path:
                    others = [n[t, i] if to else 1 - n[t, i] for i, to in path if i != j]
                    by_n = np.prod(others) * (1 if left else -1)
                    db[t, j] += by_n * s[t, leaf, k] / self.T * n[t, j] * (1 - n[t, j])
                for c in range(self.K):
                    if self.K == 1:
                        dtheta[t, leaf, c] = p[t, leaf] / self.T
                    else:
                        of = s[t, leaf, c] * ((k == c) - s[t, leaf, k])
                        dtheta[t, leaf, c] = p[t, leaf] * of / self.T
            dW[t] = db[t][:, None] * x
        return np.concatenate([dW.ravel(), db.ravel(), dtheta.ravel()])

    def node_gradient(self, x, t, j):
        """Of a node's output by its own parameters, as one vector with zeros elsewhere."""
        n = self.parts(x)[0]
        dW, db = np.zeros_like(self.W), np.zeros_like(self.b)
        db[t, j] = n[t, j] * (1 - n[t, j])
        dW[t, j] = db[t, j] * x
        return np.concatenate([dW.ravel(), db.ravel(), np.zeros(self.theta.size)])

    # ---- the fairness term

    @property
    def constrained(self):
        """Classes whose output has a gap."""
        return [1] if self.K == 2 else range(self.K)

    def quantities(self, x):
        """Values that are compared between groups, and their gradients."""
        if self.level == "node":
            at = [(t, j) for t in range(self.T) for j in range(self.m)]
            n = self.parts(x)[0]
            return [n[t, j] for t, j in at], [self.node_gradient(x, t, j) for t, j in at]
        f = self.output(x)
        return [f[k] for k in self.constrained], [self.gradient(x, k) for k in self.constrained]

    def enter(self, x, y, group):
        if group < 0 or (self.notion == "equal_opportunity" and y != 1):
            return
        stratum = int(y) if self.notion == "equalized_odds" else 0
        values, grads = self.quantities(x)
        self.log.append((stratum, group, np.array(values), np.array(grads)))
        rows, means, slopes = self.stats.get((stratum, group), (0, 0.0, 0.0))
        rate = max(1 / (rows + 1), 1 - self.decay)
        means = means + rate * (np.array(values) - means)
        slopes = slopes + rate * (np.array(grads) - slopes)
        self.stats[stratum, group] = (rows + 1, means, slopes)

    def phi(self, gap):
        if abs(gap) < self.delta:
            return gap
        return np.sign(gap) * (1.0 if self.slope == "unit" else self.delta)

    def gaps(self, stratum=0):
        """Of every quantity: [(g, g', gap)] of the pairs of groups that were seen."""
        seen = [g for g in range(self.n_groups) if (stratum, g) in self.stats]
        pairs = [(g, h) for i, g in enumerate(seen) for h in seen[i + 1 :]]
        n = len(next(iter(self.stats.values()))[1]) if self.stats else 0
        mean = {g: self.stats[stratum, g][1] for g in seen}
        return [[(g, h, mean[h][q] - mean[g][q]) for g, h in pairs] for q in range(n)]

    def fairness_gradient(self):
        total = np.zeros(self.W.size + self.b.size + self.theta.size)
        for stratum in range(self.n_strata):
            for q, pairs in enumerate(self.gaps(stratum)):
                if not pairs:
                    continue
                if self.reduction == "max":
                    pairs = [max(pairs, key=lambda pair: abs(pair[2]))]
                for g, h, gap in pairs:
                    of = self.stats[stratum, h][2][q] - self.stats[stratum, g][2][q]
                    total += self.weight * self.phi(gap) / len(pairs) * of
        return total

    # ---- learning

    def loss_gradient(self, x, y):
        if self.K == 1:
            return (self.output(x)[0] - y) * self.gradient(x, 0)
        return -self.gradient(x, y) / max(self.output(x)[y], 1e-7)

    def learn(self, X, y, groups):
        """One step on a batch; returns the outputs before it."""
        before = np.array([self.output(x) for x in X])
        task = np.mean(
            [self.loss_gradient(x, label) for x, label in zip(X, y, strict=False)], axis=0
        )
        fair = self.weight > 0
        if fair:
            for x, label, group in zip(X, y, groups, strict=False):
                self.enter(x, label, group)
            seen = {g for _, g in self.stats}
            if self.wait and len(seen) < self.n_groups:
                return before
            task = task + self.fairness_gradient()
        self.step(task)
        return before

    def step(self, grad):
        self.updates += 1
        move = self.rate * grad
        if self.optimizer == "adam":
            b1, b2 = self.betas
            self.mom = b1 * self.mom + (1 - b1) * grad
            self.vel = b2 * self.vel + (1 - b2) * grad**2
            rate = self.rate * np.sqrt(1 - b2**self.updates) / (1 - b1**self.updates)
            move = rate * self.mom / (np.sqrt(self.vel) + self.epsilon)
        for array in (self.W, self.b, self.theta):
            array -= move[: array.size].reshape(array.shape)
            move = move[array.size :]

    def run(self, X, y, groups, batch_size=1):
        """A whole stream; returns the outputs."""
        cuts = range(0, len(X), batch_size)
        rows = [slice(start, start + batch_size) for start in cuts]
        return np.vstack([self.learn(X[i], y[i], groups[i]) for i in rows])
