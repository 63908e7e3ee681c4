"""Times `ot.sinkhorn2` of POT (float64, log domain) against the benchmark `sinkhorn_cost` on the same points.

    pip install numpy POT
    cargo bench --workspace --bench sinkhorn_cost --no-run
    python compare_pot.py target/release/deps/sinkhorn_cost-* 2048 4096 16384

Truth against truth on the published manifold (d = 5), reg 1e-3, 1024 iterations. From 4096 points on, POT is
not run to the end: its time is that of 1 iteration plus 1023 times a tenth of the difference between 11 and 1
iterations (at 2048 points both times are printed, which tests the rule). Each run is a separate process;
`wall` and `cpu` (all threads) are its seconds from start to end, `peak_mb` is its peak resident set. Unset
OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE so that numpy runs with its defaults.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ITERATIONS, REG, DIMENSION = 1024, 1e-3, 5


def manifold(rng, coefficients, n):
    """Points `[n, d]` of x_j = sum_k a k^-3 sin(2 pi (k b z + c)), z uniform."""
    a, b, c = coefficients
    k = np.arange(1, a.shape[1] + 1)
    phase = k[:, None] * b[:, :, None] * rng.random(n) + c[:, :, None]
    return np.einsum("jk,jkn->nj", a * k**-3.0, np.sin(2 * np.pi * phase))


def samples(seed, n, sets):
    """`sets` independent samples `[n, d]`, float32, scaled to [-2, 2] by the extremes of a larger one."""
    rng = np.random.default_rng(seed)
    coefficients = rng.random((3, DIMENSION, math.ceil(1e-3 ** (-1 / 3))))
    truth = manifold(rng, coefficients, 65536)
    low, high = truth.min(0), truth.max(0)
    scaled = [(manifold(rng, coefficients, n) - low) / (high - low) * 4 - 2 for _ in range(sets)]
    return [x.astype(np.float32) for x in scaled]


def pot(u_path, v_path, iterations):
    """The child process: prints the cost."""
    import ot

    u, v = (np.fromfile(path, np.float32).reshape(-1, DIMENSION).astype(float) for path in (u_path, v_path))
    print(ot.sinkhorn2([], [], ot.dist(u, v), REG, method="sinkhorn_log", numItermax=iterations, warn=False))


def timed(*command):
    """Runs `command` under GNU time (a direct child would count this process's memory as its own)."""
    timing = ["/usr/bin/time", "-f", "%e %U %S %M", *command]
    done = subprocess.run(timing, check=True, capture_output=True, text=True)
    wall, user, system, peak = map(float, done.stderr.split("\n")[-2].split())
    return {"cost": float(done.stdout.split()[0]), "wall": wall, "cpu": user + system, "peak_mb": peak / 1024}


def run_pot(paths, iterations):
    return timed(sys.executable, __file__, "--pot", *paths, str(iterations))


def extrapolated(paths):
    one, eleven = run_pot(paths, 1), run_pot(paths, 11)
    whole = {clock: one[clock] + (ITERATIONS - 1) * (eleven[clock] - one[clock]) / 10 for clock in ("wall", "cpu")}
    return whole | {"peak_mb": eleven["peak_mb"]}


def main(binary, sizes):
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(Path(folder, name)) for name in ("u.f32", "v.f32")]
            for path, x in zip(paths, samples(1, n, 2)):
                x.tofile(path)
            row = {"n": n, "ours": timed(binary, *paths, str(DIMENSION)), "pot_extrapolated": extrapolated(paths)}
            if n < 4096:
                row["pot_whole"] = run_pot(paths, ITERATIONS)
        pot_time = row.get("pot_whole", row["pot_extrapolated"])
        row["ratio"] = {clock: row["ours"][clock] / pot_time[clock] for clock in ("wall", "cpu")}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--pot":
        pot(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main(sys.argv[1], [int(n) for n in sys.argv[2:]])
