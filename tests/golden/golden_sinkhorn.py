"""Writes the golden values of tests/suite/metric_golden.rs, computed with POT, to metric.json beside this script.

    pip install numpy POT
    python golden_sinkhorn.py

Points lie on a grid of 1/4096, so that JSON holds them as small integers and both sides read the same numbers.
"""

import json
import math
from pathlib import Path

import numpy as np
import ot

GRID = 4096
HERE = Path(__file__).parent


def manifold(rng, n, d):
    """Two samples `[n, d]` of the manifold: x_j = sum_k a k^-3 sin(2 pi (k b z + c)), scaled to [-2, 2]."""
    a, b, c = rng.random((3, d, math.ceil(1e-3 ** (-1 / 3))))
    k = np.arange(1, a.shape[1] + 1)
    z = rng.random(2 * n)
    x = np.einsum("jk,jkn->nj", a * k**-3.0, np.sin(2 * np.pi * (k[:, None] * b[:, :, None] * z + c[:, :, None])))
    x = (x - x.min(0)) / (x.max(0) - x.min(0)) * 4 - 2
    return x[:n], x[n:]


def snapped(x):
    return np.rint(x * GRID).astype(int)


def sinkhorn_case(name, u, v, **settings):
    settings = {"reg": 1e-3, "iterations": 1024, "tolerance": 1e-9} | settings
    u, v = snapped(u), snapped(v)
    cost, log = ot.sinkhorn2(
        [],
        [],
        ot.dist(u / GRID, v / GRID),
        settings["reg"],
        method="sinkhorn_log",
        numItermax=settings["iterations"],
        stopThr=settings["tolerance"],
        warn=False,
        log=True,
    )
    converged = bool(log["err"][-1] < settings["tolerance"])
    found = {"cost": float(cost), "iterations_done": log["niter"] + 1, "converged": converged}
    print(name, found)
    return {"name": name, "d": u.shape[1], "u": u.ravel().tolist(), "v": v.ravel().tolist()} | settings | found


def sinkhorn_cases(rng):
    u, v = manifold(rng, 512, 5)
    yield sinkhorn_case("manifold in [-2, 2], d 5, n 512", u, v)
    yield sinkhorn_case("manifold against uniform noise, d 5, n 256", u[:256], rng.uniform(-2, 2, (256, 5)))
    yield sinkhorn_case("unit interval, d 1, n 128", rng.random((128, 1)), rng.random((128, 1)))
    yield sinkhorn_case("far apart, d 2, n 64", rng.normal(size=(64, 2)) / 4, 3 + rng.normal(size=(64, 2)) / 4)
    yield sinkhorn_case("unequal, d 2, n 200 and 75", rng.normal(size=(200, 2)), rng.normal(size=(75, 2)))
    yield sinkhorn_case("stops early, d 2, n 128 and 100", rng.random((128, 2)), rng.random((100, 2)), reg=0.1)
    yield sinkhorn_case("cap of 37, d 5, n 96", u[:96], v[:96], iterations=37)
    yield sinkhorn_case("loose tolerance, d 1, n 64", rng.random((64, 1)), rng.random((64, 1)), tolerance=1e-3)


def sliced_cases(rng):
    for n, m, d, k in [(64, 64, 2, 8), (128, 75, 5, 16), (50, 100, 1, 1)]:
        u, v = snapped(rng.normal(size=(n, d))), snapped(0.5 + rng.random((m, d)))
        directions = rng.normal(size=(k, d))
        directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
        projections = directions.T.astype(float)
        distance = ot.sliced_wasserstein_distance(u / GRID, v / GRID, projections=projections, p=2)
        yield {
            "d": d,
            "u": u.ravel().tolist(),
            "v": v.ravel().tolist(),
            "directions": directions.ravel().tolist(),
            "distance": float(distance),
        }


def main():
    rng = np.random.default_rng(0)
    golden = {
        "pot": ot.__version__,
        "grid": GRID,
        "sinkhorn": list(sinkhorn_cases(rng)),
        "sliced": list(sliced_cases(rng)),
    }
    (HERE / "metric.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
