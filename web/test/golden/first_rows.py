"""python3 first_rows.py CLEAN CORRUPTED OUT: writes the first row of x from one safetensors file and of y and a from another."""
import json
import sys
from pathlib import Path


def read(path):
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {name: (t, data[8 + length :][slice(*t["data_offsets"])]) for name, t in header.items()}


def first(tensor):
    meta, data = tensor
    return meta["shape"][1:], data[: len(data) // meta["shape"][0]]


clean, corrupted, out = sys.argv[1:]
rows = {"x": first(read(clean)["x"])} | {name: first(t) for name, t in read(corrupted).items()}
header, body = {}, b""
for name, (shape, data) in sorted(rows.items()):
    header[name] = {"dtype": "F32", "shape": [1, *shape], "data_offsets": [len(body), len(body) + len(data)]}
    body += data
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
Path(out).write_bytes(len(text).to_bytes(8, "little") + text + body)
