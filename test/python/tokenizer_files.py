"""Tokenizers of many shapes, made and run by the reference package: their files, and its answers to given texts."""

import json
import os
import sys

# One thread: sums of scores do not depend on how work was shared out.
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT4_POSSESSIVE = (
    r"(?i:'(?:[sdmt]|ll|ve|re))|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+|"
    r" ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
CASED = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{ENDINGS}|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SYMBOLS = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
    r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
STOPS = r" ?[^(\s|[.,!?…。，、।۔،])]+"
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def trained(model, trainer, corpus, normalizer=None, pre_tokenizer=None):
    made = Tokenizer(model)
    if normalizer is not None:
        made.normalizer = normalizer
    if pre_tokenizer is not None:
        made.pre_tokenizer = pre_tokenizer
    made.train_from_iterator(corpus, trainer)
    return json.loads(made.to_str())


def shape(file, model=None, added=(), **parts):
    """A file with other parts; dictionaries are the JSON of a component."""
    made = json.loads(json.dumps(file))
    made["model"].update(model or {})
    made.update(parts)
    for token in added:
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
        made["added_tokens"].append({"id": 0, **flags, **token})
    return Tokenizer.from_str(json.dumps(made))


def component(kind, **settings):
    return {"type": kind, **settings}


def sequence(kind, *parts):
    return {"type": "Sequence", kind: list(parts)}


def split(regex, behavior="Isolated", invert=False):
    return component("Split", pattern={"Regex": regex}, behavior=behavior, invert=invert)


def level(prefix=False, regex=True, trim=True):
    return component("ByteLevel", add_prefix_space=prefix, trim_offsets=trim, use_regex=regex)


def metaspace(scheme, cut=True):
    return component("Metaspace", replacement="\u2581", prepend_scheme=scheme, split=cut)


def replace(old, new, kind="String"):
    return component("Replace", pattern={kind: old}, content=new)


def template(first, last):
    def token(given, type_id):
        return {"SpecialToken": {"id": given[0], "type_id": type_id}}

    def text(name, type_id):
        return {"Sequence": {"id": name, "type_id": type_id}}

    single = [token(first, 0), text("A", 0), token(last, 0)]
    return component(
        "TemplateProcessing",
        single=single,
        pair=[*single, token(last, 1), text("B", 1), token(last, 1)],
        special_tokens={name: {"id": name, "ids": [i], "tokens": [name]} for name, i in (first, last)},
    )


def wordpieces(corpus):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    bert = dict(clean_text=True, handle_chinese_chars=True)
    base = trained(
        models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=30),
        trainers.WordPieceTrainer(vocab_size=600, special_tokens=special),
        corpus,
        normalizers.BertNormalizer(),
        pre_tokenizers.BertPreTokenizer(),
    )
    base["post_processor"] = component("BertProcessing", sep=["[SEP]", 3], cls=["[CLS]", 2])
    base["decoder"] = component("WordPiece", prefix="##", cleanup=True)
    yield "wordpiece", shape(base)
    yield "wordpiece-cased", shape(
        base, normalizer=component("BertNormalizer", strip_accents=False, lowercase=False, **bert)
    )
    yield "wordpiece-roberta", shape(
        base,
        post_processor=component(
            "RobertaProcessing", sep=["[SEP]", 3], cls=["[CLS]", 2], trim_offsets=True, add_prefix_space=True
        ),
    )
    yield "wordpiece-lengths", shape(
        base,
        normalizer=component(
            "BertNormalizer", strip_accents=None, lowercase=True, clean_text=False, handle_chinese_chars=False
        ),
        pre_tokenizer=sequence(
            "pretokenizers", component("WhitespaceSplit"), component("FixedLength", length=3)
        ),
    )


