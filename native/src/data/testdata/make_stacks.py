"""Writes the fixtures of TIFF stacks into this directory with tifffile 2026.3.

    pip install numpy tifffile imagecodecs
    python make_stacks.py
"""

import pathlib

import numpy as np
import tifffile

here = pathlib.Path(__file__).parent
ramp = np.arange(2 * 3 * 4, dtype="f4").reshape(2, 3, 4) - 7.5
ramp[1, 2, 3] = np.nan
tifffile.imwrite(here / "float.tif", ramp, photometric="minisblack", compression="deflate", predictor=3)
pixels = np.arange(2 * 3 * 4).reshape(2, 3, 4)
tifffile.imwrite(here / "bytes.tif", (pixels * 11).astype("u1"), photometric="minisblack", byteorder=">")
tifffile.imwrite(here / "shorts.tif", (pixels * 2849).astype("u2"), photometric="minisblack", tile=(16, 16))
colors = np.arange(2 * 2 * 3 * 3, dtype="u1").reshape(2, 2, 3, 3)
tifffile.imwrite(here / "colors.tif", colors, photometric="rgb", compression="lzw")
planes = np.arange(2 * 3 * 2 * 3, dtype="f8").reshape(2, 3, 2, 3)
tifffile.imwrite(here / "planes.tif", planes, photometric="rgb", planarconfig="separate", bigtiff=True)
with tifffile.TiffWriter(here / "sizes.tif") as file:
    file.write(np.zeros((2, 3), "f4"), metadata=None)
    file.write(np.zeros((1, 3), "f4"), metadata=None)
tifffile.imwrite(here / "signed.tif", np.zeros((2, 3), "i2"))
