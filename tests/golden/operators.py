"""Writes the golden values of tests/suite/operators.rs, computed with scikit-image, scipy and numpy, to operators.json beside
this script.

    pip install numpy scipy scikit-image
    python operators.py
"""

import json
from pathlib import Path

import numpy as np
from scipy.ndimage import convolve
from skimage.data import shepp_logan_phantom
from skimage.transform import radon, resize

HERE = Path(__file__).parent
GRID = 1024  # inputs are integers / GRID, exact in JSON and in f32

rng = np.random.default_rng(0)


def grid(x):
    return np.round(np.asarray(x) * GRID).astype(int)


def rounded(x):
    return np.asarray(x).ravel().round(7).tolist()


side, angles = 24, 10
phantom = grid(resize(shepp_logan_phantom(), (side, side), anti_aliasing=True))
across = np.arange(side) - side // 2
phantom[across[:, None] ** 2 + across[None, :] ** 2 >= (side // 2) ** 2] = 0  # what `circle=True` expects
sinogram = radon(phantom / GRID, theta=np.arange(angles) * 180 / angles, circle=True)

image = rng.integers(-2 * GRID, 2 * GRID + 1, (6, 9))
kernel = rng.integers(-GRID // 2, GRID + 1, (3, 5))
convolved, bordered = (convolve(image / GRID, kernel / GRID, mode=mode) for mode in ["wrap", "constant"])

other = rng.integers(-2 * GRID, 2 * GRID + 1, (2, 6, 9))
centered = np.fft.ifftshift((other[0] + 1j * other[1]) / GRID)
frequencies = np.fft.fftshift(np.fft.fft2(centered, norm="ortho"))

golden = {
    "grid": GRID,
    "radon": {"side": side, "angles": angles, "x": phantom.ravel().tolist(), "y": rounded(sinogram.T)},
    "kernel": {
        "kernel": kernel.tolist(),
        "x": image.ravel().tolist(),
        "y": rounded(convolved),
        "y_zero": rounded(bordered),
    },
    "fourier": {"x": other.ravel().tolist(), "y": rounded([frequencies.real, frequencies.imag])},
}
(HERE / "operators.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
