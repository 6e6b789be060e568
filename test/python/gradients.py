"""PyTorch's side of the gradients: reads nodes, writes each as PyTorch in float64, prints the loss and its gradients."""
import json
import math
import sys
from functools import reduce

import numpy as np
import torch
import torch.nn.functional as F

OPS = {}


def op(*names):
    def add(function):
        for name in names:
            OPS[name] = function
        return function

    return add


def plain(name, function):
    OPS[name] = lambda attrs, x: function(x)


for name, function in {
    "Neg": torch.neg,
    "Identity": lambda x: x * 1,
    "Cast": lambda x: x * 1,
    "Dropout": lambda x: x * 1,
    "Abs": torch.abs,
    "Sqrt": torch.sqrt,
    "Exp": torch.exp,
    "Log": torch.log,
    "Reciprocal": torch.reciprocal,
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
    "Softsign": F.softsign,
    "Softplus": F.softplus,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Tan": torch.tan,
    "Asin": torch.asin,
    "Acos": torch.acos,
    "Atan": torch.atan,
    "Sinh": torch.sinh,
    "Cosh": torch.cosh,
    "Asinh": torch.asinh,
    "Acosh": torch.acosh,
    "Atanh": torch.atanh,
    "Relu": torch.relu,
    "Erf": torch.erf,
    "Mish": F.mish,
    "HardSwish": F.hardswish,
    "Sign": torch.sign,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Round": torch.round,
    "GlobalAveragePool": lambda x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True),
    "GlobalMaxPool": lambda x: F.adaptive_max_pool2d(x, 1) if x.dim() == 4 else F.adaptive_max_pool1d(x, 1),
}.items():
    plain(name, function)

OPS["CastLike"] = lambda attrs, x, like: x * 1
OPS["LeakyRelu"] = lambda attrs, x: F.leaky_relu(x, attrs.get("alpha", 0.01))
OPS["ThresholdedRelu"] = lambda attrs, x: F.threshold(x, attrs.get("alpha", 1.0), 0.0)
OPS["Elu"] = lambda attrs, x: F.elu(x, attrs.get("alpha", 1.0))
OPS["Selu"] = lambda attrs, x: F.selu(x)
OPS["Celu"] = lambda attrs, x: F.celu(x, attrs.get("alpha", 1.0))
OPS["Gelu"] = lambda attrs, x: F.gelu(x, approximate=attrs.get("approximate", "none"))
OPS["com.microsoft:Gelu"] = lambda attrs, x: F.gelu(x)
OPS["com.microsoft:BiasGelu"] = lambda attrs, x, b: F.gelu(x + b)
OPS["com.microsoft:FastGelu"] = lambda attrs, x, b=None: F.gelu(x if b is None else x + b, approximate="tanh")
OPS["com.microsoft:QuickGelu"] = lambda attrs, x: x * torch.sigmoid(attrs.get("alpha", 1.702) * x)
OPS["Swish"] = lambda attrs, x: F.silu(x) if attrs.get("alpha", 1.0) == 1 else x * torch.sigmoid(attrs["alpha"] * x)
OPS["PRelu"] = lambda attrs, x, slope: F.prelu(x, slope) if slope.dim() == 1 and x.dim() == 2 else torch.where(x > 0, x, slope * x)
OPS["Add"] = lambda attrs, a, b: a + b
OPS["Sub"] = lambda attrs, a, b: a - b
OPS["Mul"] = lambda attrs, a, b: a * b
OPS["Div"] = lambda attrs, a, b: a / b
OPS["Pow"] = lambda attrs, a, b: torch.pow(a, b)
OPS["Mod"] = lambda attrs, a, b: torch.fmod(a, b)
OPS["Where"] = lambda attrs, c, a, b: torch.where(c, a, b)
OPS["Sum"] = lambda attrs, *xs: reduce(torch.add, xs)
OPS["Mean"] = lambda attrs, *xs: reduce(torch.add, xs) / len(xs)
OPS["Clip"] = lambda attrs, x, low=None, high=None: torch.clamp(x, low, high)
OPS["MatMul"] = lambda attrs, a, b: torch.matmul(a, b)
OPS["Einsum"] = lambda attrs, *xs: torch.einsum(attrs["equation"], *xs)
OPS["Softmax"] = lambda attrs, x: torch.softmax(x, attrs.get("axis", -1))
OPS["LogSoftmax"] = lambda attrs, x: torch.log_softmax(x, attrs.get("axis", -1))


