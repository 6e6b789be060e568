"""Computes with numpy what tenon/tensor computed: reads cases.json and inputs.npz in a folder, writes expected.npz.

Where the library promises sums in double precision, the reference sums in double precision too and rounds once.
Also writes files in the formats that numpy has and the library only reads (formats.json names their contents).
"""
import json
import math
import os
import sys

import numpy as np
from numpy.lib import format as npy

folder = sys.argv[1]


def wide(x):
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def axes(o):
    axis = o.get("axis")
    return {"axis": tuple(axis) if isinstance(axis, list) else axis, "keepdims": o.get("keepDims", False)}


def shifted(x, axis):
    x = wide(x)
    return x - np.max(x, axis=axis, keepdims=True)


def softmax(x, o):
    e = np.exp(shifted(x, o["axis"]))
    return e / np.sum(e, axis=o["axis"], keepdims=True)


def log_softmax(x, o):
    s = shifted(x, o["axis"])
    return s - np.log(np.sum(np.exp(s), axis=o["axis"], keepdims=True))


def top_k(x, o):
    order = np.argsort(-wide(x) if o["largest"] else x, axis=o["axis"], kind="stable")
    return np.take(order, np.arange(o["k"]), axis=o["axis"])


def sort(x, o):
    s = np.sort(x, axis=o["axis"])
    return np.flip(s, axis=o["axis"]) if o["descending"] else s


def one_hot(x, o):
    return np.moveaxis(np.eye(o["depth"], dtype=o["dtype"])[x], -1, o["axis"])


def pad(x, o):
    extra = {"constant_values": o["value"]} if o["mode"] == "constant" else {}
    return np.pad(x, o["pads"], mode=o["mode"], **extra)


def normalize(x, o):
    x = wide(x)
    return x / np.maximum(np.sqrt(np.sum(x * x, axis=o["axis"], keepdims=True)), 1e-12)


def standardize(x, o):
    shape = [1] * x.ndim
    shape[o["axis"]] = -1
    return (wide(x) - np.reshape(o["mean"], shape)) / np.reshape(o["std"], shape)


def view(x, o):
    return np.transpose(x, o["order"])[tuple(slice(*step) for step in o["steps"])]


def same(f):
    """A function whose result gets its first operand's dtype again."""
    return lambda *a: np.asarray(f(*a)).astype(a[0].dtype)


erf = np.vectorize(math.erf, otypes=[np.float64])

OPS = {
    "add": lambda a, b, o: np.add(a, b),
    "sub": lambda a, b, o: np.subtract(a, b),
    "mul": lambda a, b, o: np.multiply(a, b),
    "div": lambda a, b, o: np.divide(a, b),
    "mod": lambda a, b, o: np.mod(a, b),
    "pow": lambda a, b, o: np.power(a, b),
    "minimum": lambda a, b, o: np.minimum(a, b),
    "maximum": lambda a, b, o: np.maximum(a, b),
    "equal": lambda a, b, o: np.equal(a, b),
    "notEqual": lambda a, b, o: np.not_equal(a, b),
    "less": lambda a, b, o: np.less(a, b),
    "lessEqual": lambda a, b, o: np.less_equal(a, b),
    "greater": lambda a, b, o: np.greater(a, b),
    "greaterEqual": lambda a, b, o: np.greater_equal(a, b),
    "logicalAnd": lambda a, b, o: np.logical_and(a, b),
    "logicalOr": lambda a, b, o: np.logical_or(a, b),
    "logicalXor": lambda a, b, o: np.logical_xor(a, b),
    "logicalNot": lambda x, o: np.logical_not(x),
    "where": lambda c, a, b, o: np.where(c, a, b),
    "clip": lambda x, low, high, o: np.minimum(np.maximum(x, low), high),
    "neg": lambda x, o: np.negative(x),
    "abs": lambda x, o: np.abs(x),
    "sign": lambda x, o: np.sign(x),
    "square": lambda x, o: np.square(x),
    "relu": lambda x, o: np.maximum(x, x.dtype.type(0)),
    "sqrt": lambda x, o: np.sqrt(x),
    "reciprocal": lambda x, o: np.reciprocal(x),
    "exp": same(lambda x, o: np.exp(wide(x))),
    "expm1": same(lambda x, o: np.expm1(wide(x))),
    "log": same(lambda x, o: np.log(wide(x))),
    "log1p": same(lambda x, o: np.log1p(wide(x))),
    "log2": same(lambda x, o: np.log2(wide(x))),
    "sin": same(lambda x, o: np.sin(wide(x))),
    "cos": same(lambda x, o: np.cos(wide(x))),
    "tanh": same(lambda x, o: np.tanh(wide(x))),
    "sigmoid": same(lambda x, o: 1 / (1 + np.exp(-wide(x)))),
    "erf": same(lambda x, o: erf(x)),
    "floor": lambda x, o: np.floor(x),
    "ceil": lambda x, o: np.ceil(x),
    "trunc": lambda x, o: np.trunc(x),
    "round": lambda x, o: np.round(x),
    "isNan": lambda x, o: np.isnan(x),
    "isInfinite": lambda x, o: np.isinf(x),
    "sum": same(lambda x, o: np.sum(wide(x), **axes(o))),
    "prod": same(lambda x, o: np.prod(wide(x), **axes(o))),
    "mean": same(lambda x, o: np.mean(wide(x), **axes(o))),
    "max": lambda x, o: np.max(x, **axes(o)),
    "min": lambda x, o: np.min(x, **axes(o)),
    "std": same(lambda x, o: np.std(wide(x), ddof=o["correction"], **axes(o))),
    "variance": same(lambda x, o: np.var(wide(x), ddof=o["correction"], **axes(o))),
    "argmax": lambda x, o: np.argmax(x, **axes(o)),
    "argmin": lambda x, o: np.argmin(x, **axes(o)),
    "softmax": same(softmax),
    "logSoftmax": same(log_softmax),
    "cumsum": same(lambda x, o: np.cumsum(wide(x), axis=o["axis"])),
    "sort": sort,
    "argsort": lambda x, o: np.argsort(x, axis=o["axis"], kind="stable"),
    "topK": top_k,
    "matmul": same(lambda a, b, o: np.matmul(wide(a), wide(b))),
    "concat": lambda *a: np.concatenate(a[:-1], axis=a[-1]["axis"]),
    "stack": lambda *a: np.stack(a[:-1], axis=a[-1]["axis"]),
    "pad": pad,
    "take": lambda x, i, o: np.take(x, i, axis=o["axis"]),
    "oneHot": one_hot,
    "normalize": same(normalize),
    "standardize": same(standardize),
    "cast": lambda x, o: x.astype(o["dtype"]),
    "arange": lambda o: np.arange(o["start"], o["stop"], o["step"]).astype(o["dtype"]),
    "linspace": lambda o: np.linspace(o["start"], o["stop"], o["count"]).astype(o["dtype"]),
    "eye": lambda o: np.eye(o["n"], o["columns"], dtype=o["dtype"]),
    "full": lambda o: np.full(o["shape"], o["value"], dtype=o["dtype"]),
    "view": view,
    "identity": lambda x, o: x,
}


