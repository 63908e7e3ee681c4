"""Writes image.json beside this script: the golden values of tests/suite/image_golden.rs, computed with
scikit-image, SciPy and NumPy.

    pip install numpy scipy scikit-image
    python image_metrics.py

Values lie on a grid of 1/64, so that JSON holds them as small integers and both sides read the same numbers.
"""

import json
from pathlib import Path

import numpy as np
import scipy.linalg
import scipy.special
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

GRID = 64
HERE = Path(__file__).parent


def snapped(x):
    return np.rint(x * GRID).astype(int)


def image_case(rng, channels, height, width, data_range, noise):
    """A smooth image with a step, and a noisy copy, whose second half is also scored alone."""
    i, j = np.mgrid[:height, :width]
    x = np.stack([np.sin(0.3 * i + c) + np.cos(0.2 * j - c) * (j > width / 2) for c in range(channels)])
    x, y = snapped(x), snapped(x + noise * rng.normal(size=x.shape))
    a, b = x / GRID, y / GRID
    settings = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=data_range)
    half = a.size // 2
    mean, full = structural_similarity(a, b, channel_axis=0, full=True, **settings)
    # The mean omits a border of half a window; so does the mean over the odd pixels.
    inner = np.s_[:, 5 : height - 5, 5 : width - 5]
    odd = np.arange(a.size).reshape(a.shape)[inner] % 2 == 1
    assert abs(full[inner].mean() / mean - 1) < 1e-12
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "range": data_range,
        "x": x.ravel().tolist(),
        "y": y.ravel().tolist(),
        "psnr": peak_signal_noise_ratio(a, b, data_range=data_range),
        "psnr_second_half": peak_signal_noise_ratio(a.ravel()[half:], b.ravel()[half:], data_range=data_range),
        "ssim": mean,
        "ssim_odd": full[inner][odd].mean() if odd.any() else None,
    }


def frechet(u, v):
    """The formula of pytorch-fid's calculate_frechet_distance."""
    s1, s2 = np.cov(u, rowvar=False), np.cov(v, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2)
    assert np.isfinite(root).all() and np.abs(np.imag(root)).max() < 1e-6
    gap = u.mean(0) - v.mean(0)
    return float(gap @ gap + np.trace(s1) + np.trace(s2) - 2 * np.trace(np.real(root)))


def kid(u, v):
    """The polynomial kernel and unbiased estimate of torch-fidelity, on a single subset of everything."""
    m, d = u.shape
    kernel = lambda a, b: (a @ b.T / d + 1) ** 3
    off_diagonal = lambda k: k.sum() - np.trace(k)
    within = off_diagonal(kernel(u, u)) + off_diagonal(kernel(v, v))
    return float(within / (m * (m - 1)) - 2 * kernel(u, v).sum() / m**2)


def inception_score(logits, splits):
    """torch-fidelity's inception score in float64: mean and population deviation over consecutive parts."""
    p = scipy.special.softmax(logits, axis=1)
    n, scores = len(p), []
    for i in range(splits):
        part = p[i * n // splits : (i + 1) * n // splits]
        scores.append(np.exp((part * (np.log(part) - np.log(part.mean(0)))).sum(1).mean()))
    return [float(np.mean(scores)), float(np.std(scores))]


def feature_case(rng, n, d):
    mix = rng.normal(size=(d, d)) / np.sqrt(d)
    u, v = snapped(rng.normal(size=(n, d)) @ mix), snapped(0.3 + 1.2 * rng.normal(size=(n, d)) @ mix.T)
    a, b = u / GRID, v / GRID
    values = {"frechet": frechet(a, b), "kid": kid(a, b), "inception": inception_score(a, 3)}
    return {"d": d, "u": u.ravel().tolist(), "v": v.ravel().tolist()} | values


def main():
    rng = np.random.default_rng(0)
    images = [
        image_case(rng, 1, 11, 11, 4.0, 0.1),
        image_case(rng, 1, 28, 20, 4.0, 0.5),
        image_case(rng, 3, 16, 24, 2.0, 0.2),
    ]
    features = [feature_case(rng, 60, 5), feature_case(rng, 40, 12)]
    text = json.dumps({"grid": GRID, "images": images, "features": features}, separators=(",", ":"))
    (HERE / "image.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
