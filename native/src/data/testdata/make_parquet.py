"""Writes cifar10.parquet into this directory as Hugging Face's datasets library writes CIFAR-10
(pyarrow 26, pillow 12): a column of images and a column of labels, in two row groups.

    pip install pyarrow pillow
    python make_parquet.py
"""

import io
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

N = 5


def png(i):
    """32 x 32 pixels: red is the image's number, green the row, blue the column."""
    rows, columns = np.mgrid[:32, :32]
    picture = np.stack([np.full((32, 32), i), rows, columns], -1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    return file.getvalue()


image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
images = pa.array([{"bytes": png(i), "path": None} for i in range(N)], image)
table = pa.table({"img": images, "label": pa.array([3] * N, pa.int64())})
pq.write_table(table, pathlib.Path(__file__).parent / "cifar10.parquet", row_group_size=3)
