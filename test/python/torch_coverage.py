"""Exports models of torchvision, timm and transformers with random weights and free sizes, one after the other.

usage: torch_coverage.py FOLDER [NAME ...]   writes NAME.pt2, NAME.json and two cases, of which the second has another
batch size (and length): NAME.in<k>.npy, NAME.out<k>.npy, NAME.case2.in<k>.npy, NAME.case2.out<k>.npy
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
SEQ2SEQ = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
           "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "vocab_size": 99, "max_position_embeddings": 64}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 99}
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
    # The second round.
    "Bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99},
    "Falcon": {**SMALL, "num_kv_heads": 2, "new_decoder_architecture": True},
    "GPTNeo": {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "vocab_size": 99, "attention_types": [[["global", "local"], 1]], "window_size": 4},
    "GPTJ": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "vocab_size": 99},
    "CodeGen": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "vocab_size": 99},
    "Phi3": {**DECODER, "pad_token_id": 0},
    "Cohere": DECODER,
    "Granite": DECODER,
    "Starcoder2": DECODER,
    "SmolLM3": DECODER,
    "Qwen2Moe": {**DECODER, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
    "Mixtral": {**DECODER, "num_local_experts": 4},
    "Mamba": {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99, "state_size": 4},
    "Deberta": {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "Longformer": {**SMALL, "attention_window": 4},
    "BigBird": {**SMALL, "attention_type": "original_full"},
    "Funnel": {"d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64, "block_sizes": [1, 1], "vocab_size": 99},
    "Ibert": SMALL,
    "RemBert": {**SMALL, "input_embedding_size": 16},
    "Esm": {**SMALL, "pad_token_id": 1, "mask_token_id": 2, "position_embedding_type": "rotary"},
    "LayoutLM": SMALL,
    "Luke": {**SMALL, "entity_vocab_size": 10, "entity_emb_size": 8},
    "Flaubert": {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "n_words": 99},
    "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "vocab_size": 99},
    "Bart": SEQ2SEQ,
    "MBart": SEQ2SEQ,
    "Pegasus": SEQ2SEQ,
    "T5": T5,
    "MT5": T5,
    "ClipText": None,
}
IMAGE = {
    "ViT": {**SMALL, "image_size": 32, "patch_size": 8},
    "DeiT": {**SMALL, "image_size": 32, "patch_size": 8},
    "Dinov2": {**SMALL, "image_size": 32, "patch_size": 8},
    "Beit": {**SMALL, "image_size": 32, "patch_size": 8},
    "ConvNextV2": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "Segformer": {},
    "Siglip": None,
    # The second round.
    "Swin": {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
    "Swinv2": {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
    "ConvNext": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "RegNet": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "groups_width": 8, "embedding_size": 8},
    "ResNet": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "embedding_size": 8},
    "MobileViT": {"image_size": 64, "hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 32]},
    "MobileNetV2": {"image_size": 64, "depth_multiplier": 0.25},
    "Dinov2WithRegisters": {**SMALL, "image_size": 32, "patch_size": 8},
    "Ijepa": {**SMALL, "image_size": 32, "patch_size": 8},
    "Pvt": {"image_size": 64, "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 4, 4]},
    "Levit": {"image_size": 64, "hidden_sizes": [16, 32, 48], "num_attention_heads": [2, 4, 6], "depths": [1, 1, 1], "key_dim": [8, 8, 8]},
    "SamVision": None,
    "ViTMSN": {**SMALL, "image_size": 32, "patch_size": 8},
    "Hiera": {"image_size": [64, 64], "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8]},
}
CONVOLUTIONS = {"conv_dim": [16, 16, 16], "conv_kernel": [10, 3, 3], "conv_stride": [5, 2, 2], "num_conv_pos_embeddings": 16,
                "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 3}
AUDIO = {
    "Wav2Vec2": {**SMALL, **CONVOLUTIONS},
    "Hubert": {**SMALL, **CONVOLUTIONS},
    "WavLM": {**SMALL, **CONVOLUTIONS},
    "SEW": {**SMALL, **CONVOLUTIONS},
    "Data2VecAudio": {**SMALL, **CONVOLUTIONS, "num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 3},
    "UniSpeech": {**SMALL, **CONVOLUTIONS},
    "ASTs": None,
    "WhisperEncoder": None,
    "ClapAudio": None,
}


def text_model(name, config):
    import transformers

    ids = torch.randint(3, 90, (2, 11))
    if name == "ClipText":
        model = transformers.CLIPTextModel(transformers.CLIPTextConfig(**SMALL, eos_token_id=98, max_position_embeddings=64))
        return model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    kind = getattr(transformers, f"{name}Config")(**config)
    model = getattr(transformers, f"{name}Model")(kind)
    model.config.use_cache = False
    model.config.return_dict = True
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if config is SEQ2SEQ or config is T5:
        inputs["decoder_input_ids"] = torch.randint(3, 90, (2, 7))
    return model, inputs


def image_model(name, config):
    import transformers

    if name == "Siglip":
        kind = transformers.SiglipVisionConfig(**SMALL, image_size=32, patch_size=8)
        return transformers.SiglipVisionModel(kind), {"pixel_values": torch.randn(2, 3, 32, 32)}
    if name == "SamVision":
        kind = transformers.SamVisionConfig(**SMALL, mlp_dim=64, image_size=64, patch_size=8, output_channels=16, window_size=4, global_attn_indexes=[1])
        return transformers.SamVisionModel(kind), {"pixel_values": torch.randn(2, 3, 64, 64)}
    kind = getattr(transformers, f"{name}Config")(**config)
    size = getattr(kind, "image_size", 64) or 64
    size = size[0] if isinstance(size, (list, tuple)) else size
    size = 64 if name in ("ConvNext", "ConvNextV2", "Segformer", "RegNet", "ResNet") else size
    return getattr(transformers, f"{name}Model")(kind), {"pixel_values": torch.randn(2, 3, size, size)}


def audio_model(name, config):
    import transformers

    if name == "WhisperEncoder":
        kind = transformers.WhisperConfig(**{**SEQ2SEQ, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}, num_mel_bins=16, max_source_positions=50)
        return transformers.WhisperModel(kind).encoder, {"input_features": torch.randn(2, 16, 100)}
    if name == "ASTs":
        kind = transformers.ASTConfig(**SMALL, max_length=64, num_mel_bins=32)
        return transformers.ASTModel(kind), {"input_values": torch.randn(2, 64, 32)}
    if name == "ClapAudio":
        kind = transformers.ClapAudioConfig(window_size=4, num_mel_bins=32, spec_size=64, patch_size=4, patch_stride=[4, 4], depths=[1, 1], num_attention_heads=[2, 4], hidden_size=32, patch_embeds_hidden_size=16, projection_dim=16)
        return transformers.ClapAudioModel(kind), {"input_features": torch.randn(2, 1, 128, 32)}
    kind = getattr(transformers, f"{name}Config")(**config)
    return getattr(transformers, f"{name}Model")(kind), {"input_values": torch.randn(2, 2000)}


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
    for name, config in AUDIO.items():
        yield f"transformers/{name}", lambda n=name, c=config: audio_model(n, c)


def is_free(size):
    return isinstance(size, torch.SymInt) and size.node.maybe_as_int() is None


def other(tensor, sizes):
    """Another input of the same kind, with the sizes that are free changed."""
    length = 2600 if tensor.dtype == torch.float32 else 9
    shape = [(length if axis == 1 else 3) if is_free(size) else int(size) for axis, size in enumerate(sizes)]
    if tensor.dtype == torch.float32:
        return torch.randn(shape)
    if bool((tensor == 1).all()):
        mask = torch.ones(shape, dtype=tensor.dtype)
        mask[0, -2:] = 0
        return mask
    return torch.randint(3, 90, shape)


def save(path, given, outputs):
    expected = [leaf for leaf in torch.utils._pytree.tree_leaves(outputs) if isinstance(leaf, torch.Tensor)]
    for kind, tensors in (("in", given), ("out", expected)):
        for k, tensor in enumerate(tensors):
            numpy.save(f"{path}.{kind}{k}.npy", tensor.detach().contiguous().numpy())


def export(path, make):
    torch.manual_seed(1)
    model, inputs = make()
    model.eval()
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    auto = torch.export.Dim.AUTO

    def free(tensor):
        return {0: auto, 1: auto} if tensor.dim() == 2 else {0: auto}

    dims = {key: free(tensor) for key, tensor in kwargs.items()} if kwargs else tuple(free(tensor) for tensor in args)
    with torch.no_grad():
        outputs = model(*args, **kwargs)
        program = torch.export.export(model, args, kwargs, dynamic_shapes=dims, strict=False)
        torch.export.save(program, f"{path}.pt2")
        given = list(args) + list(kwargs.values())
        save(path, given, outputs)
        users = set(program.graph_signature.user_inputs)
        shapes = [node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder" and node.name in users]
        torch.manual_seed(2)
        second = [other(tensor, shape) for tensor, shape in zip(given, shapes)]
        again = model(*second) if args else model(**dict(zip(kwargs, second)))
        save(f"{path}.case2", second, again)
        return [str(list(shape)) for shape in shapes]


def main(folder, wanted):
    torch.set_num_threads(1)
    for name, make in makers():
        if wanted and name not in wanted:
            continue
        path = os.path.join(folder, name.replace("/", "__"))
        note = {"name": name}
        try:
            note["inputs"] = export(path, make)
        except Exception as error:
            note["error"] = f"{type(error).__name__}: {error}"[:300]
        json.dump(note, open(f"{path}.json", "w"))
        print(name, note.get("error", note.get("inputs")), flush=True)


main(sys.argv[1], sys.argv[2:])
