"""
PyTorch's side of the training bench. `train_torch.py export FILE` writes the encoder that the other side imports.
Else, for each line `case threads steps` on stdin, one line of JSON: wall and CPU milliseconds of each step, and the
memory that the process has gained since its imports. Adam is the fused one; convolutions run in channels_last.
"""
import json
import os
import resource
import sys
import time
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
import torch
from torch import nn
from torch.nn import functional as F


def resident():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def stepper(model, loss_of, parameters=None):
    optimizer = torch.optim.Adam(parameters or model.parameters(), lr=1e-3, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def mlp():
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    x, y = torch.randn(128, 784), torch.arange(128) % 10
    return stepper(model, lambda m: F.cross_entropy(m(x), y))


def cnn():
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 10),
    ).to(memory_format=torch.channels_last)
    x, y = torch.randn(64, 1, 28, 28).to(memory_format=torch.channels_last), torch.arange(64) % 10
    return stepper(model, lambda m: F.cross_entropy(m(x), y))


class Transformer(nn.Module):
    def __init__(self, layers, width, heads, vocabulary, length):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.head = nn.Linear(width, vocabulary)

    def forward(self, x):
        h = self.tokens(x) + self.positions
        for block in self.blocks:
            h = block(h)
        return self.head(h)


def transformer():
    model = Transformer(2, 128, 4, 1000, 64)
    x = torch.arange(32 * 64).reshape(32, 64) * 7 % 1000
    y = x * 3 % 1000
    return stepper(model, lambda m: F.cross_entropy(m(x).reshape(-1, 1000), y.reshape(-1)))


def tiny():
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
    x, y = torch.randn(32, 16), torch.arange(32) % 2
    return stepper(model, lambda m: F.cross_entropy(m(x), y))


def bert():
    import transformers

    transformers.logging.set_verbosity_error()
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )
    return transformers.BertModel(config, add_pooling_layer=False)


def encoder():
    model = bert().train()
    ids = torch.arange(16 * 64).reshape(16, 64) * 31 % 30522
    target = torch.randn(16, 64, 384)
    mask = torch.ones_like(ids)
    return stepper(model, lambda m: F.mse_loss(m(input_ids=ids, attention_mask=mask).last_hidden_state, target))


def optimizer():
    parameter = nn.Parameter(torch.randn(8_000_000))
    parameter.grad = torch.randn_like(parameter)
    adam = torch.optim.Adam([parameter], lr=1e-3, fused=True)
    return adam.step


def export(path):
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = bert().eval()
            self.bert.set_attn_implementation("eager")

        def forward(self, ids, mask):
            return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state

    ids = torch.ones(2, 8, dtype=torch.int64)
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        Hidden(), (ids, ids), path, opset_version=17, dynamo=False, input_names=["ids", "mask"],
        output_names=["hidden"], dynamic_axes={"ids": axes, "mask": axes},
    )


CASES = {each.__name__: each for each in (mlp, cnn, transformer, tiny, encoder, optimizer)}

if len(sys.argv) > 1:
    export(sys.argv[2])
    sys.exit()

made = {}
before = resident()
print(f"PyTorch {torch.__version__}", flush=True)
for line in sys.stdin:
    name, threads, steps = line.split()
    torch.set_num_threads(int(threads))
    step = made.get(name)
    if step is None:
        made[name] = step = CASES[name]()
        step()
    wall, cpu = [], []
    for _ in range(int(steps)):
        start, used = time.perf_counter(), time.process_time()
        step()
        wall.append((time.perf_counter() - start) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    print(json.dumps({"wall": wall, "cpu": cpu, "gained": resident() - before}), flush=True)
