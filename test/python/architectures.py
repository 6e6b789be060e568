"""Small models of transformers with seeded random weights, as folders, and what they answer.

`architectures.py FOLDER [NAME...]` prints a manifest; `null` where transformers is not installed. With `--fields EVERY`
before the folder the cases are the same models with one field of their config changed, each EVERYth of them.
Each case is a folder with the model and `cases.safetensors`: inputs as `I.in.NAME`, outputs as `I.out.NAME`.
"""
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
try:
    import torch
    import transformers
    from safetensors.torch import save_file
except ImportError:
    print("null")
    sys.exit()

transformers.logging.set_verbosity_error()
every = int(sys.argv[2]) if sys.argv[1] == "--fields" else 0
folder = Path(sys.argv[3 if every else 1])
wanted = set(sys.argv[4 if every else 2:])
VOCABULARY = 97
ENCODER = dict(vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
               max_position_embeddings=40)
LABELS = {0: "bad", 1: "fair", 2: "good"}


def tokens(rows, length, padded, left=False, pad=1, seed=0):
    generator = torch.Generator().manual_seed(seed + rows * 100 + length)
    ids = torch.randint(5, VOCABULARY, (rows, length), generator=generator)
    mask = torch.ones(rows, length, dtype=torch.long)
    for row in range(rows):
        gap = (row * 2) % (length - 1) if padded else 0
        if gap:
            where = slice(0, gap) if left else slice(length - gap, length)
            ids[row, where] = pad
            mask[row, where] = 0
    return {"input_ids": ids, "attention_mask": mask}


def text_inputs(pad=1, left=False, types=False):
    cases = [tokens(2, 7, True, left, pad), tokens(3, 5, True, left, pad), tokens(1, 11, False, left, pad)]
    if types:
        for case in cases:
            case["token_type_ids"] = (torch.arange(case["input_ids"].shape[1]) > 2).long().expand_as(case["input_ids"]).contiguous()
    return cases


def case(name, config, cls, inputs, outputs, dtype=torch.float32, save=None, extra=None, edit=None):
    """One case: the model is made, saved, and run in float32 on the weights that were saved."""
    return dict(name=name, config=config, cls=cls, inputs=inputs, outputs=outputs, dtype=dtype, save=save or {}, edit=edit,
                extra=extra or {})


def C(name, **fields):
    return lambda: getattr(transformers, name)(**fields)


def images(channels, height=16, width=16):
    generator = torch.Generator().manual_seed(7)
    return [{"pixel_values": torch.randn(rows, channels, height, width, generator=generator)} for rows in (2, 1, 3)]


def end_marked(cases):
    for inputs in cases:
        for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"]):
            ids[int(mask.sum()) - 1] = VOCABULARY - 1
    return cases


def clip_inputs():
    return [dict(text, **image) for text, image in zip(end_marked(text_inputs()), images(3)[::-1])]


IMAGE = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=16, patch_size=4)
CLIP_TEXT = dict(ENCODER, pad_token_id=1, eos_token_id=VOCABULARY - 1, hidden_size=30)
DISTIL = dict(vocab_size=VOCABULARY, dim=24, n_layers=2, n_heads=3, hidden_dim=40, max_position_embeddings=40)
def cached_inputs(key_heads, width):
    """Rows of which the first tokens are in the cache already; one has padding on the left."""
    cases = []
    for past, fresh in [(4, 3), (6, 1), (0, 5)]:
        inputs = tokens(2, past + fresh, past > 2, left=True, pad=0)
        positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        generator = torch.Generator().manual_seed(past)
        cache = {f"past_key_values.{layer}.{kind}": torch.randn(2, key_heads, past, width, generator=generator)
                 for layer in range(2) for kind in ("key", "value")}
        cases.append({"input_ids": inputs["input_ids"][:, past:], "attention_mask": inputs["attention_mask"],
                      "position_ids": positions[:, past:], **cache})
    return cases


def with_cache(inputs):
    """Arguments of transformers for inputs with names of ours."""
    past = {key: value for key, value in inputs.items() if key.startswith("past_key_values.")}
    if not past:
        return inputs
    cache = transformers.DynamicCache()
    for layer in range(len(past) // 2):
        cache.update(past[f"past_key_values.{layer}.key"], past[f"past_key_values.{layer}.value"], layer)
    return {**{key: value for key, value in inputs.items() if key not in past}, "past_key_values": cache, "use_cache": True}


DECODER = dict(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
               intermediate_size=40, max_position_embeddings=64)
ROPES = [dict(rope_type="linear", factor=3.0),
         dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=24),
         dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=24)]
