"""Writes the slices of two heads as pictures of 64 x 64 pixels, for the preset `mri`: OUT/train holds the axial slices of
the MNI152 average head (from the package nilearn), OUT/test those of Colin27 (from Debian's mricron-data), another head.

    pip install numpy nibabel pillow scikit-image nilearn
    apt-get install mricron-data
    python runs/mri.py OUT

With `score OUT DRAWS.npz TRUTH.npz [OTHER.npz ...]` it prints the PSNR of posterior means instead.
"""

import sys
from pathlib import Path

import nibabel
import numpy as np

SIDE = 64
COLIN = "/usr/share/mricron/templates/ch2.nii.gz"


def heads():
    import importlib.resources

    mni = importlib.resources.files("nilearn.datasets") / "data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    return {"train": str(mni), "test": COLIN}


def slices(path):
    """Axial slices that show a head, in [0, 1]."""
    from skimage.transform import resize

    head = np.asarray(nibabel.as_closest_canonical(nibabel.load(path)).dataobj, dtype=float)
    head = np.clip(head / np.percentile(head[head > 0], 99.5), 0, 1)
    across, along, up = head.shape
    side = max(across, along)
    square = np.zeros((side, side, up))
    square[(side - across) // 2 :, (side - along) // 2 :][:across, :along] = head
    pictures = [resize(square[:, ::-1, z].T, (SIDE, SIDE), anti_aliasing=True) for z in range(up)]
    return [picture for picture in pictures if picture.mean() > 0.08]


def write(out):
    from PIL import Image

    for name, path in heads().items():
        folder = Path(out) / name
        folder.mkdir(parents=True, exist_ok=True)
        pictures = slices(path)
        for z, picture in enumerate(pictures):
            Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(folder / f"{z:03}.png")
        print(f"{folder}: {len(pictures)} slices")


if __name__ == "__main__":
    write(sys.argv[1])
