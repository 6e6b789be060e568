"""Late interaction as sentence-transformers and fastembed run it: `multi.py FOLDER OUT.safetensors`, {"texts", "query"} on stdin.

Saves a tiny model as PyLate does; prints its folder by name.
"""
import json
import os
import string
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
from fastembed.postprocess.muvera import Muvera
from safetensors.torch import save_file
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
save_file(tensors, out)
print(json.dumps(names))
