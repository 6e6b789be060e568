"""LoRA adapters that peft writes, with what the tuned models answer: `adapters.py FOLDER` prints a manifest.

Each case is a folder with `base`, `adapter`, `cases.safetensors` (`in.NAME`, `out.NAME`). Prints `null` without peft.
"""
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
try:
    import peft
    import torch
    import transformers
    from safetensors.torch import save_file
except ImportError:
    print("null")
    sys.exit()

transformers.logging.set_verbosity_error()
folder = Path(sys.argv[1])
SIZES = dict(vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
             max_position_embeddings=40)


def llama():
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))


def bert():
    return transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES, num_labels=3))


def features():
    return transformers.BertModel(transformers.BertConfig(**SIZES), add_pooling_layer=False)


CASES = [
    ("llama", llama, dict(task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"]), torch.float32, True),
    ("llama-half", llama, dict(task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules="all-linear"), torch.bfloat16, True),
    ("ranks", llama, dict(task_type="CAUSAL_LM", r=4, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "k_proj"],
                          rank_pattern={"k_proj": 2, "model.layers.1.self_attn.q_proj": 3}, alpha_pattern={"k_proj": 9}), torch.float32, True),
    ("classes", bert, dict(task_type="SEQ_CLS", r=3, target_modules=["query", "value"]), torch.float32, True),
    ("words", features, dict(task_type="FEATURE_EXTRACTION", r=3, target_modules=["word_embeddings", "dense"]), torch.float32, False),
]

manifest = []
for name, make, config, dtype, inputs in CASES:
    torch.manual_seed(len(name))
    base = make().eval().to(dtype)
    target = folder / name
    base.save_pretrained(target / "base")
    tuned = peft.get_peft_model(base, peft.LoraConfig(**config), autocast_adapter_dtype=False).eval()
    with torch.no_grad():
        for key, parameter in tuned.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn_like(parameter) * 0.3)
    tuned.save_pretrained(target / "adapter")
    if dtype != torch.float32:
        base = type(base).from_pretrained(target / "base", dtype=torch.float32).eval()
        tuned = peft.PeftModel.from_pretrained(base, target / "adapter").eval().float()
    ids = torch.randint(1, 61, (2, 6))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if "Bert" in type(base).__name__:
        given["token_type_ids"] = torch.zeros_like(ids)
    with torch.no_grad():
        answer = tuned(**given)
    key = "logits" if hasattr(answer, "logits") else "last_hidden_state"
    save_file({**{f"in.{k}": v for k, v in given.items()}, f"out.{key}": answer[key].contiguous()}, target / "cases.safetensors")
    manifest.append({"name": name, "output": key, "inputs": inputs})
print(json.dumps(manifest))
