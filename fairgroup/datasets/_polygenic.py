"""A simulator of genotypes and a trait in several ancestries, for polygenic scores.

Allele frequencies drift apart (Balding and Nichols, 1995), neighbouring variants are in linkage
disequilibrium, and effects are only partly shared, so that a score learned in one ancestry
predicts worse in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_random_state

__all__ = ["make_polygenic_scores"]

Array = NDArray[np.float64]


def make_polygenic_scores(
    n_samples: int | Sequence[int] = 1500,
    *,
    n_snps: int = 300,
    drift: Sequence[float] = (0.02, 0.15, 0.25),
    linkage: Sequence[float] = (0.8, 0.8, 0.3),
    heritability: Sequence[float] = (0.6, 0.5, 0.3),
    shared_effect: float = 0.6,
    causal_fraction: float = 0.25,
    block_size: int = 20,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Simulate genotypes and a trait in several ancestries.

    Ancestral frequencies are uniform on (0.05, 0.95); those of a population follow the
    Balding-Nichols law with its drift F. A genotype is the sum of two haplotypes. Along a block, a
    haplotype's uniform variate is that of the variant before with the population's probability
    of linkage, else a new one; the allele is 1 where it is below the frequency. The effect of a
    causal variant is ``c b0 + sqrt(1 - c^2) b_g`` with normal b0 (shared) and b_g (of the
    population) and c the `shared_effect`. The trait has variance one in every population.

    Parameters
    ----------
    n_samples : int or sequence of int, default=1500
        People in all, as equal as possible over the ancestries, or people of each.
    n_snps : int, default=300
        Variants.
    drift : sequence of float, default=(0.02, 0.15, 0.25)
        F of each ancestry, between 0 and 1, both excluded. Its length is the number of ancestries.
    linkage : sequence of float, default=(0.8, 0.8, 0.3)
        Probability that a haplotype goes on within a block, 0 to 1.
    heritability : sequence of float, default=(0.6, 0.5, 0.3)
        Share of the trait's variance that the genotype explains, 0 to 1.
    shared_effect : float, default=0.6
        Correlation-like weight of the shared effects, 0 to 1.
    causal_fraction : float, default=0.25
        Share of variants with an effect, above 0.
    block_size : int, default=20
        Variants per block.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `data` (genotypes, centred at twice the population's frequency and scaled by the ancestral
        standard deviation), `genotypes` (0, 1, 2 as int8), `target` (the trait),
        `sensitive_features` (`ancestry`: "A", "B", ...), `effects` (n_ancestries, n_snps),
        `frequencies` (the same shape), `heritability`, `feature_names`, `DESCR`.

    Raises
    ------
    ValueError
        When a parameter is out of range or sequences differ in length.

    Examples
    --------
    >>> from fairgroup.datasets import make_polygenic_scores
    >>> people = make_polygenic_scores([200, 100, 100], n_snps=50, random_state=0)
    >>> people.data.shape, people.sensitive_features["ancestry"].value_counts().to_dict()
    ((400, 50), {'A': 200, 'B': 100, 'C': 100})
    """
    sizes = _check(n_samples, n_snps, block_size, drift, linkage, heritability)
    for name, value, low in (
        ("shared_effect", shared_effect, 0.0),
        ("causal_fraction", causal_fraction, 1e-12),
    ):
        if not isinstance(value, Real) or not low <= float(value) <= 1:
            raise ValueError(f"{name} must be in [0, 1]; found {value!r}.")
    rng = check_random_state(random_state)
    ancestral = rng.uniform(0.05, 0.95, n_snps)
    causal = np.zeros(n_snps, dtype=bool)
    causal[rng.permutation(n_snps)[: max(1, round(causal_fraction * n_snps))]] = True
    shared = rng.standard_normal(n_snps)
    tables, traits, effects, frequencies = [], [], [], []
    for g, n in enumerate(sizes):
        spread = (1 - drift[g]) / drift[g]
        p = np.clip(rng.beta(ancestral * spread, (1 - ancestral) * spread), 0.01, 0.99)
        own = rng.standard_normal(n_snps)
        effect = causal * (shared_effect * shared + np.sqrt(1 - shared_effect**2) * own)
        one = _haplotypes(n, p, linkage[g], block_size, rng)
        genotypes = one + _haplotypes(n, p, linkage[g], block_size, rng)
        genetic = _standardise(genotypes, p, ancestral) @ effect
        scale = np.sqrt(heritability[g]) / (genetic.std() or 1.0)
        noise = np.sqrt(1 - heritability[g]) * rng.standard_normal(n)
        tables.append(genotypes)
        traits.append(scale * (genetic - genetic.mean()) + noise)
        effects.append(scale * effect)
        frequencies.append(p)
    return _bunch(sizes, tables, traits, np.array(effects), np.array(frequencies), ancestral)


