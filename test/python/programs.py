"""Small programs that write in place, share memory, take free sizes, or meet what the runtime's kernels do otherwise.

Exported, with inputs and outputs at two sizes.

usage: programs.py FOLDER    writes FOLDER/<name>.pt2, <name>.<case>.in<k>.npy, <name>.<case>.out<k>.npy; prints the names
"""

import json
import os
import sys

import numpy
import torch

PROGRAMS = {}


def program(*shapes):
    """Registers a function of float tensors; the first dim of each is free."""

    def register(function):
        PROGRAMS[function.__name__] = (function, shapes)
        return function

    return register


@program((3, 8))
def write_slice(x):
    y = x.clone()
    y[:, 2:5].mul_(2)
    y[:, 1:].relu_()
    return y, y[:, 2:5].sum(1)


@program((3, 8))
def write_negative_slice(x):
    y = x * 1
    y[:, -3:-1].zero_()
    return y


@program((3, 4, 5))
def write_select(x):
    y = x + 0
    y[:, -1].fill_(7)
    y[:, 0, 2].add_(1)
    return y


@program((3, 4, 6))
def write_views(x):
    y = x + 0
    flat = y.view(-1, 24)
    turned = y.transpose(1, 2)
    flat.add_(1)
    turned.mul_(3)
    return y, flat, turned


@program((3, 4, 6))
def earlier_view_sees_later_write(x):
    y = x + 0
    part = y[:, 1]
    kept = part.clone()
    y.mul_(2)
    return part, kept, y


@program((3, 2, 4))
def write_unbound(x):
    y = x + 0
    first, second = y.unbind(1)
    second.copy_(first * 10)
    return y, first, second


@program((3, 4, 6))
def write_permuted(x):
    y = x + 0
    y.permute(2, 0, 1).unsqueeze(0).add_(5)
    return y


@program((3, 4))
def result_is_argument(x):
    y = x + 0
    z = y.add_(1)
    y.mul_(2)
    return z, y


@program((3, 4))
def detached(x):
    y = x + 0
    y.detach().add_(1)
    return y


@program((3, 4, 6))
def reshape_of_turned_is_a_copy(x):
    y = x + 0
    copy = y.transpose(1, 2).reshape(-1, 24)
    y.add_(1)
    return copy, y


@program((3, 8))
def write_chunk(x):
    y = x + 0
    a, b = y.chunk(2, 1)
    a.add_(1)
    return y, b


@program((3, 8))
def chunk_sees_write(x):
    y = x + 0
    a, b = y.chunk(2, 1)
    y.add_(1)
    return a, b


@program((3, 5), (3, 5))
def sizes(x, y):
    n = x.shape[0]
    z = torch.cat([x, y], 0)
    return z.view(2, n, 5).mean(0), torch.arange(n) * 2, torch.zeros(n, 3) + n, z[1 : n - 1]


@program((3, 6))
def grids(x):
    a, b = torch.meshgrid(torch.arange(4), torch.arange(3), indexing="xy")
    return x.sum() + a + b, a, b


@program((3, 6))
def indexed(x):
    y = x + 0
    y[torch.tensor([0, 2]), torch.tensor([1, 3])] = 9
    y[y > 8] = -1
    return y, y[:, torch.tensor([3, 0])], y[torch.tensor([[0], [1]]), torch.tensor([2, 5])]


@program((3, 8))
def extremes_with_nan(x):
    y = torch.where(x > 1.3, torch.nan, x)
    norm = torch.linalg.vector_norm
    return y.amax(1), y.amin(1), *y.max(1), y.argmin(1), y.argmax(), norm(y, torch.inf, 1), norm(y, -torch.inf, 1)


@program((3, 5, 5))
def pool_padded_as_wide_as_its_kernel(x):
    return torch.nn.functional.max_pool2d(x - 9, 2, 3, 0, 3, ceil_mode=True)


@program((3, 4))
def sum_over_an_ellipsis(x):
    return torch.einsum("...c->c", x)


def main(folder):
    torch.set_num_threads(1)
    for name, (function, shapes) in PROGRAMS.items():
        module = type(name, (torch.nn.Module,), {"forward": lambda self, *args, f=function: f(*args)})()
        cases = []
        for case, rows in enumerate((4, 6)):
            torch.manual_seed(case)
            cases.append([torch.randn(rows, *shape[1:]) for shape in shapes])
        rows = torch.export.Dim.AUTO
        dims = (tuple({0: rows} for _ in shapes),)
        made = torch.export.export(module, tuple(cases[0]), dynamic_shapes=dims, strict=False)
        torch.export.save(made, os.path.join(folder, f"{name}.pt2"))
        for case, inputs in enumerate(cases):
            for kind, tensors in (("in", inputs), ("out", module(*inputs))):
                tensors = [tensors] if isinstance(tensors, torch.Tensor) else tensors
                for k, tensor in enumerate(tensors):
                    path = os.path.join(folder, f"{name}.{case}.{kind}{k}.npy")
                    numpy.save(path, tensor.contiguous().numpy())
    print(json.dumps(list(PROGRAMS)))


main(sys.argv[1])
