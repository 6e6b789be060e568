"""Static models as model2vec and sentence-transformers run them: `static.py FOLDER OUT.safetensors [TEXTS.json on stdin]`.

Writes small models under FOLDER and prints their names; `tokenlearn` is the real one of the package, where it is installed.
"""
import importlib.util
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

try:
    from model2vec import StaticModel
except ImportError:
    StaticModel = None

folder, out = sys.argv[1:3]
texts = json.load(sys.stdin)
rng = np.random.default_rng(3)
words = ["[UNK]", "[PAD]"] + "a b c d one two three red green blue the of and ##s ##ing , . é 日 本 😀".split()


def tokenizer(truncation=None):
    made = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if truncation is not None:
        made.enable_truncation(truncation)
    return made


vectors = {}
names = {}


def sentence(name, normalize, dtype, truncation=None):
    table = rng.normal(size=(len(words), 12)).astype(dtype)
    module = StaticEmbedding(tokenizer(truncation), embedding_weights=table.astype(np.float32))
    model = SentenceTransformer(modules=[module] + ([Normalize()] if normalize else []), device="cpu")
    path = os.path.join(folder, name)
    model.save(path)
    vectors[name] = model.encode(texts)
    names[name] = path


sentence("sentence", False, np.float32)
sentence("sentence-unit", True, np.float32, truncation=5)


def model2vec(name, dtype, normalize, clusters=None, weighted=False, max_length=512):
    if StaticModel is None:
        return
    rows = len(words) if clusters is None else clusters
    table = rng.normal(size=(rows, 16)) * (40 if dtype == np.int8 else 1)
    made = StaticModel(
        table.astype(dtype),
        tokenizer(),
        normalize=normalize,
        weights=rng.random(len(words)).astype(np.float32) if weighted else None,
        token_mapping=rng.integers(0, rows, len(words)) if clusters is not None else None,
        max_length=max_length,
    )
    path = os.path.join(folder, name)
    os.makedirs(path)
    from model2vec.persistence import save_pretrained

    from pathlib import Path

    save_pretrained(Path(path), made.embedding, made.tokenizer, made.config, create_model_card=False, weights=made.weights, mapping=made.token_mapping)
    vectors[name] = made.encode(texts, use_multiprocessing=False).astype(np.float32)
    names[name] = path


model2vec("plain", np.float32, False)
model2vec("half", np.float16, True)
model2vec("weighted", np.float32, True, weighted=True)
model2vec("quantised", np.int8, True, clusters=9, weighted=True)
model2vec("short", np.float32, False, max_length=3)
found = importlib.util.find_spec("static_model")
if StaticModel is not None and found is not None:
    path = os.path.join(os.path.dirname(found.origin), "model")
    real = StaticModel.from_pretrained(path)
    vectors["tokenlearn"] = real.encode(texts, use_multiprocessing=False)
    names["tokenlearn"] = path
save_file(vectors, out)
print(json.dumps(names))
