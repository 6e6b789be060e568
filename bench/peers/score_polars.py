"""A table scored by polars and ONNX Runtime, as one writes it by hand: windows in, batches through the model, parts out.

Usage: score_polars.py MODEL INPUT OUTPUT BATCH
"""

import os
import sys

import numpy as np
import onnxruntime as ort
import polars as pl

model, source, target, batch = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
columns = [f"f{i}" for i in range(16)]
table = pl.scan_parquet(source)
rows = table.select(pl.len()).collect().item()
window = 491_520
os.makedirs(target)
for part, at in enumerate(range(0, rows, window)):
    frame = table.slice(at, window).collect()
    x = frame.select(columns).to_numpy(order="c")
    scores = [session.run(None, {"x": x[i : i + batch]})[0] for i in range(0, len(x), batch)]
    frame.select("id").with_columns(score=np.concatenate(scores)[:, 0]).write_parquet(
        f"{target}/part-{part:05}.parquet", compression="snappy"
    )
status = open("/proc/self/status").read()
print(status.split("VmHWM:")[1].split()[0], flush=True)
