"""BM25 as fastembed computes it: `bm25.py`, cases {"texts", "stopWords", "words"} as JSON on stdin.

Prints {"documents", "queries", "stems"}, or `null` where fastembed is not installed.
"""
import json
import sys
import tempfile
from pathlib import Path

try:
    from fastembed.sparse.bm25 import Bm25
    from py_rust_stemmers import SnowballStemmer
except ImportError:
    print("null")
    sys.exit()

given = json.load(sys.stdin)
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "english.txt").write_text("\n".join(given["stopWords"]))
    (Path(folder) / "config.json").write_text("{}")
    model = Bm25("Qdrant/bm25", specific_model_path=folder, avg_len=given["avgLen"])


def pairs(vector):
    return sorted([int(i), float(v)] for i, v in zip(vector.indices, vector.values))


stemmer = SnowballStemmer("english")
print(
    json.dumps(
        {
            "documents": [pairs(v) for v in model.embed(given["texts"])],
            "queries": [pairs(next(iter(model.query_embed(text)))) for text in given["texts"]],
            "stems": [stemmer.stem_word(word) for word in given["words"]],
        }
    )
)
