#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two tiny random Llamas with PEFT adapters: logits, NLL, loss, every adapter gradient, ten losses, all f32 on the CPU.

tests/golden/tiny_llama/MODEL/            config.json and model.safetensors as transformers writes them
tests/golden/tiny_llama/MODEL/ADAPTER/    the adapter as PEFT writes it
tests/golden/tiny_llama/MODEL/ADAPTER.json, ADAPTER.logits.safetensors, ADAPTER.gradients.safetensors; base.* without one
"""
import json
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

import common

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHAPE = dict(vocab_size=97, hidden_size=32, intermediate_size=48, max_position_embeddings=256, bos_token_id=1,
             eos_token_id=2, rms_norm_eps=1e-5, attn_implementation="eager")
MODELS = {
    "plain": dict(SHAPE, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
                  tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
    "rich": dict(SHAPE, hidden_size=36, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
                 head_dim=16, tie_word_embeddings=True, attention_bias=True, mlp_bias=True,
                 rope_parameters={"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
                                  "high_freq_factor": 4.0, "original_max_position_embeddings": 64}),
}
ADAPTERS = {
    "adapter": dict(r=4, lora_alpha=12, target_modules=LINEARS),
    "patterns": dict(r=4, lora_alpha=12, use_rslora=True, target_modules="all-linear",
                     rank_pattern={"layers.1.self_attn.v_proj": 6, "v_proj": 3, r"mlp\.(gate|up)_proj": 5},
                     alpha_pattern={r"^model\.layers\.0\..*": 7, "down_proj": 20}),
}
RECIPE = dict(lr=1e-2, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.01, clip=1.0, schedule="cosine", warmup=2)
LENGTHS = [17, 5, 33, 2, 12, 1]
WEIGHTS = [1.0, 1.0, 0.5, 1.0, 2.0, 1.0]
BATCHES = [[0, 1], [2], [3, 4, 0], [1, 2], [0], [4, 3], [2, 0, 1], [4], [0, 2], [1, 4, 3]]


def fill(model, seed: int) -> None:
    """Weights large enough that every part of the model matters; norms away from one, biases away from zero."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape)
        if "norm" in name:
            parameter.data = 1 + 0.2 * noise
        elif name.endswith("bias"):
            parameter.data = 0.1 * noise
        else:
            tied = model.config.tie_word_embeddings
            parameter.data = noise * ((0.3 if tied else 1.0) if "embed" in name else parameter.shape[1] ** -0.5)
    model.tie_weights()


def fill_adapter(model, seed: int) -> None:
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = 0.05 * torch.randn(parameter.shape)


def make_examples(seed: int) -> list[dict]:
    generator = torch.Generator().manual_seed(seed)
    examples = []
    for length, weight in zip(LENGTHS, WEIGHTS):
        tokens = torch.randint(3, SHAPE["vocab_size"], (length,), generator=generator).tolist()
        supervised = [int(i > 0 and (i % 3 != 1 or length < 6)) for i in range(length)]
        examples.append({"tokens": tokens, "supervised": supervised, "weight": weight})
    return examples


def describe(model, examples, folder, name: str) -> dict:
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([e["tokens"]])).logits[0] for e in examples]
    save_file({str(i): x.contiguous() for i, x in enumerate(logits)}, folder / f"{name}.logits.safetensors")
    nll = [common.row_nll(x, e["tokens"], e["supervised"]).sum().item() for x, e in zip(logits, examples)]
    with torch.no_grad():
        loss = common.batch_loss(model, examples).item()
    return {"nll": common.floats(nll), "loss": common.floats([loss])[0]}


def adapter_fixture(model_name: str, adapter_name: str, base_state: dict, examples: list[dict], seed: int) -> None:
    folder = common.GOLDEN / "tiny_llama" / model_name
    base = LlamaForCausalLM(LlamaConfig(**MODELS[model_name])).eval()
    base.load_state_dict(base_state)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **ADAPTERS[adapter_name]))
    fill_adapter(model, seed)
    model.peft_config["default"].base_model_name_or_path = None
    model.save_pretrained(folder / adapter_name)
    (folder / adapter_name / "README.md").unlink()

    result = describe(model, examples, folder, adapter_name)
    model.zero_grad()
    common.batch_loss(model, examples).backward()
    gradients = {n.replace(".default", ""): p.grad for n, p in model.named_parameters() if p.requires_grad}
    save_file(gradients, folder / f"{adapter_name}.gradients.safetensors")
    scales = {n.removeprefix("base_model.model."): m.scaling["default"] for n, m in model.named_modules()
              if hasattr(m, "lora_A")}
    result.update(common.train(model, examples, BATCHES, RECIPE), recipe=RECIPE, batches=BATCHES, scales=scales)
    common.write_json(folder / f"{adapter_name}.json", result)


def main() -> None:
    torch.set_num_threads(1)
    examples = make_examples(seed=7)
    for seed, (name, shape) in enumerate(MODELS.items()):
        folder = common.GOLDEN / "tiny_llama" / name
        shutil.rmtree(folder, ignore_errors=True)
        model = LlamaForCausalLM(LlamaConfig(**shape)).float().eval()
        fill(model, seed=100 + seed)
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        result = describe(model, examples, folder, "base")
        frequencies = common.floats(model.model.rotary_emb.inv_freq.tolist())
        common.write_json(folder / "base.json", {"examples": examples, "inverse_frequencies": frequencies, **result})
        for offset, adapter in enumerate(ADAPTERS):
            adapter_fixture(name, adapter, model.state_dict(), examples, seed=200 + 10 * seed + offset)
        print(name, json.dumps(result["nll"]))


if __name__ == "__main__":
    main()
