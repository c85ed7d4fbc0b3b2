#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/golden/metrics.json: ROUGE-L by rouge_score, SQuAD's F1 by its definition in Python's own Unicode terms, and
paired bootstrap intervals: numpy over the same Philox draws, and scipy with its own draws (equal only within noise)."""
import collections
import random
import re
import string

import numpy
import scipy.stats
from rouge_score import rouge_scorer

import common

WORDS = ["a", "an", "the", "The", "A", "tool", "Tool", "library", "x11", "C++", "end-user", "don't", "l'eau", "naïve",
         "ÉCOLE", "Straße", "K", "İx", "文件", "файл", "ФАЙЛ", "i18n", "(the)", "the.", "an,", "--", "…", "–a–", "ΑΩ", "😀",
         "Ⱥx", "ǅ", "\u00a0", "\u3000", "\x1c", "foo_bar", "1,000", "\t", "\n"]


def squad_words(text: str) -> list[str]:
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def squad_f1(output: str, reference: str) -> float:
    out, ref = squad_words(output), squad_words(reference)
    if not out or not ref:
        return float(out == ref)
    common_words = sum((collections.Counter(out) & collections.Counter(ref)).values())
    if common_words == 0:
        return 0.0
    precision, recall = common_words / len(out), common_words / len(ref)
    return 2 * precision * recall / (precision + recall)


def texts(count: int):
    source = random.Random(7)
    for i in range(count):
        n = source.choice([0, 1, 3, 8, 20, 70, 200] if i % 20 == 0 else [1, 3, 8, 20])
        reference = [source.choice(WORDS) for _ in range(n)]
        output = [w for w in reference if source.random() < 0.7]
        for _ in range(source.randrange(4)):
            output.insert(source.randrange(len(output) + 1), source.choice(WORDS))
        yield " ".join(output), " ".join(reference)


def philox(key: int, low: int, high: int) -> list[int]:
    """Philox4x32-10 of Salmon et al. 2011."""
    mask = 0xFFFFFFFF
    c, k = [low & mask, low >> 32, high & mask, high >> 32], [key & mask, key >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def draws(seed: int, resample: int, units: int) -> list[int]:
    """Indices of one resample: 64-bit numbers, high word first, without the last partial stretch."""
    out, block = [], 0
    while len(out) < units:
        words = philox(seed, block, resample)
        block += 1
        for value in (words[0] << 32 | words[1], words[2] << 32 | words[3]):
            if value >= 2**64 % units and len(out) < units:
                out.append(value % units)
    return out


def bootstrap_case(n: int, seed: int, level: float, exponentiate: bool, groups: int, resamples: int = 400):
    source = numpy.random.default_rng(seed)
    weights = source.integers(1, 30, n).astype(float)
    before = source.normal(3.9, 0.8, n) * weights
    after = before - source.normal(1.2, 0.5, n) * weights
    names = [f"g{i % groups}" for i in range(n)] if groups else [str(i) for i in range(n)]
    order = list(dict.fromkeys(names))
    sums = numpy.array([[sum(v[i] for i in range(n) if names[i] == g) for v in (before, after, weights)] for g in order])

    def statistic(rows):
        b, a, w = rows.sum(axis=0)
        return numpy.exp(a / w) - numpy.exp(b / w) if exponentiate else (a - b) / w

    values = [statistic(sums[draws(seed, r, len(order))]) for r in range(resamples)]
    tail = 50 * (1 - level)
    peer = scipy.stats.bootstrap((numpy.arange(len(order)),), lambda i: statistic(sums[i]), n_resamples=4000,
                                 vectorized=False, confidence_level=level, method="percentile", rng=source)
    return {"before": before.tolist(), "after": after.tolist(), "weights": weights.tolist(),
            "groups": names if groups else [], "seed": seed, "level": level, "exponentiate": exponentiate,
            "resamples": resamples, "estimate": float(statistic(sums)),
            "interval": numpy.percentile(values, [tail, 100 - tail]).tolist(),
            "scipy": [float(peer.confidence_interval.low), float(peer.confidence_interval.high)]}


def main() -> None:
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    pairs = [{"output": output, "reference": reference, "f1": squad_f1(output, reference),
              "rouge_l": scorer.score(reference, output)["rougeL"].fmeasure} for output, reference in texts(240)]
    cases = [bootstrap_case(40, 1, 0.95, False, 0), bootstrap_case(60, 2, 0.9, True, 0),
             bootstrap_case(50, 3, 0.95, False, 13)]
    common.write_json(common.GOLDEN / "metrics.json", {"versions": common.versions(), "pairs": pairs, "bootstrap": cases})


if __name__ == "__main__":
    main()
