"""BERT exported by PyTorch, its gradients in float64, and an adapter read by peft: `finetune.py make FOLDER`, `… adapter FOLDER`."""
import json
import os
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
import torch
import transformers
from safetensors.torch import load_file, save_file

transformers.logging.set_verbosity_error()
folder = Path(sys.argv[2])
CONFIG = transformers.BertConfig(
    vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=20, attn_implementation="eager", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)


def model():
    return transformers.BertModel(CONFIG, add_pooling_layer=False)


class Hidden(torch.nn.Module):
    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids, attention_mask):
        return self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def make():
    torch.manual_seed(2)
    bert = model().eval()
    # Biases that are 0 and norms that are 1 at first are equal to each other, and an exporter writes them once.
    ids = torch.randint(1, 30, (3, 7))
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] * 3 + [0] * 4])
    target = torch.randn(3, 7, 16)
    for opset in (14, 17):
        torch.onnx.export(
            Hidden(bert), (ids, mask), str(folder / f"bert{opset}.onnx"), opset_version=opset, dynamo=False,
            input_names=["ids", "mask"], output_names=["hidden"],
            dynamic_axes={"ids": {0: "batch", 1: "length"}, "mask": {0: "batch", 1: "length"}},
        )
    save_file(bert.state_dict(), folder / "model.safetensors")
    save_file({"ids": ids, "mask": mask, "target": target}, folder / "batch.safetensors")
    wide = Hidden(model().double())
    wide.bert.load_state_dict({name: value.double() if value.is_floating_point() else value for name, value in bert.state_dict().items()})
    loss = ((wide(ids, mask) - target.double()) ** 2).mean()
    loss.backward()
    gradients = {name: value.grad.float().contiguous() for name, value in wide.bert.named_parameters()}
    save_file(gradients, folder / "gradients.safetensors")
    print(json.dumps({"loss": loss.item(), "parameters": len(gradients)}))


def adapter():
    import peft

    bert = model().eval()
    bert.load_state_dict(load_file(folder / "model.safetensors"))
    tuned = peft.PeftModel.from_pretrained(bert, str(folder / "adapter"))
    batch = load_file(folder / "batch.safetensors")
    with torch.no_grad():
        hidden = tuned(input_ids=batch["ids"], attention_mask=batch["mask"]).last_hidden_state
    save_file({"hidden": hidden.contiguous()}, folder / "hidden.safetensors")


{"make": make, "adapter": adapter}[sys.argv[1]]()
