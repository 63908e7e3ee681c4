"""The published DiffEM algorithm for the manifold experiment, in PyTorch: time and quality at a chosen size.

Follows arXiv 2510.12691 and its public code where the two differ in detail: Linear, SiLU, LayerNorm; t from
an even mixture of Beta(2, 5) and Beta(5, 2); Adam 1e-3 -> 1e-6, restarted each lap; lap 1 trains on the real
observations, later laps on one corruption of the reconstructions, frozen for the lap and with projections
that are not normalized; E-step by ddpm, 4096 steps. One substitution: the Gaussian start is fitted and
sampled in closed form, which is the limit of the published start (the same EM, through a sampler). Prints one
JSON object per lap; the start is lap 0.
"""

import argparse
import json
import time

import ot
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import denoiser_torch as d
from options import positive


def smooth_manifold(n: int) -> Tensor:
    """x_j = sum_k a_jk k^-3 sin(2 pi (k b_jk z + c_jk)), z ~ U(0, 1), each coordinate scaled to [-2, 2]: [n, 5]."""
    k = torch.arange(1, 11)
    a, b, c = torch.rand(3, d.SIGNAL, len(k))
    x = (a / k**3 * torch.sin(2 * torch.pi * (k * b * torch.rand(n, 1, 1) + c))).sum(dim=-1)
    low, high = x.amin(dim=0), x.amax(dim=0)
    return 4 * (x - low) / (high - low) - 2


def make_data(n: int) -> dict[str, Tensor]:
    x, a = smooth_manifold(n), d.draw_projections(n)
    return {"x": x, "a": a, "y": d.project(x, a, torch.randn(n, d.OBSERVED))}