def byte_pairs(corpus):
    base = trained(
        models.BPE(),
        trainers.BpeTrainer(
            vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|end|>"]
        ),
        corpus,
        pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False),
    )
    base["post_processor"] = level(True)
    base["decoder"] = level(True)

    def cut(*parts, **others):
        return shape(base, pre_tokenizer=sequence("pretokenizers", *parts), **others)

    bytes_only = level(regex=False)
    nfc = component("NFC")
    yield "bpe", shape(base)
    yield "bpe-prefix", shape(base, pre_tokenizer=level(True))
    yield "bpe-gpt4", cut(split(GPT4), bytes_only, model={"ignore_merges": True})
    yield "bpe-gpt4-possessive", cut(split(GPT4_POSSESSIVE, "Removed", True), bytes_only)
    yield "bpe-llama3", cut(
        split(GPT4),
        bytes_only,
        model={"ignore_merges": True},
        post_processor=sequence("processors", level(True), template(("<|end|>", 0), ("<|end|>", 0))),
    )
    yield "bpe-qwen", cut(
        split(GPT4.replace("{1,3}", "")), bytes_only, normalizer=nfc, post_processor=level(trim=False)
    )
    yield "bpe-cased", cut(split(CASED, "Removed", True), bytes_only)
    yield "bpe-symbols", cut(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(SYMBOLS), bytes_only)
    yield "bpe-stops", cut(split(STOPS), bytes_only)
    yield "bpe-digits", cut(component("Digits", individual_digits=True), level())
    yield "bpe-bytes-first", cut(
        component("Punctuation", behavior="Contiguous"),
        level(),
        component("Digits", individual_digits=False),
        split("[0-9][0-9][0-9]"),
    )
    yield "bpe-words-prefix", cut(component("Whitespace"), level(True))
    yield "bpe-normalized-bytes", shape(
        base, normalizer=sequence("normalizers", nfc, component("ByteLevel")), pre_tokenizer=None
    )
    yield "bpe-modernbert", shape(
        base,
        normalizer=nfc,
        post_processor=template(("<|end|>", 0), ("<|end|>", 0)),
        added=[
            {"content": "  "},
            {"content": "   "},
            {"content": "[MASK]", "lstrip": True, "special": True, "normalized": False},
            {"content": "<pad>", "rstrip": True, "special": True, "normalized": False},
        ],
    )
    clip = trained(
        models.BPE(end_of_word_suffix="</w>"),
        trainers.BpeTrainer(
            vocab_size=900,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<|end|>"],
            end_of_word_suffix="</w>",
        ),
        corpus,
        pre_tokenizer=pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(CLIP), "removed", invert=True), pre_tokenizers.ByteLevel(False)]
        ),
    )
    yield "clip", shape(
        clip,
        normalizer=sequence("normalizers", nfc, replace(r"\s+", " ", "Regex"), component("Lowercase")),
        post_processor=component(
            "RobertaProcessing", sep=["<|end|>", 0], cls=["<|end|>", 0], trim_offsets=False, add_prefix_space=False
        ),
        decoder=level(True),
    )


def without_bytes(file):
    file["added_tokens"] = [token for token in file["added_tokens"] if not token["content"].startswith("<0x")]
    return file


