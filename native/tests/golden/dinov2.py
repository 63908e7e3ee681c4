"""Writes dinov2.json: class tokens of the published DINOv2 code with weights by formula, for a small network and for
ViT-L/14. CODE is a copy of the repository facebookresearch/dinov2. With a FILE, the script also writes the weights of
ViT-L/14 there, under the names of dinov2_vitl14_pretrain.pth.

    pip install numpy "pillow<13" torch torchvision
    python dinov2.py CODE [FILE]
"""

import sys

import torch
from formula import fill, picture, rgb, rounded, shape_of, write
from PIL import Image
from torchvision.transforms import Compose, InterpolationMode, Normalize, Resize, ToTensor

SIZES = [(3, 32, 32), (1, 28, 28), (3, 230, 300)]
# Preprocessing as in dgm-eval.
PREPARE = Compose([
    Resize((224, 224), InterpolationMode.BICUBIC),
    ToTensor(),
    Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])


def case(small, large, size):
    with torch.no_grad():
        x = PREPARE(Image.fromarray(rgb(picture(*size))))[None]
        return shape_of(*size) | {"small": rounded(small(x)[0]), "large": rounded(large(x)[0, ::16])}


def main():
    sys.path.insert(0, sys.argv[1])
    from dinov2.hub.backbones import dinov2_vitl14
    from dinov2.models.vision_transformer import DinoVisionTransformer

    sizes = {"img_size": 518, "patch_size": 14, "init_values": 1.0, "block_chunks": 0}
    small = fill(DinoVisionTransformer(embed_dim=24, depth=3, num_heads=3, **sizes))
    large = fill(dinov2_vitl14(pretrained=False))
    if len(sys.argv) > 2:
        torch.save(large.state_dict(), sys.argv[2])
    write("dinov2.json", [case(small, large, size) for size in SIZES])


if __name__ == "__main__":
    main()
