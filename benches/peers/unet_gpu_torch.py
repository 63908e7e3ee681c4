"""The training step of the preset cifar10-mask75 in PyTorch on a GPU: U-Net, dropout, loss, Adam and average, compiled.

usage: unet_gpu_torch.py --precision bf16
"""

import argparse
import json
import time

import torch
from torch import nn

import unet_torch as peer

peer.CHANNELS, peer.BLOCKS, peer.HEADS, peer.EMBEDDING = (128, 256, 384), (5, 5, 5), (0, 4, 0), 256
DROPOUT = 0.1


def network():
    model = peer.Unet()
    for module in model.modules():
        if isinstance(module, peer.Block):
            first, silu, second = module.inside
            module.inside = nn.Sequential(first, silu, nn.Dropout(DROPOUT), second)
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="bf16")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--eager", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.precision != "f32"
    model = network().to(args.device, memory_format=torch.channels_last)
    average = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, fused=args.device == "cuda")
    call = model if args.eager else torch.compile(model)
    x, c = (torch.randn(args.batch, 3, args.side, args.side, device=args.device) for _ in range(2))
    e = torch.randn(args.batch, peer.EMBEDDING, device=args.device)

    def step():
        with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "bf16"):
            loss = (call(x, e, c).float() - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        torch._foreach_lerp_(average, list(model.parameters()), 1e-4)
        return loss

    def wait():
        if args.device == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        step()
    wait()
    began = time.perf_counter()
    for _ in range(args.steps):
        step()
    wait()
    seconds = (time.perf_counter() - began) / args.steps
    memory = torch.cuda.max_memory_allocated() if args.device == "cuda" else None
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({
        "peer": "torch",
        "precision": args.precision,
        "compiled": not args.eager,
        "parameters": parameters,
        "seconds_per_step": seconds,
        "memory_bytes": memory,
    }))


if __name__ == "__main__":
    main()
