"""The reference world of the re-ranker: controllers, noise levels, and a harsher world.

``python benchmarks/vrs_world.py [--worlds 8] [--jobs 1]`` runs 8 worlds of 100,000 auctions for
every controller, all on the same random numbers, and writes ``results/vrs_world.json`` and
``results/vrs_harsher_world.json``. The columns "study" hold the figures of the study in which the
design was chosen (an independent program, 8 other worlds of the same kind). They are not figures
of the system that inspired the design: those are not public.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _results import write_results

from fairgroup.ranking import AdAuctionSimulator, NoisyCounter, VarianceAwareReranker

R = VarianceAwareReranker
HARSHER = {"n_clusters": 24, "cluster_info": 2.0, "skew": 0.5, "pacing": 0.0}


def laplace(scale, **options):
    return R(ki=0.05, noise=NoisyCounter(epsilon=1 / scale), **options)


def controllers(jobs):
    """Name, re-ranker, and the study's mean variance, coverage and relative value."""
    training = AdAuctionSimulator(random_state=99)
    fitted = R(search_iterations=8, random_state=0, n_jobs=jobs).fit(training)
    print("chosen in simulation:", {k: round(float(v), 3) for k, v in fitted.params_.items()})
    yield "none", None, (".264/.283", ".165/.057", "1")
    yield (
        "threshold 1.5 / 1",
        R("threshold", m_up=1.5, m_down=1.0),
        (".199/.243", ".41/.15", ".987"),
    )
    yield "threshold 2 / 0.5", R("threshold"), (".165/.217", ".50/.25", ".945")
    yield (
        "threshold 4 / 0.25",
        R("threshold", m_up=4.0, m_down=0.25),
        (".150/.208", ".53/.27", ".931"),
    )
    yield "threshold, calibrated 40 % / 85 %", R("threshold", m_up=None, m_down=None), None
    study = {
        0.0: (".156/.210", ".52/.27", ".934"),
        0.02: (".166/.218", ".50/.25", ".948"),
        0.1: (".170/.226", ".48/.21", ".962"),
    }
    for cost, figures in study.items():
        yield (
            f"Q-learning, cost {cost:g}",
            R("q", action_cost=cost, random_state=0).fit(training),
            figures,
        )
    for kp, coverage in ((1.0, ".51/.27"), (2.0, ".70/.54"), (4.0, ".71/.59"), (8.0, ".60/.44")):
        figures = (".096/.142", coverage, ".939") if kp == 2 else ("", coverage, "")
        yield f"P only, kp={kp:g}", R(kp=kp, ki=0.0), figures
    yield "PI, ki=0.05", R(ki=0.05), (".042/.079", ".91/.77", ".904")
    yield "PI, ki=0.1 (default)", R(ki=0.1), (".033/.066", ".94/.81", ".893")
    yield "PI, ki=0.2", R(ki=0.2), (".025/.055", ".96/.86", ".885")
    yield "PI, chosen in simulation", fitted, None
    yield "PI, boost only (m_min=1)", R(m_min=1.0), None
    yield "PI, cost guardrail 5 %", R(max_value_loss=0.05), None
    yield (
        "individual attributes (audit)",
        R("sign", allow_individual_attributes=True),
        (".033/.112", ".91/.63", ".895"),
    )
    noisy = {
        2: (".043/.081", ".91/.74"),
        5: (".047/.092", ".88/.67"),
        10: (".058/.107", ".79/.56"),
        20: (".080/.143", ".72/.35"),
    }
    for scale, figures in noisy.items():
        yield (
            f"PI, ki=0.05, Laplace {scale}",
            laplace(scale, hold_while_noisy=False),
            (*figures, ""),
        )
        yield f"PI, ki=0.05, Laplace {scale}, held while noisy", laplace(scale), None
    batches = {
        10: (".044/.080", ".90/.75"),
        25: (".043/.079", ".91/.76"),
        100: (".042/.079", ".92/.75"),
        200: (".045/.089", ".89/.70"),
    }
    for batch, figures in batches.items():
        yield (
            f"PI, ki=0.001 x batch, batch {batch}",
            R(ki=0.001 * batch, batch_size=batch),
            (*figures, ""),
        )


