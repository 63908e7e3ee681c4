"""Writes mmps.json beside this script: azula's MMPSDenoiser on a mixture of two Gaussians, whose denoiser is
not a network but is nonlinear.

    pip install torch azula
    python mmps.py
"""

import json
from pathlib import Path

import torch
from azula.denoise import Denoiser, DiracPosterior
from azula.guidance import MMPSDenoiser
from azula.linalg.covariance import IsotropicCovariance
from azula.noise import VESchedule

HERE = Path(__file__).parent
GRID = 1024  # inputs are integers / GRID, exact in JSON and in f32
D, M, N, VARIANCE, STD = 4, 2, 5, 0.25, 0.1
torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(0)


def grid(*shape):
    return torch.randint(-2 * GRID, 2 * GRID + 1, shape, generator=generator)


centers, a, x_t = grid(2, D), grid(M, D), grid(N, D)
y = grid(N, M)


class Mixture(Denoiser):
    """E[x | x_t] of x ~ 1/2 N(c_1, v I) + 1/2 N(c_2, v I)."""

    def __init__(self):
        super().__init__()
        self.schedule = VESchedule(1e-3, 1e1)

    def forward(self, x_t, t):
        sigma = self.schedule(t)[1]
        total = VARIANCE + sigma**2
        c = centers / GRID
        weight = torch.softmax(-((x_t[:, None] - c) ** 2).sum(-1, keepdim=True) / (2 * total), dim=1)
        mean = c + VARIANCE / total * (x_t[:, None] - c)
        return DiracPosterior(mean=(weight * mean).sum(1))


cases = []
for sigma in [0.3, 2.0]:
    prior = Mixture()
    # sigma(t) = 1e-3^(1 - t) 10^t
    t = (torch.log(torch.tensor(sigma)) - torch.log(torch.tensor(1e-3))) / torch.log(torch.tensor(1e4))
    for iterations in [1, 2, 3]:
        posterior = MMPSDenoiser(
            prior,
            y / GRID,
            lambda x: x @ (a / GRID).T,
            IsotropicCovariance(torch.tensor(STD**2)),
            solver="cg",
            iterations=iterations,
        )
        mean = posterior(x_t / GRID, t).mean
        cases.append({"sigma": sigma, "iterations": iterations, "mean": mean.flatten().tolist()})

golden = {"grid": GRID, "d": D, "m": M, "variance": VARIANCE, "std": STD, "cases": cases}
golden |= {name: value.flatten().tolist() for name, value in [("centers", centers), ("a", a), ("x_t", x_t), ("y", y)]}
(HERE / "mmps.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