@op("Hardmax")
def hardmax(attrs, x):
    axis = attrs.get("axis", -1)
    return 0 * x + F.one_hot(x.argmax(axis), x.shape[axis]).movedim(-1, axis)


@op("Shrink")
def shrink(attrs, x):
    limit, bias = attrs.get("lambd", 0.5), attrs.get("bias", 0.0)
    if bias == 0:
        return F.hardshrink(x, limit)
    if bias == limit:
        return F.softshrink(x, limit)
    return torch.where(x > limit, x - bias, torch.where(x < -limit, x + bias, 0 * x))


@op("HardSigmoid")
def hard_sigmoid(attrs, x):
    alpha, beta = attrs.get("alpha", 0.2), attrs.get("beta", 0.5)
    # PyTorch's own has one slope only; at other inputs than x it is the same function.
    return F.hardsigmoid(6 * (alpha * x + beta) - 3)


def extremum(two, several):
    def function(attrs, *xs):
        if len(xs) == 1:
            return xs[0] * 1
        if len(xs) == 2:
            return two(*xs)
        return several(torch.stack(torch.broadcast_tensors(*xs)), 0)

    return function


OPS["Max"] = extremum(torch.maximum, torch.amax)
OPS["Min"] = extremum(torch.minimum, torch.amin)


def product(x, dims, keepdim):
    for dim in sorted((d % x.dim() for d in dims), reverse=True):
        x = torch.prod(x, dim, keepdim=keepdim)
    return x


def reduction(function, of_one):
    def run(attrs, x, axes=None):
        if axes is None or axes.numel() == 0:
            if attrs.get("noop_with_empty_axes", 0):
                return of_one(x)
            dims = list(range(x.dim()))
        else:
            dims = axes.tolist()
        return function(x, dims, bool(attrs.get("keepdims", 1)))

    return run


norm = torch.linalg.vector_norm
for name, (function, of_one) in {
    "ReduceSum": (lambda x, d, k: torch.sum(x, d, keepdim=k), lambda x: x * 1),
    "ReduceMean": (lambda x, d, k: torch.mean(x, d, keepdim=k), lambda x: x * 1),
    "ReduceMax": (lambda x, d, k: torch.amax(x, d, keepdim=k), lambda x: x * 1),
    "ReduceMin": (lambda x, d, k: torch.amin(x, d, keepdim=k), lambda x: x * 1),
    "ReduceProd": (product, lambda x: x * 1),
    "ReduceL1": (lambda x, d, k: norm(x, 1, d, keepdim=k), torch.abs),
    "ReduceL2": (lambda x, d, k: norm(x, 2, d, keepdim=k), torch.abs),
    "ReduceSumSquare": (lambda x, d, k: torch.sum(x * x, d, keepdim=k), torch.square),
    "ReduceLogSum": (lambda x, d, k: torch.log(torch.sum(x, d, keepdim=k)), torch.log),
    "ReduceLogSumExp": (lambda x, d, k: torch.logsumexp(x, d, keepdim=k), lambda x: x * 1),
}.items():
    OPS[name] = reduction(function, of_one)


@op("Gemm")
def gemm(attrs, a, b, c=None):
    a = a.T if attrs.get("transA", 0) else a
    b = b.T if attrs.get("transB", 0) else b
    y = attrs.get("alpha", 1.0) * (a @ b)
    return y if c is None else y + attrs.get("beta", 1.0) * c


@op("com.microsoft:FusedMatMul")
def fused_matmul(attrs, a, b):
    a = a.transpose(-1, -2) if attrs.get("transA", 0) else a
    b = b.transpose(-1, -2) if attrs.get("transB", 0) else b
    return attrs.get("alpha", 1.0) * torch.matmul(a, b)


# ── moves ────────────────────────────────────────────────────────────────────────────────────────

