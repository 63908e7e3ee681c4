"""Writes the slices of two heads as pictures of 64 x 64 pixels, for the preset `mri`: OUT/train holds slices of the
MNI152 average head (from the package nilearn), OUT/test those of Colin27 (from Debian's mricron-data), another head.

    pip install numpy nibabel pillow scikit-image nilearn
    apt-get install mricron-data
    python runs/mri.py OUT
"""

import sys
from pathlib import Path

import nibabel
import numpy as np

SIDE = 64
COLIN = "/usr/share/mricron/templates/ch2bet.nii.gz"


def heads():
    import importlib.resources

    mni = importlib.resources.files("nilearn.datasets") / "data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    return {"train": str(mni), "test": COLIN}


def slices(path):
    """Slices along all three axes that show enough of a head, in [0, 1]."""
    from skimage.transform import resize

    head = np.asarray(nibabel.as_closest_canonical(nibabel.load(path)).dataobj, dtype=float)
    head = np.clip(head / np.percentile(head[head > 0], 99.5), 0, 1)
    side = max(head.shape)
    before = [(side - length) // 2 for length in head.shape]
    cube = np.pad(head, [(b, side - length - b) for b, length in zip(before, head.shape)])
    for axis in range(3):
        for place in range(side):
            picture = resize(np.rot90(cube.take(place, axis)), (SIDE, SIDE), anti_aliasing=True)
            if picture.mean() > 0.08:
                yield f"{'xyz'[axis]}{place:03}", picture


def write(out):
    from PIL import Image

    for name, path in heads().items():
        folder = Path(out) / name
        folder.mkdir(parents=True, exist_ok=True)
        pictures = dict(slices(path))
        for slice, picture in pictures.items():
            Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(folder / f"{slice}.png")
        print(f"{folder}: {len(pictures)} slices")


if __name__ == "__main__":
    write(sys.argv[1])