def measure(name, results, usual, study):
    def mean(values):
        return {a: float(np.nanmean([v[a] for v in values])) for a in ("sex", "race")}

    variance = mean([{a: np.nanmean(v) for a, v in r.variance.items()} for r in results])
    coverage = mean([r.coverage for r in results])
    users = mean([r.coverage_at(users=True) for r in results])
    spread = {
        a: np.std([r.coverage[a] for r in results], ddof=1) / np.sqrt(len(results))
        for a in ("sex", "race")
    }
    compared = [r.compare(u) for r, u in zip(results, usual, strict=True)]
    v_study, c_study, value_study = study or ("", "", "")
    return {
        "controller": name,
        "mean V sex/race": f"{variance['sex']:.3f}/{variance['race']:.3f}",
        "study V": v_study,
        "coverage sex/race": f"{coverage['sex']:.3f}/{coverage['race']:.3f}",
        "s.e.": f"{spread['sex']:.3f}/{spread['race']:.3f}",
        "study coverage": c_study,
        "coverage of users": f"{users['sex']:.3f}/{users['race']:.3f}",
        "value": round(
            float(
                np.mean(
                    [r.total_value / u.total_value for r, u in zip(results, usual, strict=True)]
                )
            ),
            3,
        ),
        "study value": value_study,
        "reach": round(float(np.mean([np.nanmean(c["reach"]) for c in compared])), 3),
        "cost per reach": round(
            float(np.mean([np.nanmedian(c["cost_per_reach"]) for c in compared])), 3
        ),
    }


def reference(worlds, jobs):
    sim, rows, usual = AdAuctionSimulator(random_state=0), [], None
    for name, reranker, study in controllers(jobs):
        begin = time.perf_counter()
        results = sim.run_worlds(reranker, n_worlds=worlds, n_jobs=jobs)
        usual = results if usual is None else usual
        rows.append(measure(name, results, usual, study))
        print(f"{time.perf_counter() - begin:5.1f} s", rows[-1], flush=True)
    return rows


def harsher(worlds, jobs):
    sim = AdAuctionSimulator(**HARSHER, random_state=0)
    usual, rows = sim.run_worlds(n_worlds=worlds, n_jobs=jobs), []
    for name, reranker in (
        ("none", None),
        ("threshold 2 / 0.5", R("threshold")),
        ("threshold 4 / 0.25", R("threshold", m_up=4.0, m_down=0.25)),
        ("P only, kp=2", R(ki=0.0)),
        ("PI, ki=0.1 (default)", R()),
        ("PI, multipliers 1/16 to 16", R(m_min=1 / 16, m_max=16.0)),
    ):
        results = sim.run_worlds(reranker, n_worlds=worlds, n_jobs=jobs)
        rows.append(measure(name, results, usual, None))
    keep = [k for k in rows[0] if not k.startswith("study")]
    return [{k: row[k] for k in keep} for row in rows]


def no_skew(worlds, jobs):
    """Groups have no tastes: what does control cost where little is to correct?"""
    rows = []
    for targeting in (1.0, 0.8):
        sim = AdAuctionSimulator(skew=0.0, targeting=targeting, random_state=0)
        usual = sim.run_worlds(n_worlds=worlds, n_jobs=jobs)
        results = sim.run_worlds(R(), n_worlds=worlds, n_jobs=jobs)
        for name, runs in (("none", usual), ("PI, ki=0.1 (default)", results)):
            row = measure(name, runs, usual, None)
            keep = {k: v for k, v in row.items() if not k.startswith("study")}
            rows.append({"targeting": targeting} | keep)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    rows = reference(args.worlds, args.jobs)
    notes = "reach and cost per reach relative to no control; payment is the critical bid"
    write_results("vrs_world", rows, title="Re-ranking: the reference world", notes=notes)
    hard = harsher(args.worlds, args.jobs)
    notes = (
        "24 clusters, cluster_info 2, skew 0.5, no pacing; study: threshold and P at most .39/.19"
    )
    write_results("vrs_harsher_world", hard, title="Re-ranking: a harsher world", notes=notes)
    fair = no_skew(args.worlds, args.jobs)
    notes = "with targeting 0.8 each ad may be shown to 80 % of the clusters, which skews a little"
    write_results("vrs_no_skew", fair, title="Re-ranking: a world without skew", notes=notes)


if __name__ == "__main__":
    main()
