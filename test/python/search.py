"""The nearest rows as numpy finds them: `search.py VECTORS.npy QUERIES.npy` prints [[row, score], ...] a query, cosine."""
import json
import sys

import numpy as np

rows, queries = (np.load(path).astype(np.float64) for path in sys.argv[1:3])
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
queries /= np.linalg.norm(queries, axis=1, keepdims=True)
scores = queries @ rows.T
best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
print(json.dumps([[[int(row), float(scores[q, row])] for row in best[q]] for q in range(len(queries))]))