def _check(
    n_samples: int | Sequence[int],
    n_snps: int,
    block_size: int,
    drift: Sequence[float],
    linkage: Sequence[float],
    heritability: Sequence[float],
) -> list[int]:
    """Number of people of each ancestry."""
    n_groups = len(drift)
    for name, values, low, high in (
        ("drift", drift, 1e-9, 1 - 1e-9),
        ("linkage", linkage, 0.0, 1.0),
        ("heritability", heritability, 0.0, 1.0),
    ):
        if len(values) != n_groups:
            raise ValueError(f"{name} has {len(values)} entries; drift has {n_groups}.")
        if not all(low <= float(value) <= high for value in values):
            raise ValueError(f"{name} must be between 0 and 1; found {list(values)}.")
    for name, value in (("n_snps", n_snps), ("block_size", block_size)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be a positive integer; found {value!r}.")
    if isinstance(n_samples, int | np.integer):
        parts = np.array_split(np.arange(int(n_samples)), n_groups)
        sizes = [len(part) for part in parts]
    else:
        sizes = [int(n) for n in n_samples]
    if len(sizes) != n_groups or min(sizes) < 2:
        raise ValueError(
            f"n_samples must give at least 2 people to each of the {n_groups} ancestries; found "
            f"{sizes}."
        )
    return sizes


def _haplotypes(n: int, p: Array, linkage: float, block_size: int, rng: RandomState) -> NDArray:
    """Alleles (n, n_snps) of one haplotype per person."""
    variate = rng.uniform(size=(n, len(p)))
    copied = rng.uniform(size=(n, len(p))) < linkage
    for j in range(1, len(p)):
        if j % block_size:
            variate[:, j] = np.where(copied[:, j], variate[:, j - 1], variate[:, j])
    return (variate < p).astype(np.int8)


def _standardise(genotypes: NDArray, p: Array, ancestral: Array) -> Array:
    return (genotypes - 2 * p) / np.sqrt(2 * ancestral * (1 - ancestral))


def _bunch(
    sizes: list[int],
    tables: list[NDArray],
    traits: list[Array],
    effects: Array,
    frequencies: Array,
    ancestral: Array,
) -> Bunch:
    names = [f"snp{j + 1}" for j in range(len(ancestral))]
    labels = [chr(ord("A") + g) if len(sizes) <= 26 else f"{g:03d}" for g in range(len(sizes))]
    standard = [_standardise(t, p, ancestral) for t, p in zip(tables, frequencies, strict=True)]
    ancestry = pd.Categorical(np.repeat(labels, sizes), categories=labels)
    explained = [float(np.var(x @ b)) for x, b in zip(standard, effects, strict=True)]
    return Bunch(
        data=pd.DataFrame(np.vstack(standard), columns=names),
        genotypes=np.vstack(tables).astype(np.int8),
        target=pd.Series(np.concatenate(traits), name="trait"),
        sensitive_features=pd.DataFrame({"ancestry": ancestry}),
        effects=effects,
        frequencies=frequencies,
        heritability=np.array(explained),
        feature_names=names,
        DESCR="Simulated: see make_polygenic_scores.",
    )
