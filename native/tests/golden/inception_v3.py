"""Writes inception_v3.json: features and logits of pytorch-fid's Inception-v3 with weights by formula. With a FILE,
the script also writes those weights there, under the names of pt_inception-2015-12-05-6726825d.pth.

    pip install numpy torch torchvision pytorch-fid==0.3.0
    python inception_v3.py [FILE]
"""

import sys

import torch
from formula import fill, picture, rgb, rounded, shape_of, write
from pytorch_fid import inception
from torchvision.transforms.functional import to_tensor

SIZES = [(3, 32, 32), (1, 28, 28), (3, 90, 310)]


def network():
    """Returns the network with weights that replace the download."""
    plain = inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    state = fill(plain).state_dict()
    inception.load_state_dict_from_url = lambda *_, **__: state
    return inception.InceptionV3().eval(), state


def case(model, weight, size):
    with torch.no_grad():
        features = model(to_tensor(rgb(picture(*size)))[None])[0].flatten()
        logits = weight @ features
    return shape_of(*size) | {"features": rounded(features[::16]), "logits": rounded(logits[::16])}


def main():
    model, state = network()
    if len(sys.argv) > 1:
        torch.save(state, sys.argv[1])
    write("inception_v3.json", [case(model, state["fc.weight"], size) for size in SIZES])


if __name__ == "__main__":
    main()
