"""The U-Net of `benches/unet.rs` in PyTorch: training step and forward, eager, contiguous and channels_last.

usage: unet_torch.py --threads 1
"""

import argparse
import json

import torch
from torch import nn
from torch.nn import functional as F

from timing import median_s

BATCH, CHANNELS, BLOCKS, HEADS, EMBEDDING = 16, (32, 64, 128), (2, 2, 2), (0, 0, 1), 64


def norm(x):
    """LayerNorm over the channels of NCHW, without parameters."""
    mean = x.mean(1, keepdim=True)
    variance = x.var(1, keepdim=True, unbiased=False)
    return (x - mean) * torch.rsqrt(variance + 1e-5)


class Gate(nn.Module):
    """(x + g f(norm((a + 1) x + b))) / sqrt(1 + g^2)."""

    def __init__(self, c):
        super().__init__()
        self.modulation = nn.Sequential(nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, 3 * c))

    def forward(self, x, embedding):
        a, b, g = self.modulation(embedding)[:, :, None, None].chunk(3, 1)
        return (x + g * self.inside(norm((a + 1) * x + b))) / torch.sqrt(1 + g**2)


class Block(Gate):
    def __init__(self, c):
        super().__init__(c)
        self.inside = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.SiLU(), nn.Conv2d(c, c, 3, padding=1))


class Attention(Gate):
    def __init__(self, c, heads):
        super().__init__(c)
        self.heads = heads
        self.qkv, self.out = nn.Linear(c, 3 * c, bias=False), nn.Linear(c, c, bias=False)

    def inside(self, v):
        n, c, h, w = v.shape
        parts = self.qkv(v.flatten(2).transpose(1, 2)).reshape(n, h * w, 3, self.heads, c // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        return self.out(mixed).transpose(1, 2).reshape(n, c, h, w)


def stages(level):
    out = []
    for _ in range(BLOCKS[level]):
        out.append(Block(CHANNELS[level]))
        if HEADS[level]:
            out.append(Attention(CHANNELS[level], HEADS[level]))
    return nn.ModuleList(out)


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        levels = range(len(CHANNELS))
        self.input = nn.Conv2d(6, CHANNELS[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(CHANNELS[i - 1], CHANNELS[i], 3, 2, 1) for i in levels[1:])
        self.merge = nn.ModuleList(nn.Conv2d(CHANNELS[i] + CHANNELS[i + 1], CHANNELS[i], 3, padding=1) for i in levels[:-1])
        self.descent = nn.ModuleList(stages(i) for i in levels)
        self.ascent = nn.ModuleList(stages(i) for i in levels)
        self.output = nn.Conv2d(CHANNELS[0], 3, 1)

    def forward(self, x, embedding, condition):
        h, memory = self.input(torch.cat([x, condition], 1)), []
        for i in range(len(CHANNELS)):
            if i:
                h = norm(self.down[i - 1](h))
            for stage in self.descent[i]:
                h = stage(h, embedding)
            memory.append(h)
        for i in reversed(range(len(CHANNELS))):
            saved = memory.pop()
            if i + 1 < len(CHANNELS):
                h = self.merge[i](torch.cat([h, saved], 1))
            for stage in self.ascent[i]:
                h = stage(h, embedding)
            if i:
                h = F.interpolate(norm(h), scale_factor=2, mode="nearest")
        return self.output(h)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    for layout in (torch.contiguous_format, torch.channels_last):
        for side in (32, 16):
            network = Unet().to(memory_format=layout)
            x, c = (torch.randn(BATCH, 3, side, side).to(memory_format=layout) for _ in range(2))
            e = torch.randn(BATCH, EMBEDDING)

            def train():
                network.zero_grad()
                network(x, e, c).square().mean().backward()

            def forward():
                with torch.no_grad():
                    network(x, e, c)

            print(json.dumps({
                "peer": "torch-" + ("channels-last" if layout is torch.channels_last else "eager"),
                "threads": threads,
                "side": side,
                "batch": BATCH,
                "parameters": sum(p.numel() for p in network.parameters()),
                "unet_train_ms": median_s(train, 15, 3) * 1e3,
                "unet_forward_ms": median_s(forward, 25, 3) * 1e3,
            }))


if __name__ == "__main__":
    main()