MODERN = dict(vocab_size=VOCABULARY, hidden_size=24, num_attention_heads=3, intermediate_size=40, max_position_embeddings=64,
              pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)
CACHE = [f"present.{layer}.{kind}" for layer in range(2) for kind in ("key", "value")]
STATES = ["last_hidden_state"]
POOLED = ["last_hidden_state", "pooler_output"]
LOGITS = ["logits"]
BERT = dict(ENCODER, type_vocab_size=2)
ROBERTA = dict(ENCODER, type_vocab_size=1, pad_token_id=1)
CASES = [
    case("bert", C("BertConfig", **BERT, hidden_act="gelu_new"), "BertModel", text_inputs(0, types=True), POOLED),
    case("bert-mlm", C("BertConfig", **BERT), "BertForMaskedLM", text_inputs(0, types=True), LOGITS),
    case("bert-untied", C("BertConfig", **BERT, tie_word_embeddings=False, layer_norm_eps=1e-3), "BertForMaskedLM",
         text_inputs(0, types=True), LOGITS),
    case("bert-classes", C("BertConfig", **BERT, id2label=LABELS), "BertForSequenceClassification",
         text_inputs(0, types=True), LOGITS),
    case("bert-tags", C("BertConfig", **BERT, id2label=LABELS), "BertForTokenClassification",
         text_inputs(0, types=True), LOGITS),
    case("bert-answers", C("BertConfig", **BERT), "BertForQuestionAnswering", text_inputs(0, types=True),
         ["start_logits", "end_logits"]),
    case("bert-f16", C("BertConfig", **BERT), "BertModel", text_inputs(0, types=True), POOLED, dtype=torch.float16),
    case("bert-bf16", C("BertConfig", **BERT), "BertModel", text_inputs(0, types=True), POOLED, dtype=torch.bfloat16),
    case("bert-shards", C("BertConfig", **BERT), "BertModel", text_inputs(0, types=True), POOLED,
         save={"max_shard_size": "20KB"}),
    case("bert-bin", C("BertConfig", **BERT), "BertForMaskedLM", text_inputs(0, types=True), LOGITS, save="bin"),
    case("roberta", C("RobertaConfig", **ROBERTA), "RobertaModel", text_inputs(), POOLED),
    case("roberta-mlm", C("RobertaConfig", **ROBERTA), "RobertaForMaskedLM", text_inputs(), LOGITS),
    case("roberta-classes", C("RobertaConfig", **ROBERTA, num_labels=1), "RobertaForSequenceClassification", text_inputs(), LOGITS),
    case("xlm-roberta", C("XLMRobertaConfig", **ROBERTA), "XLMRobertaModel", text_inputs(), POOLED),
    case("camembert", C("CamembertConfig", **ROBERTA), "CamembertModel", text_inputs(), POOLED),
    case("data2vec-text", C("Data2VecTextConfig", **ROBERTA), "Data2VecTextModel", text_inputs(), POOLED),
    case("electra", C("ElectraConfig", **BERT, embedding_size=16), "ElectraModel", text_inputs(0, types=True), STATES),
    case("electra-mlm", C("ElectraConfig", **BERT, embedding_size=16), "ElectraForMaskedLM", text_inputs(0, types=True), LOGITS),
    case("distilbert", C("DistilBertConfig", **DISTIL), "DistilBertModel", text_inputs(0), STATES),
    case("distilbert-mlm", C("DistilBertConfig", **DISTIL), "DistilBertForMaskedLM", text_inputs(0), LOGITS),
    case("distilbert-classes", C("DistilBertConfig", **DISTIL), "DistilBertForSequenceClassification", text_inputs(0), LOGITS),
    case("mpnet", C("MPNetConfig", **dict(ENCODER, max_position_embeddings=220)), "MPNetModel",
         [*text_inputs(), tokens(2, 200, True)], POOLED),
    case("mpnet-mlm", C("MPNetConfig", **ENCODER), "MPNetForMaskedLM", text_inputs(), LOGITS),
    case("mpnet-classes", C("MPNetConfig", **ENCODER), "MPNetForSequenceClassification", text_inputs(), LOGITS),
    case("vit", C("ViTConfig", **IMAGE), "ViTModel", images(3), POOLED),
    case("vit-wide", C("ViTConfig", **dict(IMAGE, image_size=[12, 20], patch_size=[4, 5], qkv_bias=False)), "ViTForImageClassification",
         images(3, 12, 20), LOGITS),
    case("clip", lambda: transformers.CLIPConfig(text_config=CLIP_TEXT, vision_config=dict(IMAGE, patch_size=5), projection_dim=14),
         "CLIPModel", clip_inputs(), ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]),
    case("clip-old", lambda: transformers.CLIPConfig(text_config=dict(CLIP_TEXT, eos_token_id=2), vision_config=IMAGE),
         "CLIPModel", clip_inputs(), ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]),
    case("clip-text", C("CLIPTextConfig", **CLIP_TEXT), "CLIPTextModelWithProjection", end_marked(text_inputs()),
         ["text_embeds", "last_hidden_state"]),
    case("clip-text-bare", C("CLIPTextConfig", **CLIP_TEXT), "CLIPTextModel", end_marked(text_inputs()), POOLED),
    case("clip-vision", C("CLIPVisionConfig", **IMAGE), "CLIPVisionModelWithProjection", images(3),
         ["image_embeds", "last_hidden_state"]),
    case("siglip-vision", C("SiglipVisionConfig", **IMAGE), "SiglipVisionModel", images(3), POOLED),
    case("modernbert", C("ModernBertConfig", **MODERN, num_hidden_layers=4, local_attention=6), "ModernBertModel", text_inputs(0), STATES),
    case("modernbert-mlm", C("ModernBertConfig", **MODERN, num_hidden_layers=2, norm_bias=True, attention_bias=True, mlp_bias=True), "ModernBertForMaskedLM",
         text_inputs(0), LOGITS),
    case("modernbert-mean", C("ModernBertConfig", **MODERN, num_hidden_layers=2, classifier_pooling="mean", id2label=LABELS),
         "ModernBertForSequenceClassification", text_inputs(0), LOGITS),
    case("modernbert-tags", C("ModernBertConfig", **MODERN, num_hidden_layers=2), "ModernBertForTokenClassification",
         text_inputs(0), LOGITS),
    case("nomic", C("NomicBertConfig", **BERT), "NomicBertModel", text_inputs(0, types=True), STATES),
    case("nomic-mlm", C("NomicBertConfig", **BERT), "NomicBertForMaskedLM", text_inputs(0, types=True), LOGITS),
    case("nomic-classes", C("NomicBertConfig", **BERT), "NomicBertForSequenceClassification", text_inputs(0, types=True), LOGITS),
    case("llama", C("LlamaConfig", **DECODER), "LlamaModel", text_inputs(0, left=True), STATES),
    case("llama-lm", C("LlamaConfig", **DECODER, attention_bias=True, mlp_bias=True, head_dim=10), "LlamaForCausalLM", text_inputs(0), LOGITS),
    case("llama-classes", C("LlamaConfig", **DECODER, pad_token_id=0, id2label=LABELS), "LlamaForSequenceClassification",
         text_inputs(0), LOGITS),
    case("llama-tags", C("LlamaConfig", **DECODER, id2label=LABELS), "LlamaForTokenClassification", text_inputs(0), LOGITS),
    *[case(f"llama-{rope['rope_type']}", C("LlamaConfig", **DECODER, rope_parameters=dict(rope, rope_theta=500.0)), "LlamaModel",
           text_inputs(0), STATES) for rope in ROPES],
    case("llama-old", C("LlamaConfig", **DECODER, rope_parameters=dict(ROPES[0], rope_theta=500.0)), "LlamaModel", text_inputs(0),
         STATES, edit=lambda config: config.update(rope_theta=config["rope_parameters"]["rope_theta"],
                                                   rope_scaling={"type": "linear", "factor": config.pop("rope_parameters")["factor"]})),
    case("llama-bf16", C("LlamaConfig", **DECODER), "LlamaForCausalLM", text_inputs(0), LOGITS, dtype=torch.bfloat16),
    case("llama-cache", C("LlamaConfig", **DECODER), "LlamaForCausalLM", cached_inputs(2, 8), LOGITS + CACHE),
    case("mistral", C("MistralConfig", **DECODER, sliding_window=4), "MistralModel", text_inputs(0), STATES),
    case("mistral-wide", C("MistralConfig", **DECODER, sliding_window=None), "MistralModel", text_inputs(0), STATES),
    case("qwen2", C("Qwen2Config", **DECODER, use_sliding_window=True, sliding_window=3, max_window_layers=1), "Qwen2Model",
         text_inputs(0), STATES),
    case("qwen2-lm", C("Qwen2Config", **DECODER, tie_word_embeddings=True), "Qwen2ForCausalLM", text_inputs(0), LOGITS),
    case("qwen3", C("Qwen3Config", **DECODER, head_dim=12), "Qwen3Model", text_inputs(0, left=True), STATES),
    case("qwen3-cache", C("Qwen3Config", **DECODER, head_dim=12), "Qwen3ForCausalLM", cached_inputs(2, 12), LOGITS + CACHE),
    case("gemma", C("GemmaConfig", **DECODER, head_dim=12), "GemmaForCausalLM", text_inputs(0), LOGITS),
    case("gemma2", C("Gemma2Config", **DECODER, head_dim=12, sliding_window=4, query_pre_attn_scalar=20, attn_implementation="eager"),
         "Gemma2ForCausalLM", text_inputs(0), LOGITS),
    case("gemma3", C("Gemma3TextConfig", **dict(DECODER, num_hidden_layers=3), head_dim=12, sliding_window=4, sliding_window_pattern=3), "Gemma3ForCausalLM",
         text_inputs(0), LOGITS),
    case("gemma-embedding", C("Gemma3TextConfig", **DECODER, head_dim=12, sliding_window=6, use_bidirectional_attention=True,
                              layer_types=["sliding_attention", "full_attention"]), "Gemma3TextModel", text_inputs(0), STATES),
    case("electra-classes", C("ElectraConfig", **BERT, id2label=LABELS), "ElectraForSequenceClassification",
         text_inputs(0, types=True), LOGITS),
]

