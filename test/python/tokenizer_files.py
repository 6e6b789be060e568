"""Tokenizers of many shapes, made and run by the reference package: their files, and its answers to given texts."""

import json
import os
import sys

# One thread: sums of scores do not depend on how work was shared out.
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def wordpiece(corpus, lowercase, strip):
    made = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=30))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=600, special_tokens=special))
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.decoder = decoders.WordPiece()
    return made


def bytes_of(corpus, splits, **options):
    made = Tokenizer(models.BPE(**options))
    made.pre_tokenizer = pre_tokenizers.Sequence(splits) if len(splits) > 1 else splits[0]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    suffix = options.get("end_of_word_suffix")
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        initial_alphabet=alphabet,
        special_tokens=["<|end|>"],
        **({"end_of_word_suffix": suffix} if suffix else {}),
    )
    made.train_from_iterator(corpus, trainer)
    made.post_processor = processors.ByteLevel(trim_offsets=True)
    made.decoder = decoders.ByteLevel()
    return made


def unigram(corpus, scheme, split=True, byte_fallback=False):
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    if byte_fallback:
        special += [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.UnigramTrainer(vocab_size=700 + len(special), special_tokens=special, unk_token="<unk>")
    made.train_from_iterator([line for line in corpus if line.isascii()] + ["\u65e5\u672c \u00e9\u03c3 \ufb01"], trainer)
    if byte_fallback:
        file = json.loads(made.to_str())
        file["model"]["byte_fallback"] = True
        file["added_tokens"] = [token for token in file["added_tokens"] if not token["content"].startswith("<0x")]
        made = Tokenizer.from_str(json.dumps(file))
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    made.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return made


def gemma(corpus):
    made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Replace(" ", "\u2581")
    special = ["<pad>", "<eos>", "<bos>", "<unk>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    made.train_from_iterator(
        [line[:200] for line in corpus], trainers.BpeTrainer(vocab_size=900, special_tokens=special, limit_alphabet=60)
    )
    file = json.loads(made.to_str())
    file["added_tokens"] = [token for token in file["added_tokens"] if not token["content"].startswith("<0x")]
    made = Tokenizer.from_str(json.dumps(file))
    made.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return made


def words(corpus):
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()]
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation()]
    )
    made.train_from_iterator(corpus, trainers.WordLevelTrainer(vocab_size=300, special_tokens=["[UNK]"]))
    made.add_tokens(
        [
            AddedToken("left", lstrip=True),
            AddedToken("right", rstrip=True, normalized=False),
            AddedToken("one", single_word=True),
            AddedToken("Caf\u00e9", normalized=True),
        ]
    )
    return made


def all_of(corpus):
    level = pre_tokenizers.ByteLevel
    split = pre_tokenizers.Split
    yield "wordpiece", wordpiece(corpus, True, None)
    yield "wordpiece-cased", wordpiece(corpus, False, False)
    yield "bpe", bytes_of(corpus, [level(add_prefix_space=False)])
    yield "bpe-prefix", bytes_of(corpus, [level(add_prefix_space=True)])
    gpt4 = split(Regex(GPT4), "isolated")
    yield "bpe-gpt4", bytes_of(corpus, [gpt4, level(add_prefix_space=False, use_regex=False)], ignore_merges=True)
    clip = bytes_of(
        corpus, [split(Regex(CLIP), "removed", invert=True), level(add_prefix_space=False)], end_of_word_suffix="</w>"
    )
    clip.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    clip.post_processor = processors.RobertaProcessing(("<|end|>", 0), ("<|end|>", 0), False, False)
    yield "clip", clip
    yield "unigram", unigram(corpus, "always")
    yield "unigram-first", unigram(corpus, "first", split=False)
    yield "unigram-bytes", unigram(corpus, "never", byte_fallback=True)
    yield "gemma", gemma(corpus)
    yield "words", words(corpus)
    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        made = words(corpus)
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [split("a", behavior), pre_tokenizers.Punctuation(behavior), pre_tokenizers.WhitespaceSplit()]
        )
        yield f"words-{behavior}", made


def answers(tokenizer, texts):
    for text in texts:
        made = tokenizer.encode(text)
        yield {
            "ids": made.ids,
            "offsets": made.offsets,
            "decoded": tokenizer.decode(made.ids),
            "bare": tokenizer.encode(text, add_special_tokens=False).ids,
        }


def pairs(tokenizer, texts):
    for i, (first, second) in enumerate(zip(texts, texts[1:])):
        tokenizer.enable_truncation(
            12 + i % 9, strategy="longest_first", direction="left" if i % 3 == 0 else "right", stride=i % 4
        )
        both = tokenizer.encode(first, second)
        one = tokenizer.encode(first)
        tokenizer.no_truncation()
        yield {
            "limit": 12 + i % 9,
            "left": i % 3 == 0,
            "ids": both.ids,
            "types": both.type_ids,
            "stride": i % 4,
            "windows": [one.ids] + [other.ids for other in one.overflowing],
        }


def main():
    folder, texts_path = sys.argv[1:]
    with open(texts_path, encoding="utf-8") as file:
        given = json.load(file)
    names = []
    for name, tokenizer in all_of(given["corpus"]):
        tokenizer.save(f"{folder}/{name}.json")
        made = {"texts": list(answers(tokenizer, given["texts"])), "pairs": list(pairs(tokenizer, given["texts"]))}
        with open(f"{folder}/{name}.answers.json", "w", encoding="utf-8") as file:
            json.dump(made, file)
        names.append(name)
    print(json.dumps(names))


main()
