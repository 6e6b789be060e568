"""Token classification as the pipeline of transformers does it: `tagger.py FOLDER`, {"texts"} as JSON on stdin.

Saves a tiny random model with a WordPiece and one with a byte-level BPE tokenizer; prints spans by model and strategy.
"""
import json
import os
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast, pipeline

torch.manual_seed(4)
torch.set_num_threads(1)
folder = sys.argv[1]
texts = json.load(sys.stdin)["texts"]
special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
frame = dict(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])

piece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
piece.normalizer = normalizers.BertNormalizer(lowercase=True)
piece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
piece.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=160, special_tokens=special))
piece.post_processor = processors.TemplateProcessing(**frame)

pair = Tokenizer(models.BPE())
pair.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
pair.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
pair.post_processor = processors.TemplateProcessing(**frame)

labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]
answers = {}
for name, tokenizer in [("piece", piece), ("pair", pair)]:
    size = tokenizer.get_vocab_size()
    config = BertConfig(
        vocab_size=size, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64, initializer_range=0.9, id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    model = BertForTokenClassification(config).eval()
    path = os.path.join(folder, name)
    model.save_pretrained(path)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]", model_max_length=48
    )
    fast.save_pretrained(path)
    answers[name] = {}
    for strategy in ["none", "simple", "first", "max", "average"]:
        run = pipeline("token-classification", model=model, tokenizer=fast, aggregation_strategy=strategy, device=-1)
        spans = [run(text) if text.strip() else [] for text in texts]
        answers[name][strategy] = [
            [[s.get("entity_group", s.get("entity")), float(s["score"]), int(s["start"]), int(s["end"])] for s in one] for one in spans
        ]
print(json.dumps(answers))
