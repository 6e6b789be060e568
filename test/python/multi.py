"""Late interaction as sentence-transformers and fastembed run it: `multi.py FOLDER OUT.safetensors`, {"texts", "query"} on stdin.

Saves a tiny model as PyLate does; prints its folder by name.
"""
import json
import os
import shutil
import string
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
from fastembed.postprocess.muvera import Muvera
from safetensors.torch import load_file, save_file
from scipy.cluster.hierarchy import fcluster, linkage
from sentence_transformers import MultiVectorEncoder
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

torch.manual_seed(4)
torch.set_num_threads(1)
folder, out = sys.argv[1:3]
given = json.load(sys.stdin)
texts, query = given["texts"], given["query"]
special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
tokens = Tokenizer(models.WordPiece(unk_token="[UNK]"))
tokens.normalizer = normalizers.BertNormalizer(lowercase=True)
tokens.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokens.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
tokens.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
)


def write(path, name, value):
    with open(os.path.join(path, name), "w") as file:
        json.dump(value, file)


def save(name, added):
    path = os.path.join(folder, name)
    os.makedirs(path)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokens, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]", model_max_length=64
    )
    fast.add_tokens(added)
    fast.save_pretrained(path)
    config = BertConfig(
        vocab_size=len(fast), hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=64, initializer_range=0.4
    )
    config.architectures = ["BertModel"]
    config.save_pretrained(path)
    weights = BertModel(config, add_pooling_layer=False).state_dict()
    weights = {key: value.contiguous() for key, value in weights.items() if "position_ids" not in key}
    save_file(weights, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
    return path


names = {}
pylate = names["pylate"] = save("pylate", ["[Q] ", "[D] "])
os.makedirs(os.path.join(pylate, "1_Dense"))
write(
    pylate,
    "modules.json",
    [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ],
)
write(
    pylate,
    "config_sentence_transformers.json",
    {
        "model_type": "ColBERT", "query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 20, "document_length": 30,
        "attend_to_expansion_tokens": True, "skiplist_words": list(string.punctuation), "do_query_expansion": True,
        "similarity_fn_name": "MaxSim", "prompts": {}, "default_prompt_name": None,
    },
)
write(pylate, "sentence_bert_config.json", {"max_seq_length": 60, "do_lower_case": False})
write(
    os.path.join(pylate, "1_Dense"),
    "config.json",
    {"in_features": 16, "out_features": 6, "bias": False, "activation_function": "torch.nn.modules.linear.Identity"},
)
save_file({"linear.weight": torch.randn(6, 16)}, os.path.join(pylate, "1_Dense", "model.safetensors"))
# The same model as the original ColBERT saves it.
stanford = os.path.join(folder, "stanford")
shutil.copytree(pylate, stanford, ignore=shutil.ignore_patterns("modules.json", "1_Dense", "config_sentence*", "sentence_bert*", "model.safetensors"))
weights = {f"bert.{key}": value for key, value in load_file(os.path.join(pylate, "model.safetensors")).items()}
weights["linear.weight"] = load_file(os.path.join(pylate, "1_Dense", "model.safetensors"))["linear.weight"]
save_file(weights, os.path.join(stanford, "model.safetensors"))
with open(os.path.join(stanford, "config.json")) as file:
    config = json.load(file)
write(stanford, "config.json", {**config, "architectures": ["HF_ColBERT"]})
write(
    stanford,
    "artifact.metadata",
    {"query_token_id": "[Q] ", "doc_token_id": "[D] ", "query_maxlen": 20, "doc_maxlen": 30, "mask_punctuation": True, "attend_to_mask_tokens": True},
)
tensors = {}
for name, path in names.items():
    model = MultiVectorEncoder(path, device="cpu")
    asked = model.encode_query(query)
    found = model.encode_document(texts, batch_size=3)
    tensors[f"{name}.query"] = asked.contiguous()
    for i, vectors in enumerate(found):
        tensors[f"{name}.{i}"] = vectors.contiguous()
    tensors[f"{name}.scores"] = torch.stack([(asked @ vectors.T).max(dim=1).values.sum() for vectors in found])
reference = Muvera(6, k_sim=3, dim_proj=4, r_reps=5, random_seed=7)
tensors["muvera.planes"] = torch.from_numpy(np.stack([p.simhash_vectors for p in reference.simhash_projections]))
tensors["muvera.projections"] = torch.from_numpy(reference.dim_reduction_projections.astype(np.float64)).contiguous()
tensors["muvera.document"] = torch.from_numpy(reference.process_document(tensors["pylate.0"].numpy()))
tensors["muvera.query"] = torch.from_numpy(reference.process_query(tensors["pylate.query"].numpy()))
whole = tensors["pylate.0"].numpy()
behind = whole[1:]
labels = fcluster(linkage(behind, method="ward"), t=max(len(behind) // 3, 1), criterion="maxclust")
means = [behind[labels == label].mean(axis=0) for label in dict.fromkeys(labels)]
tensors["pooled"] = torch.from_numpy(np.stack([whole[0], *means]).astype(np.float32))
save_file(tensors, out)
print(json.dumps(names))
