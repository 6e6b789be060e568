"""Files of `torch.save` and `torch.export.save`, with what they hold: `torch_files.py FOLDER` prints a manifest.

Prints `null` where PyTorch is not installed.
"""
import hashlib
import json
import sys
from pathlib import Path

try:
    import torch
except ImportError:
    print("null")
    sys.exit()

folder = Path(sys.argv[1])
torch.manual_seed(0)


def digest(tensor):
    dense = tensor.detach().contiguous()
    data = bytes(dense.flatten().view(torch.uint8).tolist()) if dense.numel() else b""
    return [str(dense.dtype).removeprefix("torch."), list(dense.shape), hashlib.sha256(data).hexdigest()]


def flat(value, prefix=""):
    if isinstance(value, torch.Tensor):
        return {prefix or "tensor": digest(value)}
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else []
    out = {}
    for key, member in members:
        out.update(flat(member, f"{prefix}.{key}" if prefix else str(key)))
    return out


base = torch.randn(6, 8)
DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
          "complex128", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
          "float8_e5m2fnuz", "float8_e8m0fnu"]
kinds = {}
for name in DTYPES:
    dtype = getattr(torch, name)
    bits = torch.randint(0, 2 if name == "bool" else 127, (3, 4), dtype=torch.uint8)
    kinds[name] = bits.repeat(1, dtype.itemsize).view(dtype)
views = {
    "turned": base.t(),
    "row": base[2],
    "steps": base[1::2, 1::3],
    "expanded": base[:, :1].expand(6, 5),
    "scalar": base[3, 4],
    "empty": base[:, :0],
    "parameter": torch.nn.Parameter(base),
    "frozen": torch.nn.Parameter(base[0], requires_grad=False),
    "last": base.permute(1, 0)[7:],
}
model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
optimizer = torch.optim.AdamW(model.parameters())
model(torch.randn(8, 4)).sum().backward()
optimizer.step()
training = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 7, "history": [base, {"best": base[1]}]}
OBJECTS = {"kinds": kinds, "views": views, "training": training, "tensor": base, "list": [base, (base[0], None)]}
REFUSED = {
    "quantised": {"q": torch.quantize_per_tensor(base, 0.1, 0, torch.qint8)},
    "sparse": {"s": base.to_sparse()},
    "conjugated": {"c": torch.randn(2, dtype=torch.complex64).conj()},
    "meta": {"m": torch.empty(2, device="meta")},
    "module": model,
}

manifest = {"files": {}, "refused": []}
for name, value in OBJECTS.items():
    for suffix, options in {
        "2": {},
        "3": {"pickle_protocol": 3},
        "4": {"pickle_protocol": 4},
        "5": {"pickle_protocol": 5},
        "legacy": {"_use_new_zipfile_serialization": False},
    }.items():
        file = f"{name}.{suffix}.pth"
        torch.save(value, folder / file, **options)
        manifest["files"][file] = flat(value)
for name, value in REFUSED.items():
    for suffix, options in {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}.items():
        torch.save(value, folder / f"{name}.{suffix}.pth", **options)
        manifest["refused"].append(f"{name}.{suffix}.pth")


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.tied = torch.nn.Linear(4, 4, bias=False)
        self.tied.weight = self.linear.weight
        self.register_buffer("kept", base[:4, :4].t())
        self.register_buffer("dropped", torch.arange(4.0), persistent=False)

    def forward(self, x):
        return self.tied(self.linear(x) @ self.kept + self.dropped) * torch.tensor([2.0, 3.0, 4.0, 5.0])


net = Net().eval()
program = torch.export.export(net, (torch.randn(2, 4),), dynamic_shapes=({0: torch.export.Dim("batch")},))
torch.export.save(program, folder / "net.pt2")
wanted = {**program.state_dict, **program.constants}
manifest["program"] = {
    "weights": flat({name: value for name, value in wanted.items()}),
    "targets": [f"torch.ops.{node.target}" for node in program.graph.nodes if node.op == "call_function"],
}
print(json.dumps(manifest))
