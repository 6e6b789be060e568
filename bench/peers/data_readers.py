"""Python's readers of the data bench: for each line `name` on stdin, rows, CPU and wall seconds of one pass on stdout."""
import importlib.util
import os
import resource
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PATH, ROWS = sys.argv[1], int(sys.argv[2])
NAMES = [f"f{i}" for i in range(16)]
BATCH = 4096
GROUP = 122_880


def write():
    random = np.random.default_rng(1)
    writer = None
    for start in range(0, ROWS, GROUP):
        count = min(GROUP, ROWS - start)
        columns = {name: random.standard_normal(count, dtype=np.float32) for name in NAMES}
        columns["id"] = np.arange(start, start + count)
        columns["name"] = pa.array([f"some name of row {start + i:06d}" for i in range(count)])
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(PATH, table.schema, compression="snappy", use_dictionary=False)
        writer.write_table(table, row_group_size=GROUP)
    writer.close()


def interleaved(columns, count):
    out = np.empty((count, 16), np.float32)
    for j, column in enumerate(columns):
        out[:, j] = column
    return out


def groups(first=0, step=1):
    file = pq.ParquetFile(PATH)
    for group in range(first, file.num_row_groups, step):
        table = file.read_row_group(group, columns=NAMES, use_threads=False)
        yield interleaved((table.column(name).to_numpy() for name in NAMES), table.num_rows)


def by_hand():
    rows = 0
    for block in groups():
        for start in range(0, len(block), BATCH):
            rows += len(block[start : start + BATCH])
    return rows


def data_loader(workers=0):
    import torch
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info

    class Blocks(IterableDataset):
        def __iter__(self):
            worker = get_worker_info()
            for block in groups() if worker is None else groups(worker.id, worker.num_workers):
                tensor = torch.from_numpy(block)
                for start in range(0, len(tensor), BATCH):
                    yield tensor[start : start + BATCH]

    return sum(len(batch) for batch in DataLoader(Blocks(), batch_size=None, num_workers=workers))


def streaming():
    from datasets import load_dataset

    data = load_dataset("parquet", data_files=PATH, split="train", streaming=True, columns=NAMES)
    rows = 0
    for batch in data.with_format("arrow").iter(batch_size=BATCH):
        rows += len(interleaved((batch.column(name).to_numpy() for name in NAMES), batch.num_rows))
    return rows


def polars():
    import polars as pl

    rows = 0
    step = 4 * GROUP
    for start in range(0, ROWS, step):
        frame = pl.scan_parquet(PATH).slice(start, step).select(NAMES).collect()
        block = interleaved((frame[name].to_numpy() for name in NAMES), frame.height)
        for at in range(0, len(block), BATCH):
            rows += len(block[at : at + BATCH])
    return rows


READERS = {
    "pyarrow": by_hand,
    "DataLoader": data_loader,
    "DataLoader-2-workers": lambda: data_loader(2),
    "datasets": streaming,
    "polars": polars,
}
NEEDS = {
    "pyarrow": "pyarrow",
    "DataLoader": "torch",
    "DataLoader-2-workers": "torch",
    "datasets": "datasets",
    "polars": "polars",
}


def cpu():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if not os.path.exists(PATH):
    write()
print(pa.__version__, *(name for name, module in NEEDS.items() if importlib.util.find_spec(module)), flush=True)
for line in sys.stdin:
    started, used = time.perf_counter(), cpu()
    rows = READERS[line.strip()]()
    print(rows, cpu() - used, time.perf_counter() - started, flush=True)
