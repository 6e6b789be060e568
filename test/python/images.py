"""Images as transformers prepares and embeds them: `images.py FOLDER OUT.safetensors`. Saves tiny CLIP folders, prints their names."""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

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
text = CLIPTextConfig(vocab_size=20, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=8)
config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=6)
model = CLIPModel(config).eval()
names = {}
for name, options in {
    "clip": {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
    "padded": {"size": {"shortest_edge": 24}, "crop_size": {"height": 32, "width": 32}, "resample": 2},
    "square": {"size": {"height": 32, "width": 32}, "do_center_crop": False},
}.items():
    path = os.path.join(folder, name)
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
    names[name] = path
save_file(tensors, out)
print(json.dumps(names))