OPS["Flatten"] = lambda attrs, x: x.reshape(math.prod(x.shape[: attrs.get("axis", 1)]), -1)
OPS["Squeeze"] = lambda attrs, x, axes: torch.squeeze(x, tuple(axes.tolist()))
OPS["Expand"] = lambda attrs, x, shape: x.expand(torch.broadcast_shapes(x.shape, tuple(shape.tolist())))
OPS["Concat"] = lambda attrs, *xs: torch.cat(xs, attrs["axis"])
OPS["Split"] = lambda attrs, x, sizes: torch.split(x, sizes.tolist(), attrs.get("axis", 0))
OPS["Tile"] = lambda attrs, x, repeats: x.repeat(tuple(repeats.tolist()))


@op("Reshape")
def reshape(attrs, x, shape):
    sizes = shape.tolist()
    if not attrs.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


@op("Unsqueeze")
def unsqueeze(attrs, x, axes):
    rank = x.dim() + axes.numel()
    for axis in sorted(axis % rank for axis in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


@op("Transpose")
def transpose(attrs, x):
    return x.permute(attrs.get("perm", list(range(x.dim()))[::-1]))


@op("Slice")
def sliced(attrs, x, starts, ends, axes=None, steps=None):
    axes = range(starts.numel()) if axes is None else axes.tolist()
    steps = [1] * starts.numel() if steps is None else steps.tolist()
    for start, end, axis, step in zip(starts.tolist(), ends.tolist(), axes, steps):
        indices = range(*slice(start, end, step).indices(x.shape[axis]))
        x = torch.index_select(x, axis, torch.tensor(list(indices), dtype=torch.int64))
    return x


@op("Pad")
def pad(attrs, x, pads, value=None, axes=None):
    axes = list(range(x.dim())) if axes is None else [axis % x.dim() for axis in axes.tolist()]
    pads = pads.tolist()
    mode = attrs.get("mode", "constant")
    if mode == "constant":
        for i, axis in enumerate(axes):
            begin, end = pads[i], pads[len(axes) + i]
            x = torch.narrow(x, axis, max(0, -begin), x.shape[axis] - max(0, -begin) - max(0, -end))
            for size, after in ((max(0, begin), False), (max(0, end), True)):
                shape = [*x.shape]
                shape[axis] = size
                block = (0.0 * x.sum() if value is None else value.reshape(())).expand(shape)
                x = torch.cat([x, block] if after else [block, x], axis)
        return x
    for i, axis in enumerate(axes):
        indices = np.pad(np.arange(x.shape[axis]), (pads[i], pads[len(axes) + i]), mode=mode)
        x = torch.index_select(x, axis, torch.from_numpy(indices))
    return x


@op("Gather")
def gather(attrs, x, indices):
    axis = attrs.get("axis", 0) % x.dim()
    size = x.shape[axis]
    picked = torch.index_select(x, axis, indices.reshape(-1) % size)
    return picked.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


@op("GatherElements")
def gather_elements(attrs, x, indices):
    axis = attrs.get("axis", 0)
    return torch.gather(x, axis, indices % x.shape[axis])


@op("GatherND")
def gather_nd(attrs, x, indices):
    if attrs.get("batch_dims", 0) == 1:
        inner = {"batch_dims": 0}
        return torch.stack([gather_nd(inner, a, i) for a, i in zip(x, indices)])
    return x[tuple(indices.movedim(-1, 0))]


@op("ScatterElements")
def scatter_elements(attrs, x, indices, updates):
    axis = attrs.get("axis", 0)
    indices = indices % x.shape[axis]
    if attrs.get("reduction", "none") == "add":
        return torch.scatter_add(x, axis, indices, updates)
    return torch.scatter(x, axis, indices, updates)


@op("ScatterND")
def scatter_nd(attrs, x, indices, updates):
    at = tuple(indices.movedim(-1, 0))
    return torch.index_put(x, at, updates, accumulate=attrs.get("reduction", "none") == "add")


@op("TopK")
def top_k(attrs, x, k):
    return torch.topk(x, int(k[0]), attrs.get("axis", -1), bool(attrs.get("largest", 1)))


@op("CumSum")
def cumulated(attrs, x, axis):
    axis = int(axis)
    reverse = attrs.get("reverse", 0)
    x = x.flip(axis) if reverse else x
    y = torch.cumsum(x, axis)
    y = y - x if attrs.get("exclusive", 0) else y
    return y.flip(axis) if reverse else y


@op("Trilu")
def triangle(attrs, x, k=None):
    diagonal = 0 if k is None else int(k)
    return torch.triu(x, diagonal) if attrs.get("upper", 1) else torch.tril(x, diagonal)


@op("Compress")
def compress(attrs, x, condition):
    if "axis" not in attrs:
        return x.reshape(-1)[torch.nonzero(condition)[:, 0]]
    return torch.index_select(x, attrs["axis"], torch.nonzero(condition)[:, 0])


@op("ReverseSequence")
def reverse_sequence(attrs, x, lengths):
    columns = []
    for i, length in enumerate(lengths.tolist()):
        column = x[:, i]
        columns.append(torch.cat([column[:length].flip(0), column[length:]]))
    return torch.stack(columns, 1)


@op("DepthToSpace")
def depth_to_space(attrs, x):
    if attrs.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, attrs["blocksize"])
    n, c, h, w = x.shape
    b = attrs["blocksize"]
    return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


