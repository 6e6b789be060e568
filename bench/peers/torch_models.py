"""Writes a ResNet-50 and a BERT-base with random weights into a folder: NAME.pt2 and, by torch.onnx, NAME.torch.onnx."""

import os
import sys
import warnings

warnings.filterwarnings("ignore")
import torch  # noqa: E402
from transformers import BertConfig, BertModel, ResNetConfig, ResNetForImageClassification  # noqa: E402


class Bert(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = BertModel(BertConfig())

    def forward(self, input_ids, attention_mask):
        return self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class ResNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.resnet = ResNetForImageClassification(ResNetConfig(num_labels=1000))

    def forward(self, pixels):
        return self.resnet(pixels).logits


def main(folder):
    torch.manual_seed(0)
    batch = torch.export.Dim("batch", min=1, max=64)
    length = torch.export.Dim("length", min=2, max=512)
    ids = torch.randint(0, 30000, (2, 128))
    models = {
        "resnet50": (ResNet(), (torch.randn(2, 3, 224, 224),), ({0: batch},)),
        "bert": (Bert(), (ids, torch.ones_like(ids)), ({0: batch, 1: length}, {0: batch, 1: length})),
    }
    for name, (model, inputs, dims) in models.items():
        model.eval()
        program = torch.export.export(model, inputs, dynamic_shapes=dims)
        torch.export.save(program, os.path.join(folder, f"{name}.pt2"))
        path = os.path.join(folder, f"{name}.torch.onnx")
        torch.onnx.export(model, inputs, path, dynamo=True, dynamic_shapes=dims, external_data=True, verbose=False)


main(sys.argv[1])
