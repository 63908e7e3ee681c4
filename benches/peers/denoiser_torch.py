"""The manifold experiment's parts in PyTorch, shared by the peers: denoiser, channel, loss, samplers.

Letters: x [n, 5] signals, a [n, 2, 5] projections, y [n, 2] observations, sigma the noise level of x_t = x + sigma z.
Sources: DiffEM (arXiv 2510.12691), EDM (Karras et al. 2022, arXiv 2206.00364).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

SIGNAL, OBSERVED, EMBEDDING, WIDTH = 5, 2, 64, 256
INPUTS = SIGNAL + OBSERVED + OBSERVED * SIGNAL + EMBEDDING  # x_t, y, a, embedding of ln sigma: 81
SIGMA_MIN, SIGMA_MAX = 1e-3, 10.0
NOISE = 1e-2  # standard deviation of the measurement noise


def norm_then_act() -> list[nn.Module]:
    return [nn.LayerNorm(WIDTH), nn.SiLU()]


def act_then_norm() -> list[nn.Module]:
    """Layers in the order of the published code, whose LayerNorm has no learned scale or shift."""
    return [nn.SiLU(), nn.LayerNorm(WIDTH, elementwise_affine=False)]


def mlp(after_linear=norm_then_act) -> nn.Sequential:
    """81 -> 256 -> 256 -> 256 -> 5."""
    hidden = [layer for inputs in (INPUTS, WIDTH, WIDTH) for layer in (nn.Linear(inputs, WIDTH), *after_linear())]
    return nn.Sequential(*hidden, nn.Linear(WIDTH, SIGNAL))


def sigma_of(t: Tensor) -> Tensor:
    """sigma(t) = sigma_min^(1-t) sigma_max^t, t in [0, 1]."""
    return SIGMA_MIN ** (1 - t) * SIGMA_MAX**t


class Denoiser(nn.Module):
    """D = c_skip x_t + c_out net(c_in x_t, c, emb(ln sigma)) with sigma_data = 1 (EDM, table 1)."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        self.register_buffer("frequencies", 1e-4 ** torch.linspace(0, 1, EMBEDDING // 2), persistent=False)

    def embed(self, sigma: Tensor) -> Tensor:
        phase = sigma.log() * self.frequencies
        return torch.cat([phase.sin(), phase.cos()], dim=-1)

    def forward(self, x_t: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        """x_t [n, 5]; sigma [n, 1], or [1, 1] when all rows share it; condition [n, 12] from `features`."""
        scale = (sigma**2 + 1).rsqrt()
        embedding = self.embed(sigma).expand(len(x_t), -1)
        net = self.net(torch.cat([scale * x_t, condition, embedding], dim=-1))
        return scale**2 * x_t + sigma * scale * net


def features(y: Tensor, a: Tensor) -> Tensor:
    """What the network sees of an observation: y and the flattened projection, [n, 12]."""
    return torch.cat([y, a.flatten(1)], dim=-1)


def project(x: Tensor, a: Tensor, noise: Tensor) -> Tensor:
    """y = a x + 0.01 n."""
    return torch.einsum("nij,nj->ni", a, x) + NOISE * noise


def draw_projections(n: int) -> Tensor:
    """Gaussian [n, 2, 5] with rows on the unit sphere."""
    return nn.functional.normalize(torch.randn(n, OBSERVED, SIGNAL), dim=-1)


def loss(denoiser: nn.Module, x: Tensor, z: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
    """Mean over the batch of (1/sigma^2 + 1) mean_d (D - x)^2."""
    error = denoiser(x + sigma * z, sigma, condition) - x
    return ((sigma**-2 + 1) * error.square().mean(dim=-1, keepdim=True)).mean()


def ddpm(denoise, condition: Tensor, steps: int) -> Tensor:
    """Ancestral sampling on a log-uniform grid: `steps` updates, then D at sigma_min (steps + 1 network calls)."""
    sigmas = sigma_of(torch.linspace(1, 0, steps + 1)).view(-1, 1, 1)
    x = sigmas[0] * torch.randn(len(condition), SIGNAL)
    for sigma_t, sigma_s in pairwise(sigmas):
        tau = 1 - (sigma_s / sigma_t) ** 2
        x = x - tau * (x - denoise(x, sigma_t, condition)) + sigma_s * tau.sqrt() * torch.randn_like(x)
    return denoise(x, sigmas[-1], condition)


def heun(denoise, condition: Tensor, intervals: int) -> Tensor:
    """Deterministic second-order sampling (EDM, algorithm 1) on `intervals` log-uniform levels and 0.

    The last interval, to 0, is an Euler step and returns D: 2 * intervals - 1 network calls.
    """
    sigmas = sigma_of(torch.linspace(1, 0, intervals)).view(-1, 1, 1)
    x = sigmas[0] * torch.randn(len(condition), SIGNAL)
    for sigma_t, sigma_s in pairwise(sigmas):
        slope = (x - denoise(x, sigma_t, condition)) / sigma_t
        euler = x + (sigma_s - sigma_t) * slope
        slope_s = (euler - denoise(euler, sigma_s, condition)) / sigma_s
        x = x + (sigma_s - sigma_t) * (slope + slope_s) / 2
    return denoise(x, sigmas[-1], condition)


def sample_in_chunks(sample, condition: Tensor, rows: int) -> Tensor:
    """One E-step: samples every observation, `rows` at a time."""
    return torch.cat([sample(part) for part in condition.split(rows)])
