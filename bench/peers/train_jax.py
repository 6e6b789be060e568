"""
JAX's side of the training bench: for each line `case threads steps` on stdin one line of JSON, as the others answer. The
whole step with Adam is one jitted function that is given its old values to write over. Pooling is a reshape and a maximum.
Threads are those that the process may use: the bench pins it to as many cores.
"""
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

random = np.random.default_rng(1)


def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1000 for line in status if line.startswith("VmRSS"))


def stepper(params, loss_of, *batch):
    def update(params, m, v, step, *batch):
        loss, g = jax.value_and_grad(loss_of)(params, *batch)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate, root = 1e-3 / (1 - 0.9**step), 1 / jnp.sqrt(1 - 0.999**step)
        params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + 1e-8), params, m, v)
        return loss, params, m, v

    jitted = jax.jit(update, donate_argnums=(0, 1, 2))
    state = [params, jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params), 0]
    batch = [jnp.asarray(each) for each in batch]

    def step():
        state[3] += 1
        loss, *state[:3] = jitted(*state[:3], jnp.float32(state[3]), *batch)
        return float(jax.block_until_ready((loss, state[0]))[0])

    return step


def weight(*shape, fan):
    return jnp.asarray(random.standard_normal(shape).astype(np.float32) / fan**0.5)


def dense(a, b):
    return {"w": weight(a, b, fan=a), "b": jnp.zeros(b)}


def apply(x, layer):
    return x @ layer["w"] + layer["b"]


def cross_entropy(logits, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()


def perceptron(widths, rows):
    def loss(layers, x, y):
        for layer in layers[:-1]:
            x = jax.nn.relu(apply(x, layer))
        return cross_entropy(apply(x, layers[-1]), y)

    layers = [dense(a, b) for a, b in zip(widths, widths[1:])]
    return stepper(layers, loss, random.standard_normal((rows, widths[0])).astype(np.float32), np.arange(rows) % widths[-1])


def cnn():
    def layer(x, p):
        h = jax.nn.relu(jax.lax.conv(x, p["w"], (1, 1), "SAME") + p["b"][:, None, None])
        n, c, a, b = h.shape
        return h.reshape(n, c, a // 2, 2, b // 2, 2).max((3, 5))

    def loss(p, x, y):
        return cross_entropy(apply(layer(layer(x, p["a"]), p["b"]).reshape(64, -1), p["c"]), y)

    params = {
        "a": {"w": weight(32, 1, 3, 3, fan=9), "b": jnp.zeros(32)},
        "b": {"w": weight(64, 32, 3, 3, fan=288), "b": jnp.zeros(64)},
        "c": dense(3136, 10),
    }
    return stepper(params, loss, random.standard_normal((64, 1, 28, 28)).astype(np.float32), np.arange(64) % 10)


def transformer():
    def block():
        norms = {n: {"w": jnp.ones(128), "b": jnp.zeros(128)} for n in ("n1", "n2")}
        return norms | {n: dense(128, 128) for n in "qkvo"} | {"up": dense(128, 512), "down": dense(512, 128)}

    def norm(x, p):
        centred = x - x.mean(-1, keepdims=True)
        return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p["w"] + p["b"]

    def run(x, p):
        h = norm(x, p["n1"])
        q, k, v = (apply(h, p[n]).reshape(32, 64, 4, 32).transpose(0, 2, 1, 3) for n in "qkv")
        mixed = jax.nn.softmax(q @ k.transpose(0, 1, 3, 2) / 32**0.5) @ v
        x = x + apply(mixed.transpose(0, 2, 1, 3).reshape(32, 64, 128), p["o"])
        return x + apply(jax.nn.gelu(apply(norm(x, p["n2"]), p["up"]), approximate=False), p["down"])

    def loss(p, x, y):
        h = p["tokens"][x] + p["positions"]
        for each in p["blocks"]:
            h = run(h, each)
        return cross_entropy(apply(h, p["head"]).reshape(-1, 1000), y)

    params = {
        "tokens": weight(1000, 128, fan=1), "positions": weight(64, 128, fan=2500), "blocks": [block(), block()],
        "head": dense(128, 1000),
    }
    x = (np.arange(2048) * 7 % 1000).reshape(32, 64)
    return stepper(params, loss, x, np.arange(2048) * 21 % 1000)


CASES = {
    "mlp": lambda: perceptron([784, 512, 256, 10], 128),
    "tiny": lambda: perceptron([16, 32, 2], 32),
    "cnn": cnn,
    "transformer": transformer,
}
made = {}
jnp.zeros(1).block_until_ready()
before = resident()
print(f"JAX {jax.__version__}", flush=True)
for line in sys.stdin:
    name, _, steps = line.split()
    if name not in CASES:
        print(json.dumps({"failed": f"{name} is not written for JAX"}), flush=True)
        continue
    step = made.setdefault(name, None) or CASES[name]()
    made[name] = step
    wall, cpu = [], []
    for _ in range(int(steps)):
        start, used = time.perf_counter(), time.process_time()
        step()
        wall.append((time.perf_counter() - start) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    print(json.dumps({"wall": wall, "cpu": cpu, "gained": resident() - before}), flush=True)