def formats():
    """Each file as [name, dtype, shape, values]; values as text so that JSON keeps them."""
    grid = np.arange(24).reshape(2, 3, 4)
    arrays = {
        f"{kind}_{order}_{size}": np.asarray(grid.astype(f"{end}{kind}{size}"), order=order)
        for kind, sizes in {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "c": (8, 16)}.items()
        for size in sizes
        for end in "<>"
        for order in "CF"
    }
    arrays["bool"] = grid % 3 == 0
    arrays["unicode"] = np.array([["a", "héllo", "🙂"], ["", "x y", "ß"]], order="F")
    arrays["unicode_big"] = arrays["unicode"].astype(">U7")
    arrays["bytes"] = np.array([b"a", b"bcd", b""])
    arrays["scalar"] = np.float32(0.5)
    arrays["empty"] = np.zeros((0, 3), np.int16)
    contents = []
    for name, array in arrays.items():
        for version in (1, 2, 3):
            file = f"{name}.{version}.npy"
            with open(os.path.join(folder, file), "wb") as out:
                npy.write_array(out, np.asanyarray(array), version=(version, 0))
            contents.append([file, *described(array)])
    np.savez(os.path.join(folder, "stored.npz"), **arrays)
    np.savez_compressed(os.path.join(folder, "deflated.npz"), **arrays)
    np.save(os.path.join(folder, "object.npy"), np.array([{}], dtype=object), allow_pickle=True)
    np.save(os.path.join(folder, "structured.npy"), np.zeros(2, dtype=[("a", "<f4"), ("b", "<i8")]))
    with open(os.path.join(folder, "formats.json"), "w", encoding="utf-8") as out:
        json.dump({"files": contents, "archive": {name: described(a) for name, a in arrays.items()}}, out)


def described(array):
    array = np.asanyarray(array)
    if array.dtype.kind == "S":
        array = array.astype("U")
    name = "string" if array.dtype.kind == "U" else array.dtype.name
    flat = array.ravel(order="C").tolist()
    values = [f"{v.real:g},{v.imag:g}" if isinstance(v, complex) else v if isinstance(v, str) else f"{float(v):g}" for v in flat]
    return [name, list(array.shape), values]


inputs = np.load(os.path.join(folder, "inputs.npz"))
with open(os.path.join(folder, "cases.json"), encoding="utf-8") as file:
    cases = json.load(file)
with np.errstate(all="ignore"):
    expected = {
        str(i): OPS[case["op"]](*(inputs[name] for name in case["inputs"]), case["options"])
        for i, case in enumerate(cases)
    }
np.savez_compressed(os.path.join(folder, "expected.npz"), **expected)
formats()
print(f"computed {len(cases)}")
