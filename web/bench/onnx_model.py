"""The network of a web checkpoint (`diffem export --web`, an MLP) as an ONNX model, for a comparison of run times.

    python3 onnx_model.py CHECKPOINT MODEL.onnx      needs `pip install onnx numpy`

Input `input [n, d + features + embedding]`, output `output [n, d]`: hidden layers Linear -> LayerNorm -> SiLU, then Linear.
"""

import json
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EPSILON = 1e-5


def read(path):
    """Weights as float32 by name."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = file.read()
    types = {"F16": np.float16, "F32": np.float32}
    entries = ((name, entry) for name, entry in header.items() if name.startswith("Mlp."))
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], types[entry["dtype"]])
        .reshape(entry["shape"])
        .astype(np.float32)
        for name, entry in entries
    }


def model(weights):
    """The model of an MLP."""
    nodes, depth = [], sum(name.endswith("norm.gamma") for name in weights)
    if depth == 0:
        sys.exit("error: the checkpoint holds no MLP; this comparison knows no other network")
    h = "input"
    for i in range(depth):
        layer = f"Mlp.hidden.{i}"
        nodes.append(helper.make_node("Gemm", [h, f"{layer}.linear.weight", f"{layer}.linear.bias"], [f"z{i}"]))
        norm = [f"z{i}", f"{layer}.norm.gamma", f"{layer}.norm.beta"]
        nodes.append(helper.make_node("LayerNormalization", norm, [f"v{i}"], axis=-1, epsilon=EPSILON))
        nodes.append(helper.make_node("Sigmoid", [f"v{i}"], [f"s{i}"]))
        nodes.append(helper.make_node("Mul", [f"v{i}", f"s{i}"], [f"h{i}"]))
        h = f"h{i}"
    nodes.append(helper.make_node("Gemm", [h, "Mlp.output.weight", "Mlp.output.bias"], ["output"]))
    inputs = weights["Mlp.hidden.0.linear.weight"].shape[0]
    outputs = weights["Mlp.output.weight"].shape[1]
    value = lambda name, length: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", length])
    tensors = [numpy_helper.from_array(tensor, name) for name, tensor in weights.items()]
    graph = helper.make_graph(nodes, "mlp", [value("input", inputs)], [value("output", outputs)], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made


if __name__ == "__main__":
    checkpoint, out = sys.argv[1:]
    onnx.save(model(read(checkpoint)), out)
