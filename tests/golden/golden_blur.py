"""Writes the golden values of tests/suite/channels/images.rs, computed with scipy, to blur.json beside this script.

    pip install numpy scipy
    python golden_blur.py
"""

import json
import math
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

HERE = Path(__file__).parent
GRID = 1024  # inputs are integers / GRID, exact in JSON and in f32

rng = np.random.default_rng(0)
cases = []
for height, width, sigma in [(9, 7, 0.8), (6, 8, 2.5), (5, 4, 6.0)]:
    x = rng.integers(-2 * GRID, 2 * GRID + 1, (height, width))
    # 'reflect' is scipy's name for the half-sample symmetric boundary.
    y = gaussian_filter(x / GRID, sigma, mode="reflect", radius=math.ceil(4 * sigma))
    cases.append(
        {"height": height, "width": width, "sigma": sigma, "x": x.ravel().tolist(), "y": y.ravel().round(9).tolist()}
    )
(HERE / "blur.json").write_text(json.dumps({"grid": GRID, "cases": cases}, separators=(",", ":")) + "\n")
