"""Writes the golden values of tests/suite/spectral.rs to deconvolution.json, from scikit-image and SciPy.

    pip install numpy scipy scikit-image
    python golden_deconvolution.py

scikit-image's filters support only periodic (wiener) and empty (richardson_lucy) borders. Here borders are
mirrored: an image is mirrored to twice its sides, where a periodic convolution equals the mirrored one, or so
far that nothing from the borders reaches it.
"""

import json
import math
from pathlib import Path

import numpy as np
from skimage.restoration import richardson_lucy, wiener

HERE = Path(__file__).parent
GRID = 1024  # inputs are integers / GRID, exact in JSON and in f32


def kernel(sigma, reach=None):
    reach = math.ceil(4 * sigma) if reach is None else reach
    k = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    k /= k.sum()
    return np.outer(k, k)


def mirrored_wiener(y, sigma, balance):
    h, w = y.shape
    doubled = np.pad(y, ((0, h), (0, w)), mode="symmetric")
    return wiener(doubled, kernel(sigma), balance, clip=False)[:h, :w]


def mirrored_lucy(y, sigma, iterations):
    psf = kernel(sigma)
    # In each iteration the empty outside spreads inward by twice the radius of the kernel.
    margin = 2 * iterations * (psf.shape[0] // 2) + 1
    padded = np.pad(y, margin, mode="symmetric")
    return richardson_lucy(padded, psf, num_iter=iterations, clip=False)[margin:-margin, margin:-margin]


def main():
    rng = np.random.default_rng(0)
    cases = []
    for height, width, sigma, balance, iterations in [(12, 15, 0.7, 0.01, 6), (16, 11, 1.0, 3e-4, 12)]:
        i, j = np.mgrid[:height, :width]
        smooth = 0.5 + 0.3 * np.sin(0.7 * i) * np.cos(0.5 * j) + 0.05 * rng.normal(size=(height, width))
        y = np.rint(np.clip(smooth, 0.02, 0.98) * GRID).astype(int)
        cases.append(
            {
                "height": height,
                "width": width,
                "sigma": sigma,
                "balance": balance,
                "iterations": iterations,
                "y": y.ravel().tolist(),
                "wiener": mirrored_wiener(y / GRID, sigma, balance).ravel().round(9).tolist(),
                "lucy": mirrored_lucy(y / GRID, sigma, iterations).ravel().round(9).tolist(),
            }
        )
    text = json.dumps({"grid": GRID, "cases": cases}, separators=(",", ":"))
    (HERE / "deconvolution.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
