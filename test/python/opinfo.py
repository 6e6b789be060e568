"""Samples of PyTorch's own op database as exported programs with their inputs and outputs.

usage: opinfo.py FOLDER NAMES.json SAMPLES
NAMES.json lists the names of ops (without namespace) that are wanted; SAMPLES is the most of each op. Writes
FOLDER/<n>.pt2, <n>.in<k>.npy, <n>.out<k>.npy and index.json: [{"n", "op", "args"}].
"""

import json
import os
import sys
import types
import warnings

warnings.filterwarnings("ignore")
sys.modules.setdefault("expecttest", types.ModuleType("expecttest"))
sys.modules["expecttest"].TestCase = object

import numpy  # noqa: E402
import torch  # noqa: E402
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402

torch.set_num_threads(1)


class Call(torch.nn.Module):
    """One op; arguments that are no tensors are constants of the program."""

    def __init__(self, op, leaves, spec):
        super().__init__()
        self.op, self.leaves, self.spec = op, leaves, spec

    def forward(self, *tensors):
        given = iter(tensors)
        leaves = [next(given) if isinstance(leaf, torch.Tensor) else leaf for leaf in self.leaves]
        args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        return self.op(*args, **kwargs)


def usable(tensor):
    return tensor.layout == torch.strided and not tensor.is_complex() and not tensor.is_quantized


def shown(value):
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype)[6:]}{list(value.shape)}"
    return repr(value)


def save(folder, name, tensor):
    numpy.save(os.path.join(folder, name), tensor.detach().contiguous().numpy())


def main(folder, names, most):
    wanted = set(json.load(open(names)))
    index = []
    for info in op_db:
        own = info.name.split(".")[-1]
        if not wanted & {own, own.rstrip("_"), info.aten_name, f"linalg_{own}"}:
            continue
        dtypes = [torch.float32] + ([torch.int64] if torch.int64 in info.dtypes else [])
        dtypes += [torch.bool] if torch.bool in info.dtypes and most > 4 else []
        for dtype in dtypes:
            if dtype not in info.dtypes:
                continue
            torch.manual_seed(7)
            samples = []
            try:
                for sample in info.sample_inputs("cpu", dtype, requires_grad=False):
                    samples.append(sample)
                    if len(samples) >= most:
                        break
            except Exception:
                continue
            for sample in samples:
                leaves, spec = pytree.tree_flatten(((sample.input, *sample.args), sample.kwargs))
                tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
                if not tensors or not all(map(usable, tensors)):
                    continue
                n = len(index)
                try:
                    model = Call(info.op, leaves, spec).eval()
                    expected = pytree.tree_leaves(model(*[t.clone() for t in tensors]))
                    expected = [leaf for leaf in expected if isinstance(leaf, torch.Tensor)]
                    if not expected or not all(map(usable, expected)):
                        continue
                    program = torch.export.export(model, tuple(tensors), strict=False)
                    torch.export.save(program, os.path.join(folder, f"{n}.pt2"))
                    for k, tensor in enumerate(tensors):
                        save(folder, f"{n}.in{k}.npy", tensor)
                    for k, tensor in enumerate(expected):
                        save(folder, f"{n}.out{k}.npy", tensor)
                except Exception:
                    continue
                args = [shown(leaf) for leaf in leaves]
                index.append({"n": n, "op": info.name, "args": ", ".join(args)[:300]})
    json.dump(index, open(os.path.join(folder, "index.json"), "w"))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
