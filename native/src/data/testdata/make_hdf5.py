"""Writes the HDF5 fixtures into this directory with h5py 3.16.

    pip install numpy h5py
    python make_hdf5.py
"""

import pathlib

import h5py
import numpy as np

here = pathlib.Path(__file__).parent
ramp = np.arange(24, dtype="f4").reshape(2, 3, 4) - 7.5

with h5py.File(here / "arrays.h5", "w") as file:
    file["y"] = ramp
    file.create_dataset("a", data=ramp > 0, chunks=(1, 2, 4), compression="gzip", shuffle=True)
    file.create_dataset("x", data=ramp.astype(">f8"), chunks=(2, 2, 3), fletcher32=True)
    file["u2"] = np.array([0, 65535], "u2")
    file["f2"] = ramp.astype("f2")
    file["text"] = "text"
    file["pairs"] = np.zeros(2, [("p", "f4"), ("q", "i4")])
    file.create_dataset("resized", data=ramp[:, 0], maxshape=(None, 4), compression="lzf")
    file.create_group("more")["y"] = ramp

# The layout of fastMRI: one coil, several coils, and the mask of the columns of k-space that were measured.
kspace = (ramp + 100j * ramp).astype("c8")
mask = np.array([1, 0, 0, 1], "u1")
with h5py.File(here / "single_coil.h5", "w", libver=("v110", "v110")) as file:
    file.create_dataset("kspace", data=kspace, chunks=(1, 3, 4), compression="gzip")
    file["mask"] = mask
    file["reconstruction_esc"] = ramp
    file["ismrmrd_header"] = "<xml/>"
    file.attrs["acquisition"] = "CORPD_FBK"
with h5py.File(here / "multi_coil.h5", "w") as file:
    file["kspace"] = np.stack([kspace, -kspace], axis=1)
    file["reconstruction_rss"] = ramp

# Two coils whose sensitivities come with every slice.
random = np.random.default_rng(1)
images = random.normal(size=(12, 1, 3, 4))
maps = (random.normal(size=(12, 2, 3, 4)) + 1j * random.normal(size=(12, 2, 3, 4))).astype("c8")
mask = np.array([1, 0, 1, 1], "f4")
shift = dict(axes=(-2, -1))
kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(maps * images, **shift), norm="ortho"), **shift) * mask
with h5py.File(here / "coil_maps.h5", "w") as file:
    file["kspace"] = kspace.astype("c8")
    file["mask"] = mask
    file["sens_maps"] = maps
    file["images"] = images.astype("f4")

# For a training: the imaginary part is twice the real one.
mask = np.array([1, 0, 1, 1], "f4")
real = np.random.default_rng(0).normal(size=(40, 3, 4)) * mask
with h5py.File(here / "k_space.h5", "w") as file:
    file.create_dataset("kspace", data=(real + 2j * real).astype("c8"), chunks=(8, 3, 4), compression="gzip", shuffle=True)
    file["mask"] = mask
