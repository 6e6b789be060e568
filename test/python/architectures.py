"""Small models of transformers with seeded random weights, as folders, and what they answer.

`architectures.py FOLDER [NAME...]` prints a manifest; `null` where transformers is not installed.
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
folder = Path(sys.argv[1])
wanted = set(sys.argv[2:])
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
    case("electra-classes", C("ElectraConfig", **BERT, id2label=LABELS), "ElectraForSequenceClassification",
         text_inputs(0, types=True), LOGITS),
]

manifest = []
for row in CASES:
    if wanted and row["name"] not in wanted:
        continue
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
    model = model.float()
    tensors = {}
    for index, inputs in enumerate(row["inputs"]):
        with torch.no_grad():
            answer = model(**inputs, **row["extra"])
        for key, value in inputs.items():
            tensors[f"{index}.in.{key}"] = value.contiguous()
        for key in row["outputs"]:
            value = answer
            for part in key.split("/")[-1].split("."):
                value = value[int(part)] if part.isdigit() else getattr(value, part)
            tensors[f"{index}.out.{key.split('/')[0]}"] = value.contiguous().clone()
    save_file(tensors, target / "cases.safetensors")
    manifest.append({"name": row["name"], "runs": len(row["inputs"])})
print(json.dumps(manifest))
