"""Which first prior should EM begin with on blurred Fashion-MNIST?

Computes the Gaussian starts exactly, in the cosine basis where the blur is diagonal, and prints the PSNR in dB (peak 4) of
posterior means and of one draw on 512 test images. The table is in runs/log/blur.md.

    apt-get install dataset-fashion-mnist; pip install numpy scipy
    python runs/blur_start.py
"""

import gzip

import numpy as np
from scipy.fft import dctn, idctn

DATA = "/usr/share/datasets/fashion-mnist"
NOISE, SIGMA, SIDE, N, TEST = 0.01, 2.0, 28, 4096, 512
D = SIDE * SIDE


def images(name, n):
    with gzip.open(f"{DATA}/{name}-images-idx3-ubyte.gz") as f:
        return np.frombuffer(f.read()[16:], np.uint8).reshape(-1, D)[:n] * (4 / 255) - 2


def transform(x, function):
    return function(x.reshape(-1, SIDE, SIDE), axes=(1, 2), norm="ortho").reshape(-1, D)


def gains():
    k = np.arange(-4 * SIGMA, 4 * SIGMA + 1)
    w = np.exp(-0.5 * (k / SIGMA) ** 2)
    line = np.array([(w / w.sum() * np.cos(np.pi * j * k / SIDE)).sum() for j in range(SIDE)])
    return np.outer(line, line).ravel()


rng = np.random.default_rng(0)
g, truth = gains(), images("t10k", TEST)
clean = transform(images("train", N), dctn)
seen = g * clean + NOISE * rng.normal(size=(N, D))
test = g * transform(truth, dctn) + NOISE * rng.normal(size=(TEST, D))
mean_seen, cov_seen, power = seen.mean(0), np.cov(seen.T, bias=True), (seen**2).mean(0)


def psnr(coefficients):
    return 10 * np.log10(16 / ((transform(coefficients, idctn) - truth) ** 2).mean())


def gain_of(s):
    return np.linalg.solve(g[:, None] * s * g + NOISE**2 * np.eye(D), g[:, None] * s).T


def scores(m, s):
    k = gain_of(s)
    mean, cov = m + (test - g * m) @ k.T, s - k @ (g[:, None] * s)
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return psnr(mean), psnr(mean + rng.normal(size=mean.shape) @ root.T)


def em(s, name):
    m = np.zeros(D)
    for iteration in range(1, 33):
        k = gain_of(s)
        m, s = m + k @ (mean_seen - g * m), k @ cov_seen @ k.T + s - k @ (g[:, None] * s)
        s = (s + s.T) / 2
        if iteration in (1, 4, 16, 32):
            print(f"{name}, {iteration} iterations: mean {scores(m, s)[0]:.2f}, draw {scores(m, s)[1]:.2f}", flush=True)


line = 2 - 2 * np.cos(np.pi * np.arange(SIDE) / SIDE)
roughness = ((line[:, None] + line) ** 2).ravel()


def surprise(log_tau):
    expected = g[1:] ** 2 * np.exp(log_tau) / roughness[1:] + NOISE**2
    return (np.log(expected) + power[1:] / expected).sum()


grid = np.linspace(-18, 18, 721)
tau = np.exp(grid[np.argmin([surprise(t) for t in grid])])
print(f"tau {tau:.3f}, balance {NOISE**2 / tau:.2e}")
print(f"covariance of the clean images: mean {scores(clean.mean(0), np.cov(clean.T, bias=True))[0]:.2f}")
for std in (0.03, 0.1, 0.2, 0.5, 1.0):
    em(np.eye(D) * std**2, f"N(0, {std}^2 I)")
em(np.diag(tau / np.maximum(roughness, roughness[1])), "N(0, tau/l^2)")
