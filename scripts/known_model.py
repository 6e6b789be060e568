"""Writes what src/embed/hub/known.data.ts knows of one model: hashes of its files, and vectors by sentence-transformers.

Usage: npm run known-model -- OWNER/NAME FOLDER [--revision COMMIT] [--files DATA]

FOLDER holds the hub's own files. Needs the packages of test/python/requirements.txt (TENON_PYTHON, or python3). The entry of
OWNER/NAME is made anew, the others are kept; the model's line in src/embed/hub/known.ts is written by hand.
"""
import argparse
import base64
import hashlib
import json
import os
import re
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
DATA = Path(__file__).parent.parent / "src/embed/hub/known.data.ts"
HEAD = '''/** Hashes and golden vectors of known models; written by scripts/known_model.py, never edited by hand. */
import type { KnownFacts } from "./known-facts.js";

/** By `owner/name`. */
export const KNOWN_FACTS: Readonly<Record<string, KnownFacts>> = '''
# One short, one of other scripts and marks, one longer than most models read.
TEXTS = [
    "what is a panda?",
    "Crème brûlée, 日本語 and 🐼: Order #4711 — €1,299.95.",
    "The router is reset by holding the button at its back; the light blinks, and after two minutes it is ready. " * 24,
]
WEIGHTS = ["model.safetensors", "pytorch_model.bin", "onnx/model.onnx", "model.onnx"]


def hashes(folder):
    """Of the files that make the vectors: configuration, tokenizer, modules, and the first set of weights."""
    names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    words = [
        name for name in names
        if re.fullmatch(r"(\d+_[A-Za-z0-9]+/)?[^/]+\.(json|txt|model)", name) and not re.search(r"data_config|train|README", name)
    ]
    modules = [name for name in names if re.fullmatch(r"\d+_[A-Za-z0-9]+/(model\.safetensors|pytorch_model\.bin)", name)]
    weights = [name for name in WEIGHTS if name in names][:1]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted({*words, *modules, *weights})}


def golden(folder):
    import sentence_transformers
    import torch

    torch.set_num_threads(1)
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    vectors = model.encode(TEXTS, batch_size=1, prompt="").astype("<f4")
    return {
        "from": f"sentence-transformers {sentence_transformers.__version__}",
        "texts": TEXTS,
        "vectors": [base64.b64encode(vector.tobytes()).decode() for vector in vectors],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("repository")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--revision")
    parser.add_argument("--files", type=Path, default=DATA)
    args = parser.parse_args()
    known = {}
    if args.files.exists():
        known = json.loads(args.files.read_text().removeprefix(HEAD).rstrip().removesuffix(";"))
    known[args.repository] = {
        **({} if args.revision is None else {"revision": args.revision}),
        "files": hashes(args.folder),
        "golden": golden(args.folder),
    }
    text = json.dumps(dict(sorted(known.items())), indent=1, ensure_ascii=False)
    args.files.write_text(f"{HEAD}{text};\n")


main()
