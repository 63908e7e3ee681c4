"""Writes the fixtures into this directory with the formats' own libraries (numpy 2.4, safetensors 0.8)."""

import pathlib

import numpy as np
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
ramp = np.arange(24).reshape(2, 3, 4) - 7.5
np.savez_compressed(
    here / "numpy.npz",
    f8=ramp,
    f2=ramp.astype("f2"),
    fortran=np.asfortranarray(ramp.astype("f4")),
    i8=np.arange(3) - 1,
    u1=np.arange(3, dtype="u1"),
    b1=np.array([[True, False]]),
    scalar=np.float32(2.5),
    big=np.zeros(3, ">f4"),
    text=np.array(["a"]),
    record=np.zeros(2, [("p", "f4"), ("q", "i4")]),
)
# Four images of two coils, of which the imaginary part is ten times the real one.
complex = (1 + 10j) * np.arange(48).reshape(4, 2, 3, 2)
np.savez_compressed(
    here / "complex.npz",
    c8=complex.astype("c8"),
    c16=np.asfortranarray(complex),
    image=complex[0, 0],
    row=complex[:, 0, 0, 0],
)
np.save(here / "fortran.npy", ramp.T)
save_file({"f8": ramp, "f2": ramp.astype("f2"), "u2": np.zeros(2, "u2")}, here / "peer.safetensors", {"made": "by"})
