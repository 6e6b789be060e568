"""numpy's side of the tensor bench: for each line `name repeats` on stdin, CPU milliseconds of one call on stdout."""
import sys
import time

import numpy as np

n = 1_000_000
random = np.random.default_rng(1)
a = random.random(n, np.float32)
b = random.random(n, np.float32)
out = np.empty(n, np.float32)
rows = a.reshape(1000, 1000)
rows_out = np.empty_like(rows)
m = random.random((256, 256), np.float32)
m_out = np.empty_like(m)


def softmax():
    np.subtract(rows, rows.max(axis=1, keepdims=True), out=rows_out)
    np.exp(rows_out, out=rows_out)
    np.divide(rows_out, rows_out.sum(axis=1, keepdims=True), out=rows_out)


OPS = {
    "add": lambda: np.add(a, b, out=out),
    "mul": lambda: np.multiply(a, b, out=out),
    "sum": lambda: np.sum(a),
    "max": lambda: np.max(a),
    "argmax": lambda: np.argmax(a),
    "exp": lambda: np.exp(a, out=out),
    "softmax": softmax,
    "sumAxis0": lambda: np.sum(rows, axis=0),
    "transpose": lambda: np.ascontiguousarray(rows.T),
    "matmul": lambda: np.matmul(m, m, out=m_out),
}

print(np.__version__, flush=True)
for line in sys.stdin:
    name, repeats = line.split()
    start = time.process_time()
    for _ in range(int(repeats)):
        OPS[name]()
    print((time.process_time() - start) * 1000 / int(repeats), flush=True)