def prepare(row):
    """Makes the model of a case, saves it and its answers."""
    torch.manual_seed(len(row["name"]))
    model = getattr(transformers, row["cls"])._from_config(row["config"]()).eval()
    with torch.no_grad():
        # Initial weights leave norms, biases and padding rows at 0 and 1, where mistakes cannot be seen.
        for parameter in {id(p): p for p in model.parameters()}.values():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    target = folder / row["name"]
    model = model.to(row["dtype"])
    if row["save"] == "bin":
        model.config.architectures = [row["cls"]]
        target.mkdir()
        model.config.save_pretrained(target)
        torch.save(model.state_dict(), target / "pytorch_model.bin")
    else:
        model.save_pretrained(target, **row["save"])
    if row["edit"]:
        config = json.loads((target / "config.json").read_text())
        row["edit"](config)
        (target / "config.json").write_text(json.dumps(config))
    if row["dtype"] != torch.float32:
        model = getattr(transformers, row["cls"]).from_pretrained(target, dtype=torch.float32).eval()
    tensors = {}
    for index, inputs in enumerate(row["inputs"]):
        with torch.no_grad():
            answer = model(**with_cache(inputs), **row["extra"])
        for key, value in inputs.items():
            tensors[f"{index}.in.{key}"] = value.contiguous()
        for key in row["outputs"]:
            if key.startswith("present."):
                _, layer, kind = key.split(".")
                value = getattr(answer.past_key_values.layers[int(layer)], {"key": "keys", "value": "values"}[kind])
            else:
                value = getattr(answer, key)
            tensors[f"{index}.out.{key}"] = value.contiguous().clone()
    save_file(tensors, target / "cases.safetensors")


