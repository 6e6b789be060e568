"""Images as transformers prepares and embeds them: `images.py FOLDER OUT.safetensors`. Saves tiny CLIP and SigLIP folders, prints their names.

The texts on stdin, {"texts"}, are embedded too: by configs with the end's id, and by one from before configs had it."""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from sentence_transformers import SentenceTransformer
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig, PreTrainedTokenizerFast, SiglipConfig, SiglipModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

torch.manual_seed(4)
torch.set_num_threads(1)
folder, out = sys.argv[1:3]
rng = np.random.default_rng(5)
tensors = {}
sizes = [(40, 64), (97, 50), (32, 32), (20, 90), (300, 201)]
for i, (height, width) in enumerate(sizes):
    # Smooth shapes and hard edges.
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([127 + 120 * np.sin(x / 7 + c) * np.cos(y / 5) for c in range(3)], axis=2)
    image[: height // 3, : width // 2] = rng.integers(0, 256, (height // 3, width // 2, 3))
    tensors[f"image.{i}"] = torch.from_numpy(np.clip(image, 0, 255).astype(np.uint8))
vision = CLIPVisionConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8, projection_dim=6)
texts = json.load(sys.stdin)["texts"]
# CLIP's byte-level BPE, whose last id is that of the end.
tokens = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
tokens.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
tokens.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(words), "removed", invert=True), pre_tokenizers.ByteLevel(False)])
alphabet = pre_tokenizers.ByteLevel.alphabet()
tokens.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False))
tokens.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
start, end = (tokens.token_to_id(word) for word in ("<|startoftext|>", "<|endoftext|>"))
tokens.post_processor = processors.RobertaProcessing(("<|endoftext|>", end), ("<|startoftext|>", start), trim_offsets=False, add_prefix_space=False)
fast = PreTrainedTokenizerFast(
    tokenizer_object=tokens, bos_token="<|startoftext|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>", unk_token="<|endoftext|>", model_max_length=24
)


def clip(eos):
    torch.manual_seed(4)
    text = CLIPTextConfig(
        vocab_size=end + 1, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=24,
        bos_token_id=start, eos_token_id=eos, pad_token_id=1,
    )
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=6)
    model = CLIPModel(config).eval()
    with torch.no_grad():
        model.text_model.embeddings.token_embedding.weight.mul_(20)  # texts that differ
    return model


names = {}
for name, options in {
    "clip": {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
    "padded": {"size": {"shortest_edge": 24}, "crop_size": {"height": 32, "width": 32}, "resample": 2},
    "square": {"size": {"height": 32, "width": 32}, "do_center_crop": False},
}.items():
    path = os.path.join(folder, name)
    model = clip(2 if name == "padded" else end)
    fast.save_pretrained(path)
    model.save_pretrained(path)
    processor = CLIPImageProcessorPil(**options)
    processor.save_pretrained(path)
    saved = json.load(open(os.path.join(path, "preprocessor_config.json")))
    saved["image_processor_type"] = "CLIPImageProcessor"
    json.dump(saved, open(os.path.join(path, "preprocessor_config.json"), "w"))
    with torch.no_grad():
        pixels = processor([Image.fromarray(tensors[f"image.{i}"].numpy()) for i in range(len(sizes))], return_tensors="pt")["pixel_values"]
        pooled = model.vision_model(pixel_values=pixels).pooler_output
        tensors[f"{name}.vectors"] = model.visual_projection(pooled).contiguous()
        tensors[f"{name}.pixels"] = pixels.contiguous()
        found = fast(texts, padding=True, truncation=True, max_length=24, return_tensors="pt")
        hidden = model.text_model(input_ids=found.input_ids, attention_mask=found.attention_mask).pooler_output
        tensors[f"{name}.texts"] = model.text_projection(hidden).contiguous()
    names[name] = path
path = names["siglip"] = os.path.join(folder, "siglip")
sizes_of = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2)
# SigLIP's kind of tokenizer: Unigram, lower case without punctuation, an end that is the padding as well.
pieces = Tokenizer(models.Unigram())
pieces.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(Regex(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]\^_`{|}~]"), ""), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])
pieces.pre_tokenizer = pre_tokenizers.Metaspace()
pieces.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=120, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False))
pieces.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
fill = PreTrainedTokenizerFast(tokenizer_object=pieces, eos_token="</s>", pad_token="</s>", unk_token="<unk>", model_max_length=16, model_input_names=["input_ids"])
text = dict(sizes_of, vocab_size=pieces.get_vocab_size(), max_position_embeddings=16, projection_size=16)
model = SiglipModel(SiglipConfig(text_config=text, vision_config=dict(sizes_of, image_size=32, patch_size=8))).eval()
model.save_pretrained(path)
fill.save_pretrained(path)
processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
processor.save_pretrained(path)
saved = json.load(open(os.path.join(path, "preprocessor_config.json")))
json.dump({**saved, "image_processor_type": "SiglipImageProcessor"}, open(os.path.join(path, "preprocessor_config.json"), "w"))
with torch.no_grad():
    pixels = processor([Image.fromarray(tensors[f"image.{i}"].numpy()) for i in range(len(sizes))], return_tensors="pt")["pixel_values"]
    tensors["siglip.pixels"] = pixels.contiguous()
    tensors["siglip.vectors"] = model.vision_model(pixel_values=pixels).pooler_output.contiguous()
    found = fill(texts, padding="max_length", truncation=True, return_tensors="pt")
    assert list(found) == ["input_ids"]
    tensors["siglip.texts"] = model.text_model(**found).pooler_output.contiguous()
# As sentence-transformers once wrote CLIP: a folder in the folder, with the tokenizer's old files alone.
path = names["sentence"] = os.path.join(folder, "sentence")
inner = os.path.join(path, "0_CLIPModel")
model = clip(end)
model.save_pretrained(inner)
state = json.loads(tokens.to_str())["model"]
vocab = {**state["vocab"], "<|startoftext|>": start, "<|endoftext|>": end}
json.dump(vocab, open(os.path.join(inner, "vocab.json"), "w"))
with open(os.path.join(inner, "merges.txt"), "w") as merges:
    merges.write("#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in state["merges"]))
CLIPTokenizer(vocab=vocab, merges=[tuple(pair) for pair in state["merges"]], model_max_length=24).save_pretrained(inner)
processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
processor.save_pretrained(inner)
saved = json.load(open(os.path.join(inner, "preprocessor_config.json")))
json.dump({**saved, "image_processor_type": "CLIPImageProcessor"}, open(os.path.join(inner, "preprocessor_config.json"), "w"))
kinds = [("0_CLIPModel", "CLIPModel"), ("1_Normalize", "Normalize")]
modules = [{"idx": i, "name": str(i), "path": where, "type": f"sentence_transformers.models.{kind}"} for i, (where, kind) in enumerate(kinds)]
json.dump(modules, open(os.path.join(path, "modules.json"), "w"))
model = SentenceTransformer(path, device="cpu")
pictures = [Image.fromarray(tensors[f"image.{i}"].numpy()) for i in range(len(sizes))]
tensors["sentence.vectors"] = torch.from_numpy(model.encode(pictures))
tensors["sentence.texts"] = torch.from_numpy(model.encode(texts))
tensors["sentence.pixels"] = processor(pictures, return_tensors="pt")["pixel_values"].contiguous()
os.remove(os.path.join(inner, "tokenizer.json"))
save_file(tensors, out)
print(json.dumps(names))
