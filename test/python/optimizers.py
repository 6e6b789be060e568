"""torch.optim and torch.optim.lr_scheduler's side: reads the cases, prints the parameters after the steps."""
import json
import sys

import torch

from torch.optim import _muon


def orthogonal(grad, coefficients, steps, eps):
    """Newton-Schulz in float64, where torch computes in bfloat16."""
    a, b, c = coefficients
    x = grad.double()
    tall = x.size(0) > x.size(1)
    x = x.T if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).float()


class Lamb(torch.optim.Optimizer):
    """Algorithm 2 of You et al. 2019, every number in float64."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            one, two = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                t = state["t"] = state.get("t", 0) + 1
                g, x = p.grad.double(), p.double()
                m = state["m"] = one * state.get("m", 0) + (1 - one) * g
                v = state["v"] = two * state.get("v", 0) + (1 - two) * g * g
                r = (m / (1 - one**t)) / ((v / (1 - two**t)).sqrt() + group["eps"])
                u = r + group["weight_decay"] * x
                p.copy_(x - group["lr"] * x.norm() / u.norm() * u)


rounded = _muon._zeropower_via_newtonschulz
cases = json.load(sys.stdin)
made = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "lamb": Lamb,
    "muon": torch.optim.Muon,
}
answers = []
for case in cases["optimizers"]:
    p = torch.tensor(case["start"], dtype=torch.float64).to(torch.float32).requires_grad_()
    if "shape" in case:
        p = p.detach().reshape(case["shape"]).clone().requires_grad_()
    _muon._zeropower_via_newtonschulz = orthogonal if case.get("exact") else rounded
    optimizer = made[case["name"]]([p], **case["options"])
    for gradient in case["gradients"]:
        p.grad = torch.tensor(gradient, dtype=torch.float64).to(torch.float32).reshape(p.shape)
        if case["clip"]:
            torch.nn.utils.clip_grad_norm_([p], case["clip"])
        optimizer.step()
    answers.append(p.detach().flatten().tolist())

TOTAL = cases["total"]
sched = torch.optim.lr_scheduler


def rates(make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = make(optimizer)
    values = []
    for _ in range(TOTAL):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


curves = {
    "cosine": rates(lambda o: sched.CosineAnnealingLR(o, TOTAL, eta_min=0.1)),
    "step": rates(lambda o: sched.StepLR(o, 7, gamma=0.5)),
    "exponential": rates(lambda o: sched.ExponentialLR(o, 0.97)),
    "polynomial": rates(lambda o: sched.PolynomialLR(o, TOTAL, power=2.0)),
    "linear": rates(lambda o: sched.LinearLR(o, 1.0, 0.25, TOTAL)),
    "oneCycle": rates(lambda o: sched.OneCycleLR(o, max_lr=1.0, total_steps=TOTAL + 1)),
    "sequence": rates(
        lambda o: sched.SequentialLR(
            o,
            [sched.ConstantLR(o, 1.0, 1), sched.ExponentialLR(o, 0.9)],
            milestones=[10],
        )
    ),
}
print(json.dumps({"parameters": answers, "curves": curves}))
