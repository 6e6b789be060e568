"""Exports models of torchvision, timm and transformers with random weights and a free batch, one after the other.

usage: torch_coverage.py FOLDER [NAME ...]   writes NAME.pt2, NAME.in<k>.npy, NAME.out<k>.npy, NAME.json
"""

import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy  # noqa: E402
import torch  # noqa: E402

VISION = """alexnet vgg11 vgg16_bn squeezenet1_0 shufflenet_v2_x0_5 efficientnet_b0 efficientnet_v2_s mnasnet0_5
regnet_x_400mf regnet_y_800mf convnext_tiny swin_t swin_v2_t maxvit_t mobilenet_v2 resnet18 resnet50 densenet169""".split()
SEGMENTATION = ["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large", "fcn_resnet50"]
VIDEO = ["mc3_18", "swin3d_t"]
TIMM = """mobilevit_s coatnet_0_rw_224 poolformer_s12 levit_128s pit_ti_224 resnest14d hrnet_w18_small dla34 gernet_s
eca_nfnet_l0 efficientformer_l1 mixer_s32_224 resmlp_12_224 deit_tiny_patch16_224 beit_base_patch16_224 tf_efficientnet_lite0
rexnet_100 ghostnetv2_100 hardcorenas_a lcnet_050 selecsls42 skresnet18 visformer_tiny cait_xxs24_224 convmixer_768_32
sequencer2d_s swinv2_tiny_window8_256 vit_tiny_patch16_224 volo_d1_224 tnt_s_patch16_224""".split()
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 99}
DECODER = {**SMALL, "num_key_value_heads": 2, "max_position_embeddings": 64, "head_dim": 8}
TEXT = {
    "Albert": {**SMALL, "embedding_size": 16},
    "Electra": {**SMALL, "embedding_size": 16},
    "MPNet": SMALL,
    "Roberta": SMALL,
    "XLMRoberta": SMALL,
    "MobileBert": {**SMALL, "embedding_size": 32},
    "SqueezeBert": {**SMALL, "embedding_size": 32, "q_groups": 2, "k_groups": 2, "v_groups": 2, "post_attention_groups": 1},
    "DebertaV2": {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "Nezha": SMALL,
    "FNet": SMALL,
    "ConvBert": {**SMALL, "embedding_size": 16, "conv_kernel_size": 3},
    "ModernBert": {**SMALL, "pad_token_id": 0},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99},
    "GPTNeoX": SMALL,
    "OPT": {**SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "Phi": DECODER,
    "Llama": DECODER,
    "Mistral": DECODER,
    "Gemma2": DECODER,
    "StableLm": DECODER,
    "XGLM": {"d_model": 32, "ffn_dim": 64, "num_layers": 2, "attention_heads": 4, "vocab_size": 99},
}
IMAGE = {
    "ViT": {**SMALL, "image_size": 32, "patch_size": 8},
    "DeiT": {**SMALL, "image_size": 32, "patch_size": 8},
    "Dinov2": {**SMALL, "image_size": 32, "patch_size": 8},
    "Beit": {**SMALL, "image_size": 32, "patch_size": 8},
    "ConvNextV2": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "Segformer": {},
    "Siglip": None,
}


def text_model(name, config):
    import transformers

    kind = getattr(transformers, f"{name}Config")(**config)
    model = getattr(transformers, f"{name}Model")(kind)
    model.config.use_cache = False
    model.config.return_dict = True
    ids = torch.randint(3, 90, (2, 11))
    return model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def image_model(name, config):
    import transformers

    if name == "Siglip":
        kind = transformers.SiglipVisionConfig(**SMALL, image_size=32, patch_size=8)
        return transformers.SiglipVisionModel(kind), {"pixel_values": torch.randn(2, 3, 32, 32)}
    kind = getattr(transformers, f"{name}Config")(**config)
    size = getattr(kind, "image_size", 64) or 64
    size = 64 if name in ("ConvNextV2", "Segformer") else size
    return getattr(transformers, f"{name}Model")(kind), {"pixel_values": torch.randn(2, 3, size, size)}


def makers():
    import timm
    import torchvision

    for name in VISION:
        yield f"torchvision/{name}", lambda n=name: (getattr(torchvision.models, n)(weights=None), (torch.randn(2, 3, 224, 224),))
    for name in SEGMENTATION:
        make = getattr(torchvision.models.segmentation, name)
        yield f"torchvision/{name}", lambda m=make: (m(weights=None, weights_backbone=None), (torch.randn(2, 3, 96, 96),))
    for name in VIDEO:
        make = getattr(torchvision.models.video, name)
        yield f"torchvision/{name}", lambda m=make: (m(weights=None), (torch.randn(2, 3, 8, 64, 64),))
    for name in TIMM:
        def made(n=name):
            model = timm.create_model(n, pretrained=False)
            return model, (torch.randn(2, *model.default_cfg["input_size"]),)
        yield f"timm/{name}", made
    for name, config in TEXT.items():
        yield f"transformers/{name}", lambda n=name, c=config: text_model(n, c)
    for name, config in IMAGE.items():
        yield f"transformers/{name}", lambda n=name, c=config: image_model(n, c)


def main(folder, wanted):
    torch.set_num_threads(1)
    for name, make in makers():
        if wanted and name not in wanted:
            continue
        path = os.path.join(folder, name.replace("/", "__"))
        note = {"name": name}
        try:
            torch.manual_seed(1)
            model, inputs = make()
            model.eval()
            args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
            free = {0: torch.export.Dim.AUTO}
            dims = {key: free for key in kwargs} if kwargs else None
            if args:
                dims = tuple(free for _ in args)
            with torch.no_grad():
                leaves = torch.utils._pytree.tree_leaves(model(*args, **kwargs))
                program = torch.export.export(model, args, kwargs, dynamic_shapes=dims, strict=False)
            torch.export.save(program, f"{path}.pt2")
            given = list(args) + list(kwargs.values())
            expected = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
            for kind, tensors in (("in", given), ("out", expected)):
                for k, tensor in enumerate(tensors):
                    numpy.save(f"{path}.{kind}{k}.npy", tensor.detach().contiguous().numpy())
        except Exception as error:
            note["error"] = f"{type(error).__name__}: {error}"[:300]
        json.dump(note, open(f"{path}.json", "w"))
        print(name, note.get("error", ""), flush=True)


main(sys.argv[1], sys.argv[2:])
