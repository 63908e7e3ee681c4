"""Times the manifold experiment's MLP in PyTorch on the CPU; prints one JSON object.

mlp_train_ms      bare MLP, fixed batch of 1024: forward, mean square, backward, Adam
mlp_full_step_ms  batch of 1024 with fresh projections, observations and noise; loss, backward, clip at norm 1, Adam
mlp_forward_ms    bare MLP, fixed batch of 4096, no gradient
e_step_s          heun, 16 intervals (31 calls), for every observation; e_step_call_ms is one call for all
e_step_ddpm_s     ddpm, --ddpm-steps updates and one last call; e_step_ddpm_call_ms likewise

Times are medians of wall time after a warm-up.
"""

import argparse
import json
import os
from functools import partial

import torch
from torch import nn

import denoiser_torch as d
from options import positive
from timing import median_s

TRAIN_BATCH, FORWARD_BATCH, HEUN_INTERVALS = 1024, 4096, 16
LEARNING_RATE, CLIP = 1e-3, 1.0


def adam(module: nn.Module) -> torch.optim.Adam:
    # The fused and foreach variants were no faster for this network on one thread.
    return torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)


def train_step(compiled):
    """Returns a closure over fixed inputs, which times only the network and its optimizer."""
    net = d.mlp()
    optimizer = adam(net)
    forward = compiled(net)
    inputs, target = torch.randn(TRAIN_BATCH, d.INPUTS), torch.randn(TRAIN_BATCH, d.SIGNAL)

    def step():
        optimizer.zero_grad()
        (forward(inputs) - target).square().mean().backward()
        optimizer.step()

    return step


def full_step(compiled, signals: int):
    """Returns a closure over a table of signals; every call corrupts a new mini-batch afresh."""
    table = 4 * torch.rand(signals, d.SIGNAL) - 2
    denoiser = d.Denoiser(d.mlp())
    optimizer = adam(denoiser)
    loss = compiled(d.loss)
    level = torch.distributions.Beta(3.0, 3.0)

    def step():
        x = table[torch.randint(signals, (TRAIN_BATCH,))]
        a = d.draw_projections(TRAIN_BATCH)
        y = d.project(x, a, torch.randn(TRAIN_BATCH, d.OBSERVED))
        sigma = d.sigma_of(level.sample((TRAIN_BATCH, 1)))
        optimizer.zero_grad()
        loss(denoiser, x, torch.randn_like(x), sigma, d.features(y, a)).backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), CLIP)
        optimizer.step()

    return step


def forward_pass(compiled):
    net = compiled(d.mlp())
    inputs = torch.randn(FORWARD_BATCH, d.INPUTS)
    return torch.no_grad()(partial(net, inputs))


def measure_e_step(args, denoise, sampler, steps: int, calls: int) -> tuple[float, float]:
    """Returns the seconds of an E-step and the milliseconds of one network call for all observations."""
    y, a = torch.randn(args.observations, d.OBSERVED), d.draw_projections(args.observations)
    condition = d.features(y, a)
    # One chunk and two levels warm up (and compile) at the chunk's shape without paying for a whole E-step.
    sampler(denoise, condition[: args.rows], 2)
    work = partial(d.sample_in_chunks, lambda part: sampler(denoise, part, steps), condition, args.rows)
    seconds = median_s(work, args.e_step_repeats, warm_up=0)
    return seconds, 1e3 * seconds / calls


def measure(args) -> dict:
    compiled = (lambda f: torch.compile(f, dynamic=False)) if args.compile else (lambda f: f)
    denoise = torch.no_grad()(compiled(d.Denoiser(d.mlp())))
    heun_s, heun_call_ms = measure_e_step(args, denoise, d.heun, HEUN_INTERVALS, 2 * HEUN_INTERVALS - 1)
    ddpm_s, ddpm_call_ms = measure_e_step(args, denoise, d.ddpm, args.ddpm_steps, args.ddpm_steps + 1)
    return {
        "mlp_train_ms": 1e3 * median_s(train_step(compiled), args.repeats, args.warm_up),
        "mlp_full_step_ms": 1e3 * median_s(full_step(compiled, args.observations), args.repeats, args.warm_up),
        "mlp_forward_ms": 1e3 * median_s(forward_pass(compiled), args.repeats, args.warm_up),
        "e_step_s": heun_s,
        "e_step_call_ms": heun_call_ms,
        "e_step_ddpm_s": ddpm_s,
        "e_step_ddpm_call_ms": ddpm_call_ms,
    }


def provenance(args) -> dict:
    return {
        "peer": "torch-compile" if args.compile else "torch-eager",
        "version": torch.__version__,
        "threads": args.threads,
        "load_1min": round(os.getloadavg()[0], 2),
        "observations": args.observations,
        "rows": args.rows,
        "ddpm_steps": args.ddpm_steps,
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--compile", action="store_true", help="through torch.compile (needs a C++ compiler)")
    parser.add_argument("--repeats", type=positive, default=100)
    parser.add_argument("--warm-up", type=positive, default=20)
    parser.add_argument("--e-step-repeats", type=positive, default=3)
    parser.add_argument("--observations", type=positive, default=16384)
    parser.add_argument("--rows", type=positive, default=1024, help="observations sampled together")
    parser.add_argument("--ddpm-steps", type=positive, default=32)
    return parser.parse_args()


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(args.threads)
    torch.manual_seed(0)
    print(json.dumps(provenance(args) | measure(args)))


if __name__ == "__main__":
    main()