@op("SpaceToDepth")
def space_to_depth(attrs, x):
    n, c, h, w = x.shape
    b = attrs["blocksize"]
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


# ── windows ──────────────────────────────────────────────────────────────────────────────────────


def begins(attrs, totals):
    """Padding before and after each axis: declared, or the total of SAME shared out."""
    auto = attrs.get("auto_pad", "NOTSET")
    n = len(totals)
    if auto == "SAME_UPPER":
        return [(t // 2, t - t // 2) for t in totals]
    if auto == "SAME_LOWER":
        return [(t - t // 2, t // 2) for t in totals]
    pads = attrs.get("pads", [0] * 2 * n) if auto == "NOTSET" else [0] * 2 * n
    return [(pads[i], pads[n + i]) for i in range(n)]


def same_totals(attrs, x, kernel):
    n = len(kernel)
    strides, dilations = attrs.get("strides", [1] * n), attrs.get("dilations", [1] * n)
    return [
        max(0, (-(-x.shape[i + 2] // strides[i]) - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 - x.shape[i + 2])
        for i in range(n)
    ]


def around(x, pads, value=0.0):
    return F.pad(x, [size for pair in reversed(pads) for size in pair], value=value)


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


@op("Conv")
def conv(attrs, x, w, b=None):
    n = x.dim() - 2
    x = around(x, begins(attrs, same_totals(attrs, x, w.shape[2:])))
    return CONV[n](x, w, b, attrs.get("strides", 1), 0, attrs.get("dilations", 1), attrs.get("group", 1))


@op("ConvTranspose")
def conv_transpose(attrs, x, w, b=None):
    n = x.dim() - 2
    strides = attrs.get("strides", [1] * n)
    extra = attrs.get("output_padding", [0] * n)
    full = TRANSPOSED[n](x, w, None, strides, 0, 0, attrs.get("group", 1), attrs.get("dilations", 1))
    auto = attrs.get("auto_pad", "NOTSET")
    sizes = attrs.get("output_shape")
    if sizes is None and auto.startswith("SAME"):
        sizes = [x.shape[i + 2] * strides[i] for i in range(n)]
    if sizes is None:
        pads = begins(attrs, [0] * n)
    else:
        totals = [full.shape[i + 2] + extra[i] - sizes[i] for i in range(n)]
        upper = auto == "SAME_UPPER"
        pads = [(t // 2, t - t // 2) if upper else (t - t // 2, t // 2) for t in totals]
    y = around(full, [(-begin, extra[i] - end) for i, (begin, end) in enumerate(pads)])
    return y if b is None else y + b.reshape([-1] + [1] * n)


def pool_pads(attrs, x):
    """Declared padding, and what further the last window reaches where ceil_mode lets it."""
    kernel = attrs["kernel_shape"]
    n = len(kernel)
    strides, dilations = attrs.get("strides", [1] * n), attrs.get("dilations", [1] * n)
    pads = begins(attrs, same_totals(attrs, x, kernel))
    beyond = []
    for i, (begin, end) in enumerate(pads):
        reach = dilations[i] * (kernel[i] - 1) + 1
        room = x.shape[i + 2] + begin + end - reach
        out = room // strides[i] + 1
        if attrs.get("ceil_mode", 0):
            out = -(-room // strides[i]) + 1
            # No window starts in the padding behind.
            if (out - 1) * strides[i] >= x.shape[i + 2] + begin:
                out -= 1
        beyond.append(max(0, (out - 1) * strides[i] + reach - (x.shape[i + 2] + begin + end)))
    return pads, [(0, more) for more in beyond], strides, dilations


@op("AveragePool")
def average_pool(attrs, x):
    kernel = attrs["kernel_shape"]
    pads, beyond, strides, dilations = pool_pads(attrs, x)
    ones = torch.ones_like(x[:1, :1]).detach()
    counted = around(around(ones, pads, float(attrs.get("count_include_pad", 0))), beyond)
    window = torch.ones([1, 1, *kernel], dtype=x.dtype)
    counts = CONV[len(kernel)](counted, window, None, strides, 0, dilations)
    wide = around(around(x, pads), beyond)
    flat = wide.reshape([-1, 1, *wide.shape[2:]])
    sums = CONV[len(kernel)](flat, window, None, strides, 0, dilations)
    return sums.reshape([*x.shape[:2], *sums.shape[2:]]) / counts


@op("MaxPool")
def max_pool(attrs, x):
    kernel = attrs["kernel_shape"]
    pads, beyond, strides, dilations = pool_pads(attrs, x)
    wide = around(around(x, pads, -math.inf), beyond, -math.inf)
    return MAX_POOL[len(kernel)](wide, kernel, strides, 0, dilations)


@op("Resize")
def resize(attrs, x, roi=None, scales=None, sizes=None):
    mode = {"nearest": "nearest", "linear": {3: "linear", 4: "bilinear"}[x.dim()], "cubic": "bicubic"}[attrs["mode"]]
    how = {"mode": mode, "antialias": bool(attrs.get("antialias", 0))}
    if mode != "nearest":
        how["align_corners"] = attrs.get("coordinate_transformation_mode") == "align_corners"
    if scales is not None:
        factors = [float(np.float32(scale)) for scale in scales.tolist()[2:]]
        return F.interpolate(x, scale_factor=factors, recompute_scale_factor=False, **how)
    return F.interpolate(x, size=sizes.tolist()[2:], **how)


# ── normalisations and losses ────────────────────────────────────────────────────────────────────


@op("LayerNormalization")
def layer_norm(attrs, x, w, b=None):
    shape = x.shape[attrs.get("axis", -1) :]
    return F.layer_norm(x, shape, w.expand(shape), None if b is None else b.expand(shape), attrs.get("epsilon", 1e-5))


@op("BatchNormalization")
def batch_norm(attrs, x, scale, bias, mean, variance):
    epsilon = attrs.get("epsilon", 1e-5)
    if attrs.get("training_mode", 0):
        return F.batch_norm(x, None, None, scale, bias, True, 0.0, epsilon)
    # PyTorch gives no gradient to the running statistics of its own function.
    each = [1, -1] + [1] * (x.dim() - 2)
    normal = (x - mean.reshape(each)) / torch.sqrt(variance.reshape(each) + epsilon)
    return normal * scale.reshape(each) + bias.reshape(each)


OPS["InstanceNormalization"] = lambda attrs, x, w, b: F.instance_norm(x, None, None, w, b, True, 0.0, attrs.get("epsilon", 1e-5))


OPS["GroupNormalization"] = lambda attrs, x, w, b: F.group_norm(x, attrs["num_groups"], w, b, attrs.get("epsilon", 1e-5))


@op("GridSample")
def grid_sample(attrs, x, grid):
    mode = {"linear": "bilinear"}.get(attrs.get("mode", "linear"), attrs.get("mode"))
    return F.grid_sample(x, grid, mode, attrs.get("padding_mode", "zeros"), bool(attrs.get("align_corners", 0)))


@op("Col2Im")
def col2im(attrs, x, image, block):
    pads = attrs.get("pads", [0, 0, 0, 0])
    ones = [1, 1]
    return F.fold(
        x, image.tolist(), block.tolist(), attrs.get("dilations", ones), pads[:2], attrs.get("strides", ones)
    )


@op("OneHot")
def one_hot(attrs, indices, depth, values):
    size = int(depth)
    wrapped = torch.where(indices < 0, indices + size, indices)
    hot = (wrapped[..., None] == torch.arange(size)).movedim(-1, attrs.get("axis", -1))
    return torch.where(hot, values[1], values[0])


OPS["RMSNormalization"] = lambda attrs, x, w: F.rms_norm(x, x.shape[attrs.get("axis", -1) :], w, attrs.get("epsilon", 1e-5))
OPS["SimplifiedLayerNormalization"] = OPS["RMSNormalization"]
OPS["LpNormalization"] = lambda attrs, x: F.normalize(x, attrs.get("p", 2), attrs.get("axis", -1))
OPS["AffineGrid"] = lambda attrs, theta, size: F.affine_grid(theta, size.tolist(), bool(attrs.get("align_corners", 0)))
OPS["GlobalLpPool"] = lambda attrs, x: torch.linalg.vector_norm(x, attrs.get("p", 2), tuple(range(2, x.dim())), True)


@op("LpPool")
def lp_pool(attrs, x):
    p, kernel = attrs.get("p", 2), attrs["kernel_shape"]
    pads = attrs.get("pads", [0] * 2 * len(kernel))
    x = F.pad(x, [each for pair in zip(pads, pads[len(kernel) :]) for each in pair][::-1])
    for axis, (size, step) in enumerate(zip(kernel, attrs.get("strides", [1] * len(kernel)))):
        x = x.unfold(axis + 2, size, step)
    return (x.abs() ** p).sum(tuple(range(-len(kernel), 0))) ** (1 / p)


@op("CenterCropPad")
def center_crop_pad(attrs, x, sizes):
    for axis, wanted in zip(attrs.get("axes", range(x.dim())), sizes.tolist()):
        axis, size = axis % x.dim(), x.shape[axis]
        x = x.narrow(axis, max(0, size - wanted) // 2, min(size, wanted))
        before = max(0, wanted - size) // 2
        after = max(0, wanted - size) - before
        x = F.pad(x, [0, 0] * (x.dim() - 1 - axis) + [before, after])
    return x


@op("DFT")
def dft(attrs, x, length=None, axis=None):
    axis = (-2 if axis is None else int(axis)) % x.dim()
    z = torch.complex(x[..., 0], x[..., 1] if x.shape[-1] == 2 else torch.zeros_like(x[..., 0]))
    y = torch.fft.ifft(z, dim=axis) if attrs.get("inverse", 0) else torch.fft.fft(z, dim=axis)
    if attrs.get("onesided", 0):
        y = y.narrow(axis, 0, x.shape[axis] // 2 + 1)
    return torch.view_as_real(y)


OPS["LRN"] = lambda attrs, x: F.local_response_norm(x, attrs["size"], attrs.get("alpha", 1e-4), attrs.get("beta", 0.75), attrs.get("bias", 1.0))


@op("MeanVarianceNormalization")
def mean_variance(attrs, x):
    axes = attrs.get("axes", [0, 2, 3])
    return (x - x.mean(axes, keepdim=True)) / (x.std(axes, correction=0, keepdim=True) + 1e-9)


@op("com.microsoft:SkipLayerNormalization")
def skip_layer_norm(attrs, x, skip, w, b=None, bias=None):
    total = x + skip if bias is None else x + skip + bias
    return F.layer_norm(total, w.shape, w, b, attrs.get("epsilon", 1e-12))


@op("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss")
def classes(attrs, x, labels, weights=None, loss=None):
    return F.nll_loss(
        x,
        labels,
        None if weights is None else weights.to(x.dtype),
        ignore_index=attrs.get("ignore_index", -100),
        reduction=attrs.get("reduction", "mean"),
    )


OPS["SoftmaxCrossEntropyLoss"] = lambda attrs, x, *rest: classes(attrs, torch.log_softmax(x, 1), *rest)


# ── attention and recurrence ─────────────────────────────────────────────────────────────────────


@op("Attention")
def attention(attrs, q, k, v, mask=None):
    flat = q.dim() == 3

    def heads(x, count):
        return x.reshape(x.shape[0], x.shape[1], count, -1).transpose(1, 2) if flat else x

    q = heads(q, attrs.get("q_num_heads"))
    k, v = heads(k, attrs.get("kv_num_heads")), heads(v, attrs.get("kv_num_heads"))
    causal = bool(attrs.get("is_causal", 0))
    if attrs.get("softcap", 0):
        scores = attrs["scale"] * (q @ k.transpose(-1, -2))
        scores = attrs["softcap"] * torch.tanh(scores / attrs["softcap"])
        return torch.softmax(scores + mask, -1) @ v
    y = F.scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale=attrs.get("scale"), enable_gqa=True)
    return y.transpose(1, 2).flatten(2) if flat else y


@op("RotaryEmbedding")
def rotary(attrs, x, cos, sin, positions=None):
    flat = x.dim() == 3
    if flat:
        x = x.reshape(x.shape[0], x.shape[1], attrs["num_heads"], -1).transpose(1, 2)
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    turn = torch.complex(cos, sin).unsqueeze(1)
    width = attrs.get("rotary_embedding_dim", 0) or x.shape[-1]
    part, rest = x[..., :width], x[..., width:]
    if attrs.get("interleaved", 0):
        pairs = torch.view_as_complex(part.reshape(*part.shape[:-1], -1, 2).contiguous())
        turned = torch.view_as_real(pairs * turn).flatten(-2)
    else:
        pairs = torch.complex(part[..., : width // 2], part[..., width // 2 :]) * turn
        turned = torch.cat([pairs.real, pairs.imag], -1)
    y = torch.cat([turned, rest], -1)
    return y.transpose(1, 2).flatten(2) if flat else y


def directions(attrs, x, lengths, w, cell, states):
    """Runs a cell over each direction; states are [direction][h, c …]. Rows shorter than the longest are cut."""
    steps, batch = x.shape[:2]
    lengths = [steps] * batch if lengths is None else lengths.tolist()
    outputs, finals = [], []
    for d in range(w.shape[0]):
        backward = attrs.get("direction", "forward") == "reverse" or d == 1
        rows, last = [], []
        for i, length in enumerate(lengths):
            now = [state[d][i] for state in states]
            found = [torch.zeros_like(now[0])] * steps
            for t in range(length)[:: -1 if backward else 1]:
                now = cell(d, x[t, i], now)
                found[t] = now[0]
            rows.append(torch.stack(found))
            last.append(now if length > 0 else [torch.zeros_like(state) for state in now])
        outputs.append(torch.stack(rows, 1))
        finals.append([torch.stack(each) for each in zip(*last)])
    return (torch.stack(outputs, 1), *[torch.stack(each) for each in zip(*finals)])


def starts(x, r, *given):
    zeros = torch.zeros(r.shape[0], x.shape[1], r.shape[2], dtype=x.dtype)
    return [zeros if state is None else state for state in given]


@op("LSTM")
def lstm(attrs, x, w, r, b=None, lengths=None, h=None, c=None, p=None):
    hidden = r.shape[2]

    def cell(d, input, states):
        h, c = states
        gates = w[d] @ input + r[d] @ h
        if b is not None:
            gates = gates + b[d][: 4 * hidden] + b[d][4 * hidden :]
        i, o, f, g = gates.split(hidden)
        pi, po, pf = (0.0, 0.0, 0.0) if p is None else p[d].split(hidden)
        c_next = torch.sigmoid(f + pf * c) * c + torch.sigmoid(i + pi * c) * torch.tanh(g)
        return [torch.sigmoid(o + po * c_next) * torch.tanh(c_next), c_next]

    if lengths is None and p is None and b is not None and attrs.get("direction", "forward") == "forward":
        # PyTorch stacks the gates as i, f, g, o.
        order = torch.cat([torch.arange(k * hidden, (k + 1) * hidden) for k in (0, 2, 3, 1)])
        weights = [w[0][order], r[0][order], b[0][: 4 * hidden][order], b[0][4 * hidden :][order]]
        y, h_last, c_last = torch.lstm(x, starts(x, r, h, c), weights, True, 1, 0.0, False, False, False)
        return y.unsqueeze(1), h_last, c_last
    return directions(attrs, x, lengths, w, cell, starts(x, r, h, c))


@op("GRU")
def gru(attrs, x, w, r, b=None, lengths=None, h=None):
    hidden = r.shape[2]

    def cell(d, input, states):
        (h,) = states
        wz, wr, wh = (w[d] @ input + b[d][: 3 * hidden]).split(hidden)
        rz, rr, rh = r[d].split(hidden)
        bz, br, bh = b[d][3 * hidden :].split(hidden)
        z, reset = torch.sigmoid(wz + rz @ h + bz), torch.sigmoid(wr + rr @ h + br)
        inner = reset * (rh @ h + bh) if attrs.get("linear_before_reset", 0) else rh @ (reset * h) + bh
        return [(1 - z) * torch.tanh(wh + inner) + z * h]

    return directions(attrs, x, lengths, w, cell, starts(x, r, h))


@op("RNN")
def rnn(attrs, x, w, r, b=None, lengths=None, h=None):
    hidden = r.shape[2]

    activations = [{"Tanh": torch.tanh, "Sigmoid": torch.sigmoid, "Softsign": F.softsign}[name]
                   for name in attrs.get("activations", ["Tanh"])]

    def cell(d, input, states):
        total = w[d] @ input + r[d] @ states[0]
        return [activations[d](total if b is None else total + b[d][:hidden] + b[d][hidden:])]

    return directions(attrs, x, lengths, w, cell, starts(x, r, h))


# ── whole models ─────────────────────────────────────────────────────────────────────────────────


@op("model:mlp")
def mlp(attrs, x, labels, w1, b1, w2, b2, w3, b3):
    x = torch.relu(F.linear(x, w1.T, b1))
    x = F.gelu(F.linear(x, w2.T, b2))
    return F.cross_entropy(F.linear(x, w3.T, b3), labels)


@op("model:cnn")
def cnn(attrs, x, labels, w1, scale, bias, w2, b2, w3, b3):
    x = F.batch_norm(F.conv2d(x, w1, padding=1), None, None, scale, bias, True)
    x = F.max_pool2d(torch.relu(x), 2)
    x = F.avg_pool2d(F.silu(F.conv2d(x, w2, b2, stride=2, padding=1)), 2)
    return F.cross_entropy(F.linear(x.flatten(1), w3.T, b3), labels)


def numbers(values):
    return [value if math.isfinite(value) else str(value) for value in values]


def answer(case):
    inputs = []
    for given in case["inputs"]:
        if given is None:
            inputs.append(None)
            continue
        dtype = {"int64": torch.int64, "int32": torch.int64, "bool": torch.bool}.get(given["dtype"], torch.float64)
        values = [float(value) for value in given["values"]]
        inputs.append(torch.tensor(values, dtype=torch.float64).to(dtype).reshape(given["shape"]))
    for i in case["wrt"]:
        inputs[i].requires_grad_()
    outputs = OPS[case["op"]](case["attrs"], *inputs)
    outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    loss = 0.0
    for part in case["weights"]:
        value = outputs[part["output"]]
        loss = loss + (value * torch.tensor(part["values"], dtype=torch.float64).reshape(value.shape)).sum()
    wrt = [inputs[i] for i in case["wrt"]]
    grads = torch.autograd.grad(loss, wrt, allow_unused=True)
    grads = [torch.zeros_like(x) if grad is None else grad for x, grad in zip(wrt, grads)]
    return {"loss": numbers([float(loss)])[0], "gradients": [numbers(grad.reshape(-1).tolist()) for grad in grads]}


torch.set_num_threads(1)
print(json.dumps([answer(case) for case in json.load(sys.stdin)]))
