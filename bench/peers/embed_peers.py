"""Embedders of Python as sides of bench/embed.ts: `embed_peers.py PEER FOLDER THREADS`.

Prints `ready VERSION`, or `missing REASON` where a package is not installed. Then, for each line of stdin with a JSON array of texts,
one line of JSON: {"cpuMs", "wallMs", "dims", "first"}; `first` is the vector of the first text.
"""

import json
import os
import sys
import time
import warnings

peer, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS=str(threads))
warnings.filterwarnings("ignore")


def sentence_transformers_of(backend):
    import sentence_transformers
    import torch

    torch.set_num_threads(threads)
    options = {}
    if backend == "onnx":
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        options = {"model_kwargs": {"file_name": "onnx/model.onnx", "session_options": settings, "provider": "CPUExecutionProvider"}}
    model = sentence_transformers.SentenceTransformer(folder, device="cpu", backend=backend, **options)
    return sentence_transformers.__version__, lambda texts: model.encode(texts)


def fastembed_of(batch):
    import fastembed

    model = fastembed.TextEmbedding("sentence-transformers/all-MiniLM-L6-v2", specific_model_path=folder, threads=threads)
    options = {} if batch is None else {"batch_size": batch}
    return fastembed.__version__, lambda texts: list(model.embed(texts, **options))


def infinity_of():
    import asyncio
    import importlib.metadata

    import torch
    from infinity_emb import AsyncEmbeddingEngine, EngineArgs

    torch.set_num_threads(threads)
    loop = asyncio.new_event_loop()
    engine = AsyncEmbeddingEngine.from_args(
        EngineArgs(model_name_or_path=folder, engine="torch", device="cpu", compile=False, bettertransformer=False, model_warmup=False)
    )
    loop.run_until_complete(engine.astart())
    return importlib.metadata.version("infinity-emb"), lambda texts: loop.run_until_complete(engine.embed(sentences=texts))[0]


PEERS = {
    "infinity": infinity_of,
    "sentence-transformers": lambda: sentence_transformers_of("torch"),
    "sentence-transformers-onnx": lambda: sentence_transformers_of("onnx"),
    "fastembed-1": lambda: fastembed_of(1),
    "fastembed": lambda: fastembed_of(None),
}

try:
    version, embed = PEERS[peer]()
except ImportError as error:
    print("missing", error, flush=True)
    sys.exit()
print("ready", version, flush=True)
for line in sys.stdin:
    texts = json.loads(line)
    wall, cpu = time.perf_counter(), time.process_time()
    vectors = embed(texts)
    sample = {"cpuMs": 1000 * (time.process_time() - cpu), "wallMs": 1000 * (time.perf_counter() - wall)}
    first = [float(value) for value in vectors[0]]
    print(json.dumps({**sample, "dims": len(first), "first": first}), flush=True)
