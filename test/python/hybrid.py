"""The three outputs of a model in BGE-M3's layout: `hybrid.py FOLDER OUT.safetensors`, {"texts"} on stdin.

Saves a tiny random XLM-RoBERTa there, and computes what its files say one text at a time.
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

torch.manual_seed(11)
torch.set_num_threads(1)
folder, out = sys.argv[1:3]
texts = json.load(sys.stdin)["texts"]
special = ["<s>", "<pad>", "</s>", "<unk>"]
tokens = Tokenizer(models.Unigram())
tokens.pre_tokenizer = pre_tokenizers.Metaspace()
trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
tokens.train_from_iterator(texts[:-2], trainer)
tokens.post_processor = processors.TemplateProcessing(
    single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
)
fast = PreTrainedTokenizerFast(
    tokenizer_object=tokens, bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>", model_max_length=40
)
fast.save_pretrained(folder)
size, tall = 16, 10
config = XLMRobertaConfig(
    vocab_size=len(fast), hidden_size=size, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=42, type_vocab_size=1,
    initializer_range=0.4, pad_token_id=1, bos_token_id=0, eos_token_id=2,
)
config.architectures = ["XLMRobertaModel"]
config.save_pretrained(folder)
model = XLMRobertaModel(config).eval()
torch.save(model.state_dict(), os.path.join(folder, "pytorch_model.bin"))
sparse, multi = torch.nn.Linear(size, 1), torch.nn.Linear(size, tall)
torch.save(sparse.state_dict(), os.path.join(folder, "sparse_linear.pt"))
torch.save(multi.state_dict(), os.path.join(folder, "colbert_linear.pt"))


def write(name, value):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump(value, file)


kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
write("modules.json", [{"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.models.{k}"} for i, (p, k) in enumerate(kinds)])
write("1_Pooling/config.json", {"word_embedding_dimension": size, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
write("sentence_bert_config.json", {"max_seq_length": 40, "do_lower_case": False})

tensors = {}
with torch.no_grad():
    for i, text in enumerate(texts):
        ids = fast(text, truncation=True, max_length=40, return_tensors="pt")["input_ids"]
        states = model(input_ids=ids).last_hidden_state[0]
        tensors[f"{i}.dense"] = states[0] / states[0].norm()
        vectors = multi(states[1:])
        tensors[f"{i}.multi"] = (vectors / vectors.norm(dim=1, keepdim=True)).contiguous()
        row = torch.zeros(len(fast))
        for token, weight in zip(ids[0].tolist(), torch.relu(sparse(states))[:, 0].tolist()):
            if token not in (0, 1, 2, 3):
                row[token] = max(row[token].item(), weight)
        tensors[f"{i}.sparse"] = row
save_file(tensors, out)
print(json.dumps({"unknown": fast(texts[-1]).input_ids.count(3)}))
