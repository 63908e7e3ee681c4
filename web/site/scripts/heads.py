"""Writes some slices of a head that the model of heads has not seen as bytes, for the page's last figure.

    python ../../runs/mri.py mri                      # mri/train and mri/test, see there for what it needs
    python scripts/heads.py mri/test public/heads.safetensors
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SLICES = ["z084", "y107", "x105", "z100", "y131", "x073"]
NOTICE = """Slices of Colin27. Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal \
Neurological Institute, McGill University. Permission to use, copy, modify, and distribute this software and its \
documentation for any purpose and without fee is hereby granted, provided that the above copyright notice appear in all \
copies. The authors and McGill University make no representations about the suitability of this software for any \
purpose. It is provided "as is" without express or implied warranty. The authors are not responsible for any data loss, \
equipment damage, property loss, or injury to subjects or patients resulting from the use or misuse of this software \
package."""


def write(folder, out):
    pictures = np.stack([np.array(Image.open(Path(folder) / f"{name}.png")) for name in SLICES])
    assert pictures.dtype == np.uint8, pictures.dtype
    x = {"dtype": "U8", "shape": pictures.shape, "data_offsets": [0, pictures.size]}
    header = json.dumps({"__metadata__": {"notice": NOTICE}, "x": x}).encode()
    Path(out).write_bytes(struct.pack("<Q", len(header)) + header + pictures.tobytes())


if __name__ == "__main__":
    write(*sys.argv[1:])
