"""Reference files of the safetensors package: `write FOLDER` makes one, `read FILE…` prints what files hold."""
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from safetensors import TensorSpec, deserialize, serialize_file

# Bits of an element by the names that the package's writer takes.
DTYPES = {
    "bool": 8, "uint8": 8, "int8": 8, "float8_e5m2": 8, "float8_e4m3fn": 8, "float8_e8m0fnu": 8,
    "int16": 16, "uint16": 16, "float16": 16, "bfloat16": 16, "int32": 32, "uint32": 32,
    "float32": 32, "complex64": 64, "float64": 64, "int64": 64, "uint64": 64,
}
SHAPES = {"matrix": [3, 5], "scalar": [], "empty": [0, 4], "ü.é": [2]}


def write(folder):
    random = np.random.default_rng(3)
    buffers = []
    tensors = {}
    for dtype, bits in DTYPES.items():
        for name, shape in SHAPES.items():
            size = int(np.prod(shape)) * bits // 8
            buffer = random.integers(0, 2 if dtype == "bool" else 256, size, dtype=np.uint8)
            buffers.append(buffer)
            tensors[f"{dtype}.{name}"] = TensorSpec(dtype=dtype, shape=shape, data_ptr=buffer.ctypes.data, data_len=size)
    serialize_file(tensors, folder / "reference.safetensors", {"format": "pt"})


def read(path):
    return {
        name: [row["dtype"], list(row["shape"]), hashlib.sha256(row["data"]).hexdigest()]
        for name, row in deserialize(Path(path).read_bytes())
    }


if sys.argv[1] == "write":
    write(Path(sys.argv[2]))
else:
    print(json.dumps([read(path) for path in sys.argv[2:]]))
