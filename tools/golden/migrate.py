#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What PEFT, TRL and transformers make of the files in tests/migrate, read by their own classes, and what that is in
options of `ftlib tune`. Unsloth and axolotl do not run without a GPU: nothing of the two runs here. Their defaults are
written down as they were read in the source of the versions named below, and completed by the classes of TRL and
transformers that both hand their values on to; their files are held to that reading.

tests/golden/migrate.json    fields: every field of the real classes with its default; FILE: option to values
"""
import dataclasses
import enum
import json
import math

import yaml
from peft import LoraConfig
from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from transformers import TrainingArguments
from trl import ModelConfig, ScriptArguments, SFTConfig, get_peft_config

import common

FOLDER = common.ROOT / "tests" / "migrate"
LLAMA = sorted(TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING["llama"])
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# Unsloth 2026.10, unsloth/models/loader.py, llama.py and rl.py: from_pretrained, get_peft_model, and what rl.py changes of
# the trainer's defaults.
UNSLOTH = dict(load_in_4bit=True, max_seq_length=2048, r=16, lora_alpha=16, lora_dropout=0.0, use_rslora=False,
               target_modules=LINEARS, random_state=3407)
UNSLOTH_TRAINER = dict(per_device_train_batch_size=4, gradient_accumulation_steps=2, weight_decay=0.001,
                       warmup_steps=0.1, optim="adamw_8bit", learning_rate=5e-5, logging_steps=1)
# axolotl 0.19, axolotl/utils/schemas: config.py, peft.py and training.py; what is None there is transformers' default.
AXOLOTL = dict(lora_dropout=0.0, load_in_4bit=False, sequence_len=512, sample_packing=False, micro_batch_size=1,
               gradient_accumulation_steps=1, num_epochs=1.0, weight_decay=0.0, optimizer="adamw_torch_fused",
               lr_scheduler="cosine", bf16="auto", peft_use_rslora=False, lora_target_linear=False)


def load(name: str) -> dict:
    text = (FOLDER / name).read_text()
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


def number(value) -> str:
    value = float(value)
    return str(int(value)) if value == int(value) else repr(value)


def plain(value):
    return value.value if isinstance(value, enum.Enum) else value


def lora_options(config: LoraConfig) -> dict:
    """Of a config whose target_modules is None, PEFT decides when it meets the model: here a Llama."""
    options = {"--rank": [number(config.r)], "--alpha": [number(config.lora_alpha)],
               "--dropout": [number(config.lora_dropout)]}
    if config.use_rslora:
        options["--rslora"] = ["true"]
    targets = LLAMA if config.target_modules is None else config.target_modules
    if isinstance(targets, str):
        options["--target" if targets == "all-linear" else "--target-regex"] = [targets]
    elif config.layers_to_transform:
        layers = "|".join(map(str, config.layers_to_transform))
        options["--target-regex"] = [rf"model\.layers\.({layers})\.(.*\.)?({'|'.join(sorted(targets))})"]
    else:
        options["--target"] = [",".join(sorted(targets))]
    for key in ("rank_pattern", "alpha_pattern"):
        if getattr(config, key):
            options["--" + key.replace("_", "-")] = [f"{k}={number(v)}" for k, v in getattr(config, key).items()]
    return options


def optimizer(name: str) -> str:
    return "adamw8bit" if "8bit" in name else "adamw"


def batch(options: dict, records: int, length, packed: bool) -> None:
    if packed:
        options["--batch-tokens"] = [str(records * length)]
    else:
        options["--batch-examples"] = [str(records)]


def training_options(args: TrainingArguments, length=None, packed=False) -> dict:
    """`length` is of SFTConfig alone."""
    options = {"--accumulate": [str(args.gradient_accumulation_steps)], "--lr": [number(args.learning_rate)],
               "--weight-decay": [number(args.weight_decay)], "--eps": [number(args.adam_epsilon)],
               "--betas": [f"{number(args.adam_beta1)},{number(args.adam_beta2)}"],
               "--clip": [number(args.max_grad_norm)], "--optimizer": [optimizer(plain(args.optim))],
               "--compute": ["bf16" if args.bf16 else "f32"], "--seed": [str(args.seed)],
               "--order": ["given" if args.train_sampling_strategy == "sequential" else "shuffle"]}
    name = plain(args.lr_scheduler_type)
    options["--schedule"] = ["constant" if name.startswith("constant") else name]
    options["--warmup"] = [number(0 if name == "constant" else args.warmup_steps)]
    if args.max_steps > 0:
        options["--steps"] = [str(args.max_steps)]
    else:
        options["--epochs"] = [number(args.num_train_epochs)]
    batch(options, args.per_device_train_batch_size, length, packed)
    if length is not None:
        options["--max-length"], options["--truncate"] = [str(length)], ["true"]
    if plain(args.eval_strategy) == "steps":
        options["--valid-every"] = [number(args.eval_steps)]
    if plain(args.save_strategy) == "steps":
        options["--save-every"] = [number(args.save_steps)]
    return options


def on_cpu(values: dict) -> dict:
    """bf16 is checked against the device, and this one may have no GPU; the device changes no other value."""
    return {"use_cpu": True, **values}


def sft(name: str) -> dict:
    args = SFTConfig(**on_cpu(load(name)))
    options = training_options(args, args.max_length, args.packing)
    if args.chat_template_path:
        options["--template"] = [args.chat_template_path]
    return options


def trl_program(name: str) -> dict:
    values = load(name)
    names = {kind: {f.name for f in dataclasses.fields(kind)} for kind in (ModelConfig, ScriptArguments)}
    model = ModelConfig(**{k: v for k, v in values.items() if k in names[ModelConfig]})
    rest = {k: v for k, v in values.items() if k not in names[ModelConfig] | names[ScriptArguments]}
    args = SFTConfig(**on_cpu(rest))
    options = {**lora_options(get_peft_config(model)), **training_options(args, args.max_length, args.packing)}
    if model.load_in_4bit:
        assert model.bnb_4bit_quant_type == "nf4"
        options |= {"--base": ["nf4"], "--block-size": ["64"]}
        if model.use_bnb_nested_quant:
            options["--double-quant"] = ["true"]
    return options


def unsloth(name: str) -> dict:
    values = UNSLOTH | UNSLOTH_TRAINER | load(name)
    seed = values.get("seed") or values["random_state"]
    fields = {f.name for f in dataclasses.fields(SFTConfig)} - {"seed", "bf16"}
    args = SFTConfig(**on_cpu({k: v for k, v in values.items() if k in fields}), seed=seed)
    lora = LoraConfig(**{k: values[k] for k in ("r", "lora_alpha", "lora_dropout", "use_rslora", "target_modules")})
    options = {**lora_options(lora), **training_options(args, values["max_seq_length"])}
    options["--target"] = [",".join(values["target_modules"])]
    options["--compute"] = [{True: "bf16", False: "f32", None: "auto"}[values.get("bf16")]]
    if values["load_in_4bit"]:
        options |= {"--base": ["nf4"], "--block-size": ["64"], "--double-quant": ["true"]}
    return options


def axolotl(name: str) -> dict:
    values = AXOLOTL | {k: v for k, v in load(name).items() if v is not None}
    accumulate = values["gradient_accumulation_steps"]
    if "batch_size" in values:
        accumulate = values["batch_size"] // values["micro_batch_size"]
    defaults = TrainingArguments(use_cpu=True)
    options = {"--rank": [str(values["lora_r"])], "--alpha": [str(values["lora_alpha"])],
               "--dropout": [number(values["lora_dropout"])], "--accumulate": [str(accumulate)],
               "--lr": [number(values["learning_rate"])], "--weight-decay": [number(values["weight_decay"])],
               "--eps": [number(values.get("adam_epsilon", defaults.adam_epsilon))],
               "--betas": [",".join(number(values.get(k, getattr(defaults, k))) for k in ("adam_beta1", "adam_beta2"))],
               "--clip": [number(values.get("max_grad_norm", defaults.max_grad_norm))],
               "--optimizer": [optimizer(values["optimizer"])], "--schedule": [values["lr_scheduler"]],
               "--warmup": [number(values.get("warmup_steps", values.get("warmup_ratio", 0.03)))],
               "--compute": [values["bf16"]], "--seed": [str(values.get("seed", defaults.seed))],
               "--order": ["given" if values.get("curriculum_sampling") else "shuffle"],
               "--max-length": [str(values["sequence_len"])]}
    options["--target"] = ["all-linear" if values["lora_target_linear"] else ",".join(values["lora_target_modules"])]
    if values.get("excess_length_strategy") == "truncate":
        options["--truncate"] = ["true"]
    batch(options, values["micro_batch_size"], values["sequence_len"], values["sample_packing"])
    if values.get("max_steps"):
        options["--steps"] = [str(values["max_steps"])]
    else:
        options["--epochs"] = [number(values["num_epochs"])]
    for key, option in {"eval_steps": "--valid-every", "save_steps": "--save-every",
                        "early_stopping_patience": "--patience"}.items():
        if values.get(key, 0) >= 1:
            options[option] = [number(values[key])]
    if values["adapter"] == "qlora":
        options |= {"--base": ["nf4"], "--block-size": ["64"], "--double-quant": ["true"]}
    return options


def fields(instance) -> dict:
    """Every field and its default, as JSON would have it."""
    def json_of(value):
        value = plain(value)
        if isinstance(value, float) and not math.isfinite(value):
            return None
        try:
            return json.loads(json.dumps(value))
        except TypeError:
            return None
    return {f.name: json_of(getattr(instance, f.name)) for f in dataclasses.fields(instance)}


def main() -> None:
    readers = {"peft": lambda name: lora_options(LoraConfig(**load(name))), "sft": sft, "trl_sft": trl_program,
               "trl_job": sft, "unsloth": unsloth, "axolotl": axolotl,
               "training_arguments": lambda name: training_options(TrainingArguments(**on_cpu(load(name))))}
    result = {"fields": {"PEFT": fields(LoraConfig()), "TRL": fields(SFTConfig(use_cpu=True)),
                         "TrainingArguments": fields(TrainingArguments(use_cpu=True)),
                         "trl sft": {**fields(ScriptArguments()), **fields(ModelConfig())}}}
    result["fields"]["PEFT"]["target_modules"] = LLAMA
    result["fields"]["trl sft"]["lora_target_modules"] = LLAMA
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in (".json", ".yaml", ".yml"):
            reader = next(r for kind, r in readers.items() if path.name.startswith(kind))
            result[path.name] = dict(sorted(reader(path.name).items()))
    common.write_json(common.GOLDEN / "migrate.json", result)


if __name__ == "__main__":
    main()