def gaussian_posterior(mean: Tensor, cov: Tensor, y: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Means [n, 5] and covariances [n, 5, 5] of x | y under x ~ N(mean, cov)."""
    cov_y = a @ cov @ a.mT + d.NOISE**2 * torch.eye(d.OBSERVED)
    gain = torch.linalg.solve(cov_y, a @ cov).mT
    residual = (y - a @ mean)[..., None]
    return mean + (gain @ residual)[..., 0], cov - gain @ a @ cov


def gaussian_start(y: Tensor, a: Tensor, iterations: int = 16) -> Tensor:
    """Fits N(mean, cov) to the observations by EM; returns one posterior draw per observation, [n, 5]."""
    y, a = y.double(), a.double()
    mean, cov = torch.zeros(d.SIGNAL).double(), torch.eye(d.SIGNAL).double()
    for _ in range(iterations):
        means, covs = gaussian_posterior(mean, cov, y, a)
        mean, cov = means.mean(dim=0), means.T.cov(correction=0) + covs.mean(dim=0)
    means, covs = gaussian_posterior(mean, cov, y, a)
    root = torch.linalg.cholesky(covs + 1e-9 * torch.eye(d.SIGNAL))
    return (means + (root @ torch.randn_like(means)[..., None])[..., 0]).float()


def draw_sigma(n: int) -> Tensor:
    beta = torch.distributions.Beta(2.0, 5.0).sample((n, 1))
    return d.sigma_of(torch.where(torch.rand(n, 1) < 0.5, beta, 1 - beta))


def m_step(denoiser: nn.Module, x: Tensor, condition: Tensor, steps: int, batch: int) -> float:
    """Trains on the pairs (x, condition) and returns the mean loss."""
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1e-3, total_iters=steps)
    total = 0.0
    for _ in range(steps):
        i = torch.randint(len(x), (batch,))
        loss = d.loss(denoiser, x[i], torch.randn(batch, d.SIGNAL), draw_sigma(batch), condition[i])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += loss.item()
    return total / steps


@torch.no_grad()
def e_step(denoiser: nn.Module, y: Tensor, a: Tensor, steps: int, rows: int) -> Tensor:
    return d.sample_in_chunks(lambda part: d.ddpm(denoiser, part, steps), d.features(y, a), rows)


def corrupt(x: Tensor) -> Tensor:
    """The published re-corruption, as condition features; the rows of its projections are not normalized."""
    a = torch.randn(len(x), d.OBSERVED, d.SIGNAL)
    return d.features(d.project(x, a, torch.randn(len(x), d.OBSERVED)), a)


def transport(u: Tensor, v: Tensor) -> float:
    """Entropic transport cost, squared Euclidean ground cost, regularization 1e-3."""
    options = {"reg": 1e-3, "numItermax": 1024, "stopThr": 1e-3, "method": "sinkhorn_log", "warn": False}
    return float(ot.sinkhorn2([], [], ot.dist(u, v), **options))


class Score:
    """max(OT(u1, v) - OT(u1, u2), 1e-6); u1 and u2 the first and last true points, v the first reconstructions."""

    def __init__(self, x: Tensor, points: int):
        self.points, self.u1 = points, x[:points]
        self.floor = transport(self.u1, x[-points:]) if points else None

    def __call__(self, reconstructions: Tensor) -> dict[str, float]:
        if not self.points:
            return {}
        cost = transport(self.u1, reconstructions[: self.points])
        return {"sinkhorn": max(cost - self.floor, 1e-6), "truth_against_truth": self.floor}


def timed(work, *arguments):
    start = time.perf_counter()
    result = work(*arguments)
    return result, time.perf_counter() - start


def run(args, data: dict[str, Tensor]) -> Tensor:
    """Runs the laps and returns the last reconstructions."""
    y, a = data["y"], data["a"]
    score = Score(data["x"], args.points)
    x, start_s = timed(gaussian_start, y, a)
    print(json.dumps({"lap": 0, "start_s": start_s} | score(x)), flush=True)
    denoiser = d.Denoiser(d.mlp(d.act_then_norm))
    condition = d.features(y, a)
    for lap in range(1, args.laps + 1):
        loss, m_step_s = timed(m_step, denoiser, x, condition, args.steps, args.batch)
        x, e_step_s = timed(e_step, denoiser, y, a, args.sampler_steps, args.rows)
        condition = corrupt(x)
        measured = {"lap": lap, "loss": loss, "m_step_s": m_step_s, "e_step_s": e_step_s}
        print(json.dumps(measured | score(x)), flush=True)
    return x


def read_data(path: str) -> dict[str, Tensor]:
    data = load_file(path)
    for name, shape in (("x", (d.SIGNAL,)), ("a", (d.OBSERVED, d.SIGNAL)), ("y", (d.OBSERVED,))):
        if name not in data or data[name].shape[1:] != shape or len(data[name]) != len(data["x"]):
            found = tuple(data[name].shape) if name in data else "nothing"
            raise SystemExit(f"{path}: expected '{name}' of shape {('n', *shape)} with one n for all, found {found}")
    return {name: data[name].float() for name in ("x", "a", "y")}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=positive, default=2048, help="published: 65536")
    parser.add_argument("--laps", type=positive, default=2, help="published: 32")
    parser.add_argument("--steps", type=positive, default=2048, help="M-step optimizer steps; published: 65536")
    parser.add_argument("--batch", type=positive, default=1024)
    parser.add_argument("--sampler-steps", type=positive, default=4096)
    parser.add_argument("--rows", type=positive, default=1024, help="observations sampled together")
    parser.add_argument("--points", type=int, default=1024, help="points scored per lap, 0 for none; published: 16384")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", metavar="FILE", help="safetensors to use: x [n, 5], a [n, 2, 5], y [n, 2]")
    parser.add_argument("--save", metavar="FILE", help="writes x, a, y and the last reconstructions as safetensors")
    return parser.parse_args()


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    data = read_data(args.data) if args.data else make_data(args.observations)
    if not 0 <= 2 * args.points <= len(data["x"]):
        raise SystemExit(f"--points {args.points}: expected 0 to {len(data['x']) // 2}, half of the observations")
    reconstructions = run(args, data)
    if args.save:
        save_file({**data, "reconstructions": reconstructions}, args.save)


if __name__ == "__main__":
    main()
