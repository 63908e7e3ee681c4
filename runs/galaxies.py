"""Writes gray pictures of nebulae, clusters and galaxies of 64 x 64 pixels, for the preset `galaxies`, from the 555 pictures
of Debian's stellarium-data. Every picture is scaled to sides of 128 pixels, of which the four corners and the middle are
cut out. OUT/test holds the crops of every eighth picture by name, OUT/train those of all others: no picture is in both.
Crops that show next to nothing are left out.

    apt-get install stellarium-data
    pip install numpy pillow
    python runs/galaxies.py OUT

With the observations of OUT/test that `diffem corrupt` made, it scores them and classical deconvolutions of them, each
with the one setting for all images that is best for the truth:

    pip install scikit-image
    python runs/galaxies.py OUT seen.npz
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, WHOLE = 64, 128
PICTURES = Path("/usr/share/stellarium/nebulae/default")


def crops(path):
    """The crops of a picture, in 0 to 255."""
    picture = Image.open(path).convert("RGB").convert("L").resize((WHOLE, WHOLE), Image.Resampling.LANCZOS)
    for left, top in [(0, 0), (SIDE, 0), (0, SIDE), (SIDE, SIDE), (SIDE // 2, SIDE // 2)]:
        crop = picture.crop((left, top, left + SIDE, top + SIDE))
        if np.asarray(crop).std() > 12:
            yield crop


def write(out):
    paths = sorted(PICTURES.glob("*.png"))
    counts = {"train": 0, "test": 0}
    for i, path in enumerate(paths):
        name = "test" if i % 8 == 0 else "train"
        folder = Path(out) / name
        folder.mkdir(parents=True, exist_ok=True)
        for k, crop in enumerate(crops(path)):
            crop.save(folder / f"{path.stem}-{k}.png")
            counts[name] += 1
    print(f"{len(paths)} pictures; crops: {counts}")


def baselines(out, seen):
    """Prints the PSNR (range 4) of the observations and of scikit-image's deconvolutions."""
    from skimage.restoration import richardson_lucy, wiener

    data = np.load(seen)
    paths = sorted((Path(out) / "test").iterdir())
    truth = np.stack([np.asarray(Image.open(path), float) for path in paths]) / 255
    y = data["y"].reshape(truth.shape) / 4 + 0.5
    kernels = data["a"][:, :-1].reshape(len(truth), 9, 9)

    def score(images):
        return 10 * np.log10(1 / np.mean((np.clip(images, 0, 1) - truth) ** 2))

    def each(method):
        return np.stack([method(y_i, k_i) for y_i, k_i in zip(y, kernels)])

    print(f"observation: {10 * np.log10(1 / np.mean((y - truth) ** 2)):.2f} dB, clipped {score(y):.2f} dB")
    for balance in 10 ** np.arange(-3, 1.1, 0.5):
        print(f"Wiener, balance {balance:.1e}: {score(each(lambda y, k: wiener(y, k, balance, clip=False))):.2f} dB")
    for count in [1, 2, 5, 10, 20, 50]:
        restored = each(lambda y, k: richardson_lucy(np.clip(y, 0, 1), k, count, filter_epsilon=1e-6))
        print(f"Richardson-Lucy, {count} iterations: {score(restored):.2f} dB")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        baselines(sys.argv[1], sys.argv[2])
    else:
        write(sys.argv[1])
