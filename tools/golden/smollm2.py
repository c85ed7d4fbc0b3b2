#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's model in transformers and PEFT: per-example NLL in f32 and bf16, ten f32 losses from a given adapter.

tests/golden/smollm2.json          examples (messages, token ids, supervised), NLL, losses
tests/golden/smollm2_adapter/      the initial adapter as PEFT writes it, values exact in f16 and stored as such
"""
import hashlib
import shutil

import gguf
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

import common

SYSTEM = "You answer in one plain sentence."
CHATS = [
    ["Name a river in Egypt.", "The Nile flows through Egypt."],
    ["What do bees make?", "Bees make honey and wax."],
    ["Why is the sky blue?", "Air scatters blue light more strongly than red light."],
    ["Give me a synonym for quick.", "Fast is a synonym for quick."],
    ["Is water wet?", "Most people would say that it is."],
    ["How do I boil an egg?", "Put it into boiling water for about eight minutes."],
    ["Translate house into German.", "House is Haus in German."],
    ["Who wrote Hamlet?", "William Shakespeare wrote Hamlet."],
    ["What is a compiler?", "A compiler turns source code into machine code.", "And a linker?",
     "A linker joins compiled parts into one program."],
    ["Say hello.", "Hello there!"],
    ["What comes after Monday?", "Tuesday comes after Monday."],
    ["Which animal barks?", "A dog barks."],
    ["Explain rain in one sentence.", "Water vapour cools into droplets that grow heavy and fall as rain."],
    ["Do cats swim?", "Cats can swim, although few of them enjoy it."],
    ["def add(a, b):", "    return a + b"],
    ["Write a haiku about snow.", "Snow falls on the roof,\nthe quiet street holds its breath,\nmorning finds no tracks."],
    ["List three colours.", "- red\n- green\n- blue"],
    ["Was ist die Hauptstadt von Frankreich?", "Die Hauptstadt von Frankreich ist Paris."],
    ["What is the opposite of hot?", "Cold.", "And of tall?", "Short.", "And of early?", "Late."],
    ["Finish: the early bird", "The early bird catches the worm."],
]
ADAPTER = dict(r=4, lora_alpha=12, target_modules=["q_proj", "v_proj"])
RECIPE = dict(lr=2e-3, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.01, clip=1.0, schedule="cosine", warmup=2)
BATCHES = [[2 * i, 2 * i + 1] for i in range(10)]


def load_tokenizer(path) -> Tokenizer:
    """Byte-level BPE with the pre-tokenizer that tokenizer.ggml.pre = smollm names: single digits, then GPT-2's."""
    reader = gguf.GGUFReader(path)
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in reader.fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    return tokenizer


def load_transformers_tokenizer(path) -> PreTrainedTokenizerFast:
    """load_tokenizer() with the file's template and the tokens that a trainer asks for."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=load_tokenizer(path), eos_token="<|im_end|>",
                                        pad_token="<|endoftext|>")
    tokenizer.chat_template = gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents()
    return tokenizer


def example(tokenizer: Tokenizer, turns: list[str]) -> dict:
    """ChatML, tokenised as one text; a token is supervised when its first byte lies in an answer or its end of turn."""
    messages = [{"role": "system", "content": SYSTEM}]
    messages += [{"role": ["user", "assistant"][i % 2], "content": turn} for i, turn in enumerate(turns)]
    text, spans = "", []
    for message in messages:
        text += f"<|im_start|>{message['role']}\n"
        body = f"{message['content']}<|im_end|>"
        if message["role"] == "assistant":
            spans.append(range(len(text), len(text) + len(body)))
        text += body + "\n"
    encoding = tokenizer.encode(text)
    supervised = [int(any(begin in span for span in spans)) for begin, _ in encoding.offsets]
    return {"messages": messages, "tokens": encoding.ids, "supervised": supervised, "weight": 1.0}


def nll(model, examples) -> list[float]:
    with torch.no_grad():
        return [common.row_nll(model(input_ids=torch.tensor([e["tokens"]])).logits[0], e["tokens"],
                               e["supervised"]).sum().item() for e in examples]


def check_importer(path, ours: list[float], examples) -> None:
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    worst = max(abs(a - b) / b for a, b in zip(nll(model, examples), ours))
    print("transformers' own GGUF import: worst relative difference of an NLL", worst)
    assert worst < 1e-4


def initial_adapter(base):
    torch.manual_seed(3)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **ADAPTER))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.half().float()
    return model


def main() -> None:
    torch.set_num_threads(2)
    path = common.demo_model()
    tokenizer = load_tokenizer(path)
    examples = [example(tokenizer, turns) for turns in CHATS]
    model = common.load_gguf(path)
    f32 = nll(model, examples)
    check_importer(path, f32, examples)
    bf16 = nll(common.load_gguf(path, attention="sdpa").to(torch.bfloat16), examples)

    folder = common.GOLDEN / "smollm2_adapter"
    shutil.rmtree(folder, ignore_errors=True)
    tuned = initial_adapter(model)
    tuned.save_pretrained(folder)
    (folder / "README.md").unlink()
    file = folder / "adapter_model.safetensors"
    save_file({k: v.half() for k, v in load_file(file).items()}, file, {"format": "pt"})
    trained = common.train(tuned, examples, BATCHES, RECIPE)
    common.write_json(common.GOLDEN / "smollm2.json", {
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "nll_f32": common.floats(f32),
        "nll_bf16": common.floats(bf16), "recipe": RECIPE, "batches": BATCHES, **trained,
        "nll_after_f32": common.floats(nll(tuned, examples)), "examples": examples})
    print("bf16 against f32, worst:", max(abs(a - b) / b for a, b in zip(bf16, f32)), "losses:", trained["losses"])


if __name__ == "__main__":
    main()
