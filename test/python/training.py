"""PyTorch's side of whole models: reads cases, trains each from the same weights on the same batches, prints what became of it."""
import json
import sys

import torch
from torch import nn
from torch.nn import functional as F

DTYPE = torch.float64


def array(value):
    return torch.tensor(value["data"], dtype=DTYPE if value["float"] else torch.int64).reshape(value["shape"])


class Net:
    """The model of a case, as a function of a dict of parameters."""

    def __init__(self, parameters, buffers):
        self.p = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        self.b = {name: value.clone() for name, value in buffers.items()}

    def linear(self, x, name):
        return x @ self.p[f"{name}.weight"] + self.p[f"{name}.bias"]

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.p[f"{name}.weight"], self.p[f"{name}.bias"], 1e-5)

    def batch_norm(self, x, name):
        return F.batch_norm(
            x, self.b[f"{name}.running_mean"], self.b[f"{name}.running_var"], self.p[f"{name}.weight"],
            self.p[f"{name}.bias"], training=True, momentum=0.1, eps=1e-5,
        )

    def attention(self, x, name, heads):
        b, s, w = x.shape
        q, k, v = (
            self.linear(x, f"{name}.{part}").reshape(b, s, heads, w // heads).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.linear(y.transpose(1, 2).reshape(b, s, w), f"{name}.out")

    def recurrent(self, x, name, hidden, kind):
        # ONNX's gates: i o f c (LSTM), z r h (GRU); PyTorch's: i f g o, r z n.
        gates = 4 if kind == "LSTM" else 3
        order = [0, 2, 3, 1] if kind == "LSTM" else [1, 0, 2]

        def part(value):
            return torch.cat([value.chunk(gates, 0)[i] for i in order], 0)

        module = getattr(nn, kind)(x.shape[-1], hidden, batch_first=True, bidirectional=True).to(DTYPE)
        values = {}
        for way, suffix in enumerate(("", "_reverse")):
            bias = self.p[f"{name}.bias"][way]
            values[f"weight_ih_l0{suffix}"] = part(self.p[f"{name}.weight_ih"][way])
            values[f"weight_hh_l0{suffix}"] = part(self.p[f"{name}.weight_hh"][way])
            values[f"bias_ih_l0{suffix}"] = part(bias[: gates * hidden])
            values[f"bias_hh_l0{suffix}"] = part(bias[gates * hidden :])
        output, state = torch.func.functional_call(module, values, (x,))
        state = state[0] if kind == "LSTM" else state
        return output, torch.cat([state[0], state[1]], -1)


def mlp(net, batch):
    h = F.relu(net.linear(batch["x"], "linear"))
    h = F.gelu(net.linear(h, "linear_2"))
    return F.cross_entropy(net.linear(h, "linear_3"), batch["y"], label_smoothing=0.1)


def cnn(net, batch):
    p = net.p
    h = F.conv2d(batch["x"], p["conv.weight"], p["conv.bias"], padding=1)
    h = F.max_pool2d(F.relu(net.batch_norm(h, "batch_norm")), 2)
    h = F.conv2d(h, p["conv_2.weight"], None, padding=1, stride=2, groups=2)
    h = F.relu(net.batch_norm(h, "batch_norm_2"))
    return F.cross_entropy(net.linear(h.mean((2, 3)), "linear"), batch["y"])


def encoder(net, batch):
    x = F.embedding(batch["ids"], net.p["embedding.weight"])
    for name in ("block", "block_2"):
        x = x + net.attention(net.norm(x, f"{name}.norm1"), f"{name}.attention", 2)
        h = F.gelu(net.linear(net.norm(x, f"{name}.norm2"), f"{name}.linear1"))
        x = x + net.linear(h, f"{name}.linear2")
    logits = net.linear(net.norm(x, "layer_norm"), "linear")
    return F.cross_entropy(logits.flatten(0, 1), batch["y"].flatten(), ignore_index=0)


def recurrent(net, batch):
    output, _ = net.recurrent(batch["x"], "lstm", 5, "LSTM")
    _, last = net.recurrent(output, "gru", 4, "GRU")
    return F.huber_loss(net.linear(last, "linear"), batch["y"], delta=0.7)


MODELS = {"mlp": mlp, "cnn": cnn, "encoder": encoder, "recurrent": recurrent}
MADE = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}

answers = []
for case in json.load(sys.stdin):
    net = Net(
        {name: array(value) for name, value in case["parameters"].items()},
        {name: array(value) for name, value in case["buffers"].items()},
    )
    optimizer = MADE[case["optimizer"]](list(net.p.values()), **case["options"])
    losses = []
    gradients = {}
    for batch in case["batches"]:
        optimizer.zero_grad()
        loss = MODELS[case["name"]](net, {name: array(value) for name, value in batch.items()})
        loss.backward()
        if not losses:
            gradients = {name: value.grad.flatten().tolist() for name, value in net.p.items()}
        torch.nn.utils.clip_grad_norm_(list(net.p.values()), case["clip"])
        optimizer.step()
        losses.append(loss.item())
    answers.append(
        {
            "losses": losses,
            "gradients": gradients,
            "parameters": {name: value.detach().flatten().tolist() for name, value in net.p.items()},
            "buffers": {name: value.flatten().tolist() for name, value in net.b.items()},
        }
    )
json.dump(answers, sys.stdout)
