"""Code that the scripts in this directory share: weights by formula and a picture, the same as in
native/src/eval/features/fixtures.rs."""

import json
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent


def write(name, value):
    (HERE / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")


def rounded(values):
    """Rounds to seven digits, which is more than single precision can reproduce."""
    return [float(f"{v:.7g}") for v in np.asarray(values, dtype=np.float64).ravel()]


def unit(seed, n):
    """Returns n numbers in [-1, 1) with 24 bits each (splitmix64)."""
    z = (np.uint64(seed) + np.arange(n, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def values(name, shape):
    """Returns the tensor `name`: a hash of its name (64-bit FNV-1a) and of the value's index."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    u = unit(seed, int(np.prod(shape)))
    if name.endswith(("_embed", "_token")):
        found = u
    elif name.startswith("lin"):
        found = np.abs(u)
    elif len(shape) == 1:
        found = u / 4 + (1 if name.endswith(("weight", "running_var", "gamma")) else 0)
    else:
        found = u * np.sqrt(6 / np.prod(shape[1:]))
    return torch.from_numpy(found.astype(np.float32).reshape(shape))


def fill(module, skip=()):
    """Sets the tensors of the module's state, except those whose name begins or ends with one of `skip`."""
    skip = (*skip, "num_batches_tracked")
    names = [name for name in module.state_dict() if not name.startswith(skip) and not name.endswith(skip)]
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    module.load_state_dict({name: values(name, shapes[name]) for name in names}, strict=False)
    return module.eval().requires_grad_(False)


def picture(channels, height, width):
    """Returns [height, width, channels] bytes."""
    i, j = np.mgrid[:height, :width]
    planes = [(i * i + 3 * i * j + 7 * j + 50 * c) % 256 for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


def rgb(image):
    """Repeats a gray picture three times."""
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def shape_of(channels, height, width):
    return {"channels": channels, "height": height, "width": width}