# What only training, generation, saving or the choice of a kernel looks at; `vocab_size` is asked for by every input.
BESIDE = {"vocab_size", "model_type", "transformers_version", "architectures", "dtype", "_name_or_path", "id2label", "label2id",
          "problem_type", "return_dict", "output_hidden_states", "output_attentions", "is_encoder_decoder", "attn_implementation",
          "_attn_implementation", "chunk_size_feed_forward", "use_cache", "initializer_range", "num_labels"}


def other_values(key, value):
    """Values to try in place of one."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, float):
        return [value * 3 + 0.01]
    if isinstance(value, int):
        return [value + 1, value * 2, value + 3]
    if isinstance(value, str) and "act" in key:
        return ["relu", "quick_gelu"]
    return []


def changed_fields():
    """Cases with one field changed, of the first case of every class of model."""
    seen = set()
    for row in CASES:
        kind = (row["cls"], row["name"].startswith("bert-untied"))
        if kind in seen or row["dtype"] != torch.float32 or row["edit"] or row["save"] or "cache" in row["name"]:
            continue
        seen.add(kind)
        base = row["config"]()
        for key, value in base.to_dict().items():
            if key in BESIDE or "dropout" in key:
                continue
            for other in other_values(key, value):
                def config(make=row["config"], key=key, other=other):
                    made = make()
                    return type(made).from_dict({**made.to_dict(), key: other})
                yield dict(row, name=f"{row['name']}~{key}={other}", config=config)


manifest = []
chosen = list(changed_fields())[::every] if every else CASES
for row in chosen:
    if wanted and row["name"].split("~")[0] not in wanted:
        continue
    try:
        prepare(row)
    except Exception:
        # A value that transformers itself does not take, or inputs do not fit.
        if not every:
            raise
        continue
    manifest.append({"name": row["name"], "runs": len(row["inputs"])})
print(json.dumps(manifest))
