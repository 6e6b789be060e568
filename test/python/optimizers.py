"""torch.optim and torch.optim.lr_scheduler's side: reads the cases, prints the parameters after the steps."""
import json
import sys

import torch

cases = json.load(sys.stdin)
made = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
answers = []
for case in cases["optimizers"]:
    p = torch.tensor(case["start"], dtype=torch.float64).to(torch.float32).requires_grad_()
    optimizer = made[case["name"]]([p], **case["options"])
    for gradient in case["gradients"]:
        p.grad = torch.tensor(gradient, dtype=torch.float64).to(torch.float32)
        if case["clip"]:
            torch.nn.utils.clip_grad_norm_([p], case["clip"])
        optimizer.step()
    answers.append(p.detach().tolist())

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
