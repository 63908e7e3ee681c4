"""Writes heads of ellipses as pictures of 64 x 64 pixels, for the preset `ct`: scikit-image's Shepp-Logan phantom, turned,
moved and stretched at random, with random ellipses in it. OUT/train holds 512 pictures (seed 0), OUT/test 128 (seed 1).

    pip install numpy pillow scikit-image
    python runs/ct.py OUT

With the observations of OUT/test that `diffem corrupt` made, it scores filtered backprojection of them:

    python runs/ct.py OUT seen.npz
"""

import sys
import warnings
from pathlib import Path

import numpy as np

SIDE, FINE = 64, 256
COUNTS = {"train": 512, "test": 128}


def picture(rng):
    """One head in [0, 1], from a plane four times as fine."""
    from skimage.data import shepp_logan_phantom
    from skimage.draw import ellipse
    from skimage.transform import AffineTransform, resize, warp

    head = np.clip(resize(shepp_logan_phantom(), (FINE, FINE), anti_aliasing=True), 0, 1)
    for _ in range(rng.integers(3, 9)):
        row, column = FINE / 2 + FINE * rng.uniform(-0.22, 0.22, 2)
        half = FINE * rng.uniform(0.02, 0.1, 2)
        inside = ellipse(row, column, *half, shape=head.shape, rotation=rng.uniform(0, np.pi))
        head[inside] = np.clip(head[inside] + rng.uniform(-0.25, 0.5), 0, 1)
    center = AffineTransform(translation=(-FINE / 2, -FINE / 2))
    change = AffineTransform(
        scale=tuple(rng.uniform(0.8, 1.0, 2)),
        rotation=rng.uniform(0, 2 * np.pi),
        translation=tuple(rng.uniform(-0.03, 0.03, 2) * FINE),
    )
    moved = warp(head, (center + change + center.inverse).inverse)
    return np.clip(resize(moved, (SIDE, SIDE), anti_aliasing=True), 0, 1)


def write(out):
    from PIL import Image

    for seed, (name, count) in enumerate(COUNTS.items()):
        folder, rng = Path(out) / name, np.random.default_rng(seed)
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(np.round(picture(rng) * 255).astype(np.uint8)).save(folder / f"{i:04}.png")
        print(f"{folder}: {count} pictures")


def backprojected(out, seen):
    """Prints the PSNR (range 4) of filtered backprojection with every filter of scikit-image."""
    from PIL import Image
    from skimage.transform import iradon, radon

    data = np.load(seen)
    paths = sorted((Path(out) / "test").iterdir())
    truth = np.stack([np.asarray(Image.open(path), float) for path in paths]) / 255 * 4 - 2
    y = data["y"].reshape(len(truth), -1, SIDE) * SIDE
    first = data["a"].reshape(len(truth))
    warnings.simplefilter("ignore")  # corners that are not 0
    for name in ["ramp", "shepp-logan", "cosine", "hamming", "hann"]:
        errors = []
        for x, lines, start in zip(truth, y, first):
            theta = start + np.arange(len(lines)) * 180 / len(lines)
            # Backprojection takes what is 0 around the head, so that black, -2, becomes 0.
            light = lines.T - radon(np.full((SIDE, SIDE), -2.0), theta=theta, circle=True)
            back = iradon(light, theta=theta, circle=True, filter_name=name) - 2
            errors.append(np.mean((np.clip(back, -2, 2) - x) ** 2))
        print(f"{name}: {10 * np.log10(16 / np.mean(errors)):.2f} dB")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        backprojected(sys.argv[1], sys.argv[2])
    else:
        write(sys.argv[1])
