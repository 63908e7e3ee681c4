"""Writes st_lpips.json: distances of stlpips-pytorch between a picture and three changed copies of it.

    pip install numpy torch torchvision ipython torchsummary stlpips-pytorch==0.0.2
    python st_lpips.py
"""

import numpy as np
from formula import fill, picture, rgb, rounded, shape_of, write
from stlpips_pytorch import stlpips, utils


def network(pretrained):
    return stlpips.LPIPS(pretrained=pretrained, net="alex", variant="shift_tolerant", verbose=False)


def distances(metric, image):
    changed = [255 - image, image // 2, np.roll(image, 1, axis=1)]
    return rounded([metric(utils.im2tensor(rgb(image)), utils.im2tensor(rgb(other))).item() for other in changed])


def main():
    trained = network(True).requires_grad_(False)
    # `lins` repeats `lin0` to `lin4`.
    formula = fill(network(False), skip=("lins.", "filt", "shift", "scale"))
    cases = [(1, 28, 28), (3, 32, 32), (1, 33, 21), (3, 64, 50)]
    write(
        "st_lpips.json",
        [
            shape_of(*case) | {"formula": distances(formula, picture(*case)), "trained": distances(trained, picture(*case))}
            for case in cases
        ],
    )


if __name__ == "__main__":
    main()
