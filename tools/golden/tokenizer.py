#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/golden/tokenizer_tiny.json: a byte-level BPE vocabulary trained on generated text. tests/golden/tokenizer.json:
what Hugging Face `tokenizers` makes of generated strings, as ids and as digests of ids, for variants of that vocabulary and
for the vocabularies of real GGUF files (tokens and merges read by `gguf`, the pre-tokenizer built as `tokenizer.ggml.pre`
names it). The strings are not stored: the recipe is, and the tests generate them again.

    FTLIB_VOCABULARIES=DIR tools/golden/tokenizer.py     DIR holds ggml-vocab-{gpt-2,llama-bpe,qwen2}.gguf
"""
import copy
import hashlib
import json
import os
import pathlib
import struct
import unicodedata

import gguf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import common

SEED, BATCHES, BATCH, SAMPLES = 20250101, 24, 1000, 300
MASK = (1 << 64) - 1

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"[\r\n]", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$",
            r"[一-龥ࠀ-一가-퟿]+"]

WORDS = {  # kind: (longest repeat, pieces)
    "letters": (12, list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")),
    "english": (4, ["the", "of", "package", " library", " which", "Install", "UPPER", "camelCase", "snake_case", "x86",
                    " a", " I", "don", "we", "it", "you", "Hello", " World", "ing", "tion", "ness", "un", "pre"]),
    "contractions": (3, ["'s", "'S", "'t", "'T", "'re", "'RE", "'Re", "'ve", "'VE", "'m", "'M", "'ll", "'LL", "'Ll", "'d",
                         "'D", "'", "''", "'x", "\u2019s", "'\u017f", "'\u212a", "' s", "'l", "'r", "'v"]),
    "digits": (14, list("0123456789")),
    "other digits": (4, ["٣", "९", "５", "²", "½", "Ⅷ", "①", "〇", "๙", "𝟘", "൰"]),
    "blanks": (9, [" "]),
    "white space": (4, [" ", "\t", "\n", "\r\n", "\r", "\v", "\f", "\u0085", "\u00a0", "\u1680", "\u2003", "\u2028",
                        "\u202f", "\u3000", "\n\n", " \n", "\n ", "  "]),
    "not white space": (2, ["\u180e", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\x1c", "\x1f", "\x7f", "\x00"]),
    "punctuation": (5, list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "--", "=>", "::", "//", "/*", "*/", "«", "»",
                                                                     "—", "…", "、", "。", "¿"]),
    "code": (3, ["def f(x):\n    return x", "#include <a.h>\n", "for (int i = 0; i < n; ++i) {\n\t", "}\n\n", "</div>",
                 "&nbsp;", "SELECT * FROM t;", "0x1F", "1e-5", "i18n", "a_b", "--flag=1", "\\n", "\"k\": [1, 2],", "@x",
                 "https://a.b/c?d=e#f", "C:\\x\\y", "$HOME", "`ls`", "a.b.c()"]),
    "emoji": (3, ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "❤️", "☺", "1️⃣", "🫠", "🧑🏿‍🚀"]),
    "marks": (3, ["e\u0301", "a\u0308\u0301", "\u0301", "n\u0303o", "\u1100\u1161\u11a8", "q\u0323\u0307", "q\u0307\u0323",
                  "\u212b", "\u2126", "\u0958", "\u0915\u093f", "\u0e33", "\u0f73", "\ufb1d", "\u1e9b\u0323", "A\u030a"]),
    "special": (2, ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>",
                    "<repo_name>", "<file_sep>", "<|im_end", "|im_start|>", "<|", "|>", "<|IM_END|>", "<", "<s>", "<tool>",
                    "<t", "<tool>x", "[PAD151646]", "<strip>", " <strip> ", "<after>", "[[<tool>]]", "\u00f8\u00e9"]),
    "roles": (1, ["<|im_start|>user\n", "<|im_end|>\n", "<|im_start|>assistant\n", "system\n"]),
}
BLOCKS = {  # kind: (longest repeat, ranges of code points)
    "latin": (10, [(0x20, 0x7e), (0xa0, 0x24f)]),
    "greek and cyrillic": (8, [(0x370, 0x3ff), (0x400, 0x52f)]),
    "hebrew and arabic": (8, [(0x591, 0x5f4), (0x600, 0x6ff)]),
    "indic": (8, [(0x900, 0x97f), (0x980, 0x9ff), (0xb80, 0xbff), (0xd00, 0xd7f)]),
    "thai lao tibetan": (8, [(0xe01, 0xe5b), (0xe81, 0xedf), (0xf00, 0xfff)]),
    "georgian ethiopic khmer": (6, [(0x10a0, 0x10ff), (0x1200, 0x137f), (0x1780, 0x17ff), (0x1800, 0x18aa)]),
    "cjk": (12, [(0x4e00, 0x9fff), (0x3041, 0x30ff), (0xac00, 0xd7a3), (0x3000, 0x303f), (0xff01, 0xffee)]),
    "symbols": (6, [(0x2010, 0x27bf), (0x2900, 0x2bff), (0x1f300, 0x1faff)]),
    "controls": (3, [(0x00, 0x1f), (0x7f, 0x9f)]),
    "astral": (4, [(0x10000, 0x100fa), (0x10330, 0x1034a), (0x1d400, 0x1d7ff), (0x20000, 0x2a6df), (0xe0020, 0xe007f),
                   (0xe000, 0xf8ff), (0xf0000, 0xf0fff), (0x100000, 0x100fff)]),
    "anything": (4, [(0x20, 0xd7ff), (0xe000, 0x1fbff)]),
}


def assigned(ranges):
    """The parts of the ranges that Unicode 14 (Python 3.11's tables) assigns: there all peers agree."""
    found = []
    for low, high in ranges:
        for code in range(low, high + 1):
            if unicodedata.category(chr(code)) in ("Cn", "Cs"):
                continue
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return found


def recipe():
    assert unicodedata.unidata_version == "14.0.0", "run with Python 3.11: its Unicode is the oldest the tests meet"
    kinds = [{"name": name, "repeat": repeat, "words": words} for name, (repeat, words) in WORDS.items()]
    kinds += [{"name": name, "repeat": repeat, "ranges": assigned(ranges)} for name, (repeat, ranges) in BLOCKS.items()]
    return {"seed": SEED, "pieces": 10, "kinds": kinds}


def splitmix(state):
    """Steele, Lea & Flood 2014; yields 64-bit numbers."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def string(plan, index):
    draw = splitmix(plan["seed"] + index)
    text = ""
    for _ in range(1 + next(draw) % plan["pieces"]):
        kind = plan["kinds"][next(draw) % len(plan["kinds"])]
        for _ in range(1 + next(draw) % kind["repeat"]):
            if "words" in kind:
                text += kind["words"][next(draw) % len(kind["words"])]
            else:
                low, high = kind["ranges"][next(draw) % len(kind["ranges"])]
                text += chr(low + next(draw) % (high - low + 1))
    return text


def encode(tokenizer, texts, special):
    tokenizer.encode_special_tokens = not special
    return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]


def digest(ids_of_texts):
    """SHA-256 over each text's count and ids, as little-endian int32."""
    sha = hashlib.sha256()
    for ids in ids_of_texts:
        sha.update(struct.pack(f"<{len(ids) + 1}i", len(ids), *ids))
    return sha.hexdigest()


def expect(tokenizer, texts):
    """The first texts' ids, and a digest per batch, without and with special tokens parsed."""
    result = {}
    for name, special in (("plain", False), ("special", True)):
        ids = encode(tokenizer, texts, special)
        result[name] = {"ids": ids[:SAMPLES], "digests": [digest(ids[i:i + BATCH]) for i in range(0, len(ids), BATCH)]}
    return result


def code_points(tokenizer):
    """One digest per 4,096 code points assigned in Unicode 14, each between letters, digits, blanks and signs."""
    codes = [c for low, high in assigned([(0, 0x10ffff)]) for c in range(low, high + 1)]
    texts = [f"a{chr(c)}b1{chr(c)}2 {chr(c)} {chr(c)}{chr(c)}.{chr(c)}\n{chr(c)}'s" for c in codes]
    ids = encode(tokenizer, texts, False)
    return [digest(ids[i:i + 4096]) for i in range(0, len(ids), 4096)]


def tiny(plan):
    """About 600 tokens: all bytes, merges learned from generated strings, a few special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], show_progress=False)
    texts = [string(plan, (1 << 32) + i) for i in range(4000)]
    tokenizer.train_from_iterator([t for t in texts if "<" not in t], trainer)
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("<t", normalized=False)])
    return json.loads(tokenizer.to_str())


def added(index, content, **flags):
    return {"id": index, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": False, **flags}


def byte_level(use_regex=True, prefix=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": use_regex}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def variants(base):
    """Top-level fields of tokenizer.json (or of its model) that replace the tiny one's."""
    count = len(base["model"]["vocab"]) + 2
    flags = base["added_tokens"] + [added(count, "<strip>", lstrip=True, rstrip=True, special=True),
                                    added(count + 1, "<after>", normalized=True), added(count + 2, "A\u030a", normalized=True),
                                    added(count + 3, "\u212b"), added(count + 4, "<tool>x", special=True),
                                    added(count + 5, "[[<tool>]]", special=True), added(count + 6, "\u00f8\u00e9")]
    nfc = {"type": "NFC"}
    return {
        "as trained": {},
        "digits first": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, byte_level())},
        "runs of digits": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}, byte_level(False))},
        "one word": {"pre_tokenizer": byte_level(False)},
        "prefix blank": {"pre_tokenizer": byte_level(True, True)},
        "llama 3": {"pre_tokenizer": sequence(split(LLAMA3), byte_level(False)), "model": {"ignore_merges": True, "keep": 150}},
        "qwen 2": {"pre_tokenizer": sequence(split(QWEN2), byte_level(False)), "normalizer": nfc},
        "gpt 4o": {"pre_tokenizer": sequence(split(GPT4O), byte_level(False))},
        "deepseek": {"pre_tokenizer": sequence(*map(split, DEEPSEEK), {"type": "Digits", "individual_digits": True},
                                               byte_level(False))},
        "three splits": {"pre_tokenizer": sequence(split(r"[\r\n]+"), split(r"\p{Han}+|[\u3041-\u30ff]+"),
                                                   split(r"\s?\p{L}+|[!-/:-~]{2,3}|\P{L}\D"), byte_level(False))},
        "flags of added tokens": {"added_tokens": flags},
        "flags and NFC": {"added_tokens": flags, "normalizer": {"type": "Sequence", "normalizers": [nfc]},
                          "pre_tokenizer": byte_level(True, True)},
        "unknown bytes": {"model": {"unk_token": "<|endoftext|>", "drop": ["Ã", "ð", "Ċ", "q"]}},
        "dropped bytes": {"model": {"drop": ["Ã", "ð", "Ċ", "q"]}},
    }