def unigrams(corpus):
    special = ["<s>", "<pad>", "</s>", "<unk>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    lines = [line for line in corpus if line.isascii()] + ["\u65e5\u672c \u00e9\u03c3 \ufb01"]
    spaces = replace(" {2,}", " ", "Regex")
    base = without_bytes(
        trained(
            models.Unigram(),
            trainers.UnigramTrainer(vocab_size=700 + len(special), special_tokens=special, unk_token="<unk>"),
            lines,
            pre_tokenizer=pre_tokenizers.Metaspace(),
        )
    )
    base["normalizer"] = sequence("normalizers", component("NFKC"), spaces)
    base["post_processor"] = template(("<s>", 0), ("</s>", 2))
    for scheme, cut in [("always", True), ("first", False), ("never", True)]:
        yield f"unigram-{scheme}", shape(
            base,
            model={"byte_fallback": scheme == "never"},
            pre_tokenizer=metaspace(scheme, cut),
            decoder=metaspace(scheme, cut),
        )
    yield "unigram-stripped", shape(
        base,
        normalizer=sequence(
            "normalizers", component("Strip", strip_left=True, strip_right=True), component("Nmt")
        ),
        pre_tokenizer=metaspace("first"),
    )
    yield "unigram-albert", shape(
        base,
        normalizer=sequence(
            "normalizers",
            replace("``", '"'),
            component("NFKD"),
            component("StripAccents"),
            component("Lowercase"),
        ),
        pre_tokenizer=sequence("pretokenizers", component("WhitespaceSplit"), metaspace("always")),
    )
    for form in ["NFC", "NFD"]:
        yield f"unigram-{form}", shape(base, normalizer=component(form), pre_tokenizer=metaspace("never"))
    yield "unigram-empty-matches", shape(
        base, normalizer=replace("^|x*", "-", "Regex"), pre_tokenizer=metaspace("never")
    )


def character_pairs(corpus):
    special = ["<pad>", "<eos>", "<bos>", "<unk>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    base = without_bytes(
        trained(
            models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
            trainers.BpeTrainer(vocab_size=900, special_tokens=special, limit_alphabet=60),
            [line[:200] for line in corpus],
            normalizers.Replace(" ", "\u2581"),
        )
    )
    spaces = [replace("\u2581", " "), component("ByteFallback"), component("Fuse")]
    base["decoder"] = sequence("decoders", *spaces)
    stripping = sequence("decoders", *spaces, component("Strip", content=" ", start=1, stop=0))
    yield "gemma", shape(base)
    yield "llama2", shape(
        base,
        normalizer=sequence("normalizers", component("Prepend", prepend="\u2581"), replace(" ", "\u2581")),
        decoder=stripping,
    )
    yield "llama2-metaspace", shape(
        base, normalizer=None, pre_tokenizer=metaspace("first", False), decoder=stripping
    )
    for fuse in [True, False]:
        yield f"bpe-unknown-{str(fuse).lower()}", shape(
            base,
            model={"fuse_unk": fuse, "byte_fallback": False},
            normalizer=None,
            pre_tokenizer=component("BertPreTokenizer"),
        )


def words(corpus):
    base = trained(
        models.WordLevel(unk_token="[UNK]"),
        trainers.WordLevelTrainer(vocab_size=300, special_tokens=["[UNK]"]),
        corpus,
        normalizers.Sequence(
            [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()]
        ),
        pre_tokenizers.Whitespace(),
    )
    added = [
        {"content": "left", "lstrip": True},
        {"content": "right", "rstrip": True, "normalized": False},
        {"content": "one", "single_word": True},
        {"content": "Caf\u00e9"},
    ]
    punctuation = component("Punctuation", behavior="Isolated")
    yield "words", shape(
        base,
        added=added,
        pre_tokenizer=sequence(
            "pretokenizers", component("Whitespace"), component("Digits", individual_digits=True), punctuation
        ),
    )
    for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
        yield f"words-{behavior}", shape(
            base,
            added=added,
            pre_tokenizer=sequence(
                "pretokenizers",
                component("Split", pattern={"String": "a"}, behavior=behavior, invert=False),
                component("Punctuation", behavior=behavior),
                component("WhitespaceSplit"),
            ),
        )


def read(paths):
    for path in paths:
        made = Tokenizer.from_file(path)
        made.no_truncation()
        made.no_padding()
        yield os.path.basename(path).removesuffix(".json"), made


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
    """FOLDER GIVEN [FILE...]: the files given, or else those of every shape."""
    folder, texts_path, *files = sys.argv[1:]
    with open(texts_path, encoding="utf-8") as file:
        given = json.load(file)
    made = [read(files)] if files else [
        make(given["corpus"]) for make in (wordpieces, byte_pairs, unigrams, character_pairs, words)
    ]
    names = []
    for tokenizers in made:
        for name, tokenizer in tokenizers:
            tokenizer.save(f"{folder}/{name}.json")
            both = {
                "texts": list(answers(tokenizer, given["texts"])),
                "pairs": list(pairs(tokenizer, given["texts"][:400])),
            }
            with open(f"{folder}/{name}.answers.json", "w", encoding="utf-8") as file:
                json.dump(both, file)
            names.append(name)
    print(json.dumps(names))


main()
