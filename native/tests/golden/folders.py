"""Scores the folders `truth` and `reconstructions` of `diffem export-images` with the tools for which they are written, on
Inception-v3 with the weights FILE, which `inception_v3.py FILE` writes. The numbers have no meaning, but all tools must
read the folders.

    pip install numpy torch torchvision pytorch-fid==0.3.0 torch-fidelity clean-fid
    python folders.py FILE FOLDERS
"""

import sys
from pathlib import Path

import torch
import torch_fidelity
from cleanfid import fid
from pytorch_fid import fid_score, inception


def main():
    file, folders = sys.argv[1], Path(sys.argv[2])
    truth, reconstructions = (str(folders / name) for name in ("truth", "reconstructions"))
    inception.load_state_dict_from_url = lambda *_, **__: torch.load(file)
    print("pytorch-fid", fid_score.calculate_fid_given_paths([truth, reconstructions], 16, "cpu", 2048))
    scores = torch_fidelity.calculate_metrics(
        input1=reconstructions, input2=truth, feature_extractor_weights_path=file, kid_subset_size=32,
        cuda=False, fid=True, isc=True, kid=True,
    )
    print("torch-fidelity", scores)
    network = inception.InceptionV3(resize_input=False).eval()
    features = lambda x: network(x / 255)[0].flatten(1)
    device = {"device": torch.device("cpu"), "use_dataparallel": False, "num_workers": 0}
    found = fid.compute_fid(truth, reconstructions, mode="legacy_pytorch", custom_feat_extractor=features, **device)
    print("clean-fid", found)


if __name__ == "__main__":
    main()