def patched(base, patch):
    """`drop` takes tokens (and the merges that need them) out and closes the gaps in the ids; `keep` keeps that many merges."""
    patch, result = copy.deepcopy(patch), copy.deepcopy(base)
    model = patch.pop("model", {})
    drop, keep = set(model.pop("drop", [])), model.pop("keep", None)
    result.update(patch)
    result["model"].update(model)
    result["model"]["merges"] = result["model"]["merges"][:keep]
    if drop:
        kept = [t for t, _ in sorted(base["model"]["vocab"].items(), key=lambda item: item[1]) if not drop & set(t)]
        result["model"]["vocab"] = {t: i for i, t in enumerate(kept)}
        result["model"]["merges"] = [m for m in base["model"]["merges"] if not drop & set("".join(m))]
        result["added_tokens"] = [{**t, "id": kept.index(t["content"])} for t in base["added_tokens"] if t["content"] in kept]
    return result


def from_gguf(path):
    fields = gguf.GGUFReader(path).fields
    read = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    tokens, types, name = read("tokens"), read("token_type"), read("pre")
    merges = [tuple(m.split(" ")) for m in read("merges")]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges, ignore_merges=name == "llama-bpe"))
    steps = {"gpt-2": [], "smollm": [pre_tokenizers.Digits(individual_digits=True)],
             "llama-bpe": [pre_tokenizers.Split(Regex(LLAMA3), "isolated")],
             "qwen2": [pre_tokenizers.Split(Regex(QWEN2), "isolated")]}[name]
    regex = name in ("gpt-2", "smollm")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True)
                                  for t, kind in zip(tokens, types) if kind in (2, 3)])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t, kind in zip(tokens, types) if kind == 4])
    assert tokenizer.get_vocab_size() == len(tokens)
    return tokenizer


