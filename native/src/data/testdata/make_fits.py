"""Writes the FITS fixtures into this directory with astropy 8.0.

    pip install numpy astropy
    python make_fits.py
"""

import pathlib

import numpy as np
from astropy.io import fits

here = pathlib.Path(__file__).parent
ramp = np.arange(24).reshape(2, 3, 4) - 7.5
gaps = ramp.astype("f4")
gaps[1, 2, 3] = np.nan


def blank():
    """Stored integers 0 to 23 with physical values of ramp, of which the sixth is missing."""
    hdu = fits.ImageHDU(np.arange(24, dtype="i2").reshape(2, 3, 4), name="blank")
    hdu.data.flat[5] = -99
    hdu.header["BLANK"] = -99
    hdu.header["BSCALE"] = 1.0
    hdu.header["BZERO"] = -7.5
    return hdu


def scaled():
    hdu = fits.ImageHDU(ramp.copy(), name="scaled")
    hdu.scale("int16", bscale=0.5, bzero=10)
    return hdu


table = fits.BinTableHDU.from_columns([fits.Column("t", "E", array=np.zeros(3))], name="table")
hdus = [
    fits.PrimaryHDU(),
    fits.ImageHDU(ramp.copy(), name="y"),
    fits.ImageHDU((ramp > 0).astype("u1"), name="a"),
    fits.ImageHDU(np.array([0, 32768, 65535], "u2"), name="u2"),
    fits.ImageHDU(np.array([0, 1, 4294967040], "u4"), name="u4"),
    table,
    scaled(),
    fits.ImageHDU(np.array([-(2**40), 5], "i8"), name="it's i8"),
    fits.CompImageHDU(np.zeros((4, 4), "i4"), name="tiles"),
]
hdus = fits.HDUList(hdus)
hdus.writeto(here / "named.fits", overwrite=True)
# astropy would scale and unscale the stored integers on its own.
with fits.open(here / "named.fits", mode="append", do_not_scale_image_data=True) as file:
    file.append(blank())
fits.PrimaryHDU(gaps).writeto(here / "plain.fits", overwrite=True)