def main():
    plan = recipe()
    texts = [string(plan, i) for i in range(BATCHES * BATCH)]
    base = tiny(plan)
    (common.GOLDEN / "tokenizer_tiny.json").write_text(json.dumps(base, separators=(",", ":")) + "\n")
    result = {"peers": {"tokenizers": common.versions()["tokenizers"], "gguf": common.versions()["gguf"]}, "recipe": plan,
              "first_string": texts[0], "strings_digest": hashlib.sha256("\0".join(texts).encode()).hexdigest(),
              "batch": BATCH, "variants": {}, "models": {}, "assigned": assigned([(0, 0x10ffff)])}
    for name, patch in variants(base).items():
        tokenizer = Tokenizer.from_str(json.dumps(patched(base, patch)))
        entry = expect(tokenizer, texts[:4 * BATCH])
        entry = {setting: {"digests": value["digests"]} for setting, value in entry.items()}
        result["variants"][name] = {"patch": patch, **entry}
    vocabularies = pathlib.Path(os.environ["FTLIB_VOCABULARIES"])
    for path in [common.demo_model(), *(vocabularies / f"ggml-vocab-{name}.gguf" for name in ("gpt-2", "llama-bpe", "qwen2"))]:
        tokenizer = from_gguf(path)
        entry = expect(tokenizer, texts)
        if path.name.startswith("ggml"):
            for setting in entry.values():
                del setting["ids"]
        result["models"][path.name] = {"code_points": code_points(tokenizer), **entry}
    common.write_json(common.GOLDEN / "tokenizer.json", result)


if __name__ == "__main__":
    main()
