#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The speeds of ftlib beside what is asked of them: one table, medians of interleaved rounds, fractions of this machine's
own peak as each process measures it beside its work.

    bench.py BUILD MODEL.gguf [--rounds 5] [--peers PYTHON] [--gate | --write-baseline]

BUILD holds the ftlib program and benchmarks/ftlib_benchmarks. Writes build/bench/results.json: every measured object
with machine, instruction set, compiler and commit. --peers: each peer takes its turn in every round (peers.py), run by
this interpreter. --gate: exit 3 where a fraction of the peak fell by more than a tenth below benchmarks/baseline.json; a
machine that has no baseline, or is not quiet, is told so and not judged.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "bench"
GIB = 1 << 30
REFERENCE_PEAK = 890  # GFLOP/s in bf16 of the two cores of which the rates with a star were asked


class Experiment:
    """One command, run once a round; what it printed is kept as lists of objects."""

    def __init__(self, name, command, env=None):
        self.name, self.command, self.env, self.rounds = name, [str(part) for part in command], env or {}, []

    def run(self):
        OUT.mkdir(parents=True, exist_ok=True)  # where --profile leaves its trace
        done = subprocess.run(self.command, capture_output=True, text=True, env={**os.environ, **self.env}, cwd=OUT)
        if done.returncode != 0:
            sys.exit(f"bench: {' '.join(self.command)}\n{done.stderr}")
        self.rounds.append([json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])

    def values(self, key, row=0):
        return [objects[row][key] for objects in self.rounds]

    def median(self, key, row=0):
        return statistics.median(self.values(key, row))


def median_ratio(a, b, key="tokens_per_s"):
    """Of two experiments, round by round: what disturbs a round disturbs both."""
    return statistics.median(x / y for x, y in zip(a.values(key), b.values(key)))


class OpsExperiment(Experiment):
    """google-benchmark's JSON: one object of name and rates a round."""

    def run(self):
        done = subprocess.run(self.command, capture_output=True, text=True, check=True)
        self.rounds.append([{row["name"]: row["elem/s"] for row in json.loads(done.stdout)["benchmarks"]}])


def experiments(build, model):
    def bench(name, what, *options, env=None):
        command = [build / "ftlib", "bench", what, "--json", "--repeats", "1", *options]
        return Experiment(name, command, env)

    def step(name, *options, env=None):
        return bench(name, "step", "--model", model, *options, env=env)

    nf4 = ["--base", "nf4", "--double-quant"]
    found = [
        step("step bf16", "--base", "bf16"),
        step("step nf4", *nf4, "--profile"),
        step("step native"),
        step("step f32", "--base", "f32", "--compute", "f32", "--tokens", "1024"),
        step("step avx2", "--compute", "f32", "--tokens", "1024", env={"FTLIB_FORCE_BACKEND": "avx2"}),
        step("step memory", "--memory", "700MiB"),
        bench("prompt", "generate", "--model", model, "--length", "512", "--max-tokens", "2"),
        bench("generate", "generate", "--model", model, "--length", "1", "--max-tokens", "128"),
        bench("generate after", "generate", "--model", model, "--length", "512", "--max-tokens", "128"),
        bench("batch", "generate", "--model", model, "--length", "64", "--max-tokens", "64", "--prompts", "32"),
        bench("tokenize", "tokenize", "--model", model),
        bench("load native", "load", "--model", model),
        bench("load nf4", "load", "--model", model, *nf4),
        OpsExperiment("nf4", [build / "benchmarks" / "ftlib_benchmarks", "--benchmark_format=json",
                              "--benchmark_filter=BM_nf4_.*quantize/avx512bf16/"]),
    ]
    for shape in ("smollm2-135m", "llama-3.2-1b", "llama-2-7b"):
        found.append(bench(f"gemm {shape}", "gemm", "--shape", shape, *nf4, "--tokens", "512"))
    return found


def steps_rows(e):
    base = e["step bf16"]

    def rate(x):
        return f"{x.median('tokens_per_s'):,.0f} tok/s, {x.median('peak_fraction'):.1%} of peak, " \
               f"{x.median('peak_rss_bytes') / GIB:.2f} GiB"

    def row(name, what, x, ask, good):
        return what, rate(x), ask, good

    def relative(x):
        return median_ratio(x, base)

    nf4, native, f32, avx2, small = (e[f"step {name}"] for name in ("nf4", "native", "f32", "avx2", "memory"))
    yield row("bf16", "LoRA step bf16, 4 x 512, r 16, all linears", base, ">= 65 % of peak, <= 1.3 GiB",
              base.median("peak_fraction") >= 0.65 and base.median("peak_rss_bytes") <= 1.3 * GIB)
    yield ("QLoRA step, NF4 + double quant", f"{relative(nf4):.1%} of the bf16 step, {nf4.median('peak_rss_bytes') / GIB:.2f} GiB",
           ">= 97 %, <= 1.1 GiB", relative(nf4) >= 0.97 and nf4.median("peak_rss_bytes") <= 1.1 * GIB)
    yield "native Q4_1 step", f"{relative(native):.1%} of the bf16 step", ">= 95 %", relative(native) >= 0.95
    yield row("f32", "f32 compute", f32, ">= 65 % of the f32 peak", f32.median("peak_fraction") >= 0.65)
    yield row("avx2", "f32 compute, AVX2 backend", avx2, ">= 55 % of the AVX2 peak", avx2.median("peak_fraction") >= 0.55)
    kept = median_ratio(small, native)
    yield ("native step with --memory 700MiB", f"{kept:.1%} of the unconstrained rate, {small.median('peak_rss_bytes') / 2**20:,.0f} MiB",
           ">= 70 %, <= 700 MiB", kept >= 0.7 and small.median("peak_rss_bytes") <= 700 * 2**20)


def share_of_data(nf4):
    shares = []
    for objects in nf4.rounds:
        rows = {o["op"]: o["seconds"] for o in objects if o["event"] == "profile"}
        shares.append(rows["data"] / rows["all"])
    return statistics.median(shares)


def rate_row(e, what, name, key, ask):
    """A rate that was asked of the reference machine, and what that is for a machine of this one's peak."""
    rate, here = e[name].median(key), ask * e["peak"].median("gflops", -1) / REFERENCE_PEAK
    reached = rate >= ask or ("for this peak" if rate >= here else False)
    return what, f"{rate:,.0f} tok/s", f">= {ask:,} * ({here:,.0f} for this peak)", reached


def other_rows(e):
    for shape in ("smollm2-135m", "llama-3.2-1b", "llama-2-7b"):
        gemm = e[f"gemm {shape}"]
        rows = range(len(gemm.rounds[0]))
        forward = min(gemm.median("forward_peak_fraction", i) for i in rows)
        backward = min(gemm.median("backward_peak_fraction", i) for i in rows)
        yield (f"NF4 GEMM, 512 rows, slowest linear of {shape}", f"forward {forward:.1%}, dgrad {backward:.1%} of peak",
               ">= 85 % / 80 %", forward >= 0.85 and backward >= 0.8)
    if e["nf4"].rounds[0][0]:
        dequantize = e["nf4"].median("BM_nf4_dequantize/avx512bf16/bf16") / 1e9
        quantize = e["nf4"].median("BM_nf4_quantize/avx512bf16/f32") / 1e9
        yield ("NF4 dequantise / quantise in L2, one core", f"{dequantize:.1f} / {quantize:.1f} Gelem/s", ">= 50 / >= 6",
               dequantize >= 50 and quantize >= 6)
    yield rate_row(e, "prompt of 512, Q4_1", "prompt", "prompt_tokens_per_s", 2200)
    yield rate_row(e, "generation of 128, Q4_1", "generate", "new_tokens_per_s", 250)
    yield ("generation of 128 after a prompt of 512", f"{e['generate after'].median('new_tokens_per_s'):,.0f} tok/s", "-", None)
    yield rate_row(e, "generation of 32 sequences at once, in all", "batch", "new_tokens_per_s", 1500)
    rate = e["tokenize"].median("mb_per_s")
    yield "tokenizer, one core", f"{rate:.1f} MB/s", ">= 12 MB/s", rate >= 12
    native, nf4 = e["load native"].median("seconds"), e["load nf4"].median("seconds")
    yield "load the GGUF, file cached", f"native {native:.2f} s, to NF4 {nf4:.2f} s", "<= 0.17 s, <= 0.6 s", native <= 0.17 and nf4 <= 0.6
    share = share_of_data(e["step nf4"])
    yield "data pipeline's share of the step", f"{share:.3%}", "<= 1 %", share <= 0.01


PEERS = [  # name, experiment of ours, what peers.py has to do, keys to compare
    ("PEFT eager, bf16", "step bf16", ["step", "--base", "bf16"], "tokens_per_s"),
    ("PEFT with torch.compile, bf16", "step bf16", ["step", "--base", "bf16", "--compile"], "tokens_per_s"),
    ("PEFT with bitsandbytes, NF4", "step nf4", ["step", "--base", "nf4"], "tokens_per_s"),
    ("PEFT eager, f32", "step f32", ["step", "--base", "f32"], "tokens_per_s"),
    ("llama.cpp, prompt of 512", "prompt", ["generate"], "prompt_tokens_per_s"),
    ("llama.cpp, generation of 128", "generate", ["generate"], "new_tokens_per_s"),
    ("tokenizers, one core", "tokenize", ["tokenize"], "mb_per_s"),
    ("transformers, load the GGUF", "load native", ["load"], "seconds"),
]
UNITS = {"tokens_per_s": "tok/s", "prompt_tokens_per_s": "tok/s", "new_tokens_per_s": "tok/s", "mb_per_s": "MB/s", "seconds": "s"}


def peer_experiments(python, model):
    """One for each task, however many rows it feeds."""
    made = {}
    for _, _, task, _ in PEERS:
        name = "peer " + " ".join(task)
        made[name] = Experiment(name, [python, ROOT / "benchmarks" / "peers.py", task[0], model, *task[1:], "--repeats", 1])
    return list(made.values())


def peer_rows(e):
    for what, ours, task, key in PEERS:
        mine, theirs = e[ours], e["peer " + " ".join(task)]

        def text(x):
            memory = f", {x.median('peak_rss_bytes') / GIB:.2f} GiB" if "peak_rss_bytes" in x.rounds[0][0] else ""
            return f"{x.median(key):,.2f} {UNITS[key]}" + memory

        ratio = median_ratio(mine, theirs, key)
        yield {"what": what, "ftlib": text(mine), "peer": text(theirs), "ratio": 1 / ratio if key == "seconds" else ratio}


def fractions(e):
    """What the gate compares: fractions of the peak, and rates in tokens per GFLOP of it."""
    peak = e["peak"].median("gflops", -1)
    values = {name: e[name].median("peak_fraction") for name in ("step bf16", "step nf4", "step native", "step f32", "step avx2")}
    for name, gemm in e.items():
        if name.startswith("gemm "):
            rows = range(len(gemm.rounds[0]))
            for key in ("forward_peak_fraction", "backward_peak_fraction"):
                values[f"{name} {key}"] = min(gemm.median(key, i) for i in rows)
    for name, key in (("prompt", "prompt_tokens_per_s"), ("generate", "new_tokens_per_s"),
                      ("generate after", "new_tokens_per_s"), ("batch", "new_tokens_per_s")):
        values[f"{name} {key}"] = e[name].median(key) / peak
    return values


def judge(e, baseline):
    """Exit code of the gate."""
    known = json.loads(baseline.read_text()).get(machine()["cpu"]) if baseline.exists() else None
    if known is None:
        print(f"gate: {baseline.name} has no line for {machine()['cpu']}: nothing is judged; --write-baseline adds it")
        return 0
    peaks = e["peak"].values("gflops", -1)
    if min(peaks) < 0.9 * known["peak_gflops"]:
        print(f"gate: this machine is not quiet, its peak fell to {min(peaks):,.0f} of {known['peak_gflops']:,.0f} GFLOP/s: "
              "nothing is judged")
        return 0
    fallen = [f"{name}: {now:.3f}, was {known['values'][name]:.3f}" for name, now in fractions(e).items()
              if now < 0.9 * known["values"].get(name, 0)]
    print("gate: " + ("; ".join(fallen) if fallen else f"all {len(known['values'])} fractions hold"))
    return 3 if fallen else 0


def write_baseline(e, baseline):
    known = json.loads(baseline.read_text()) if baseline.exists() else {}
    known[machine()["cpu"]] = {"peak_gflops": round(e["peak"].median("gflops", -1), 1),
                               "values": {name: round(value, 4) for name, value in fractions(e).items()}}
    baseline.write_text(json.dumps(known, indent=1) + "\n")
    print(f"written: {baseline}")
    return 0


def machine():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    models = [line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")]
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
    return {"cpu": models[0] if models else os.uname().machine, "cpus": os.cpu_count(), "memory_gib": memory,
            "kernel": os.uname().release}


def commit():
    def git(*args):
        done = subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True)
        return done.stdout.strip()
    return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")


def verdict(reached):
    return reached if isinstance(reached, str) else {True: "yes", False: "no", None: ""}[reached]


def print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for what, measured, ask, good in rows:
        print(f"{what:{widths[0]}}  {measured:{widths[1]}}  {ask:{widths[2]}}  {verdict(good)}")


def run_rounds(experiments, rounds):
    for number in range(rounds):
        for experiment in experiments:
            print(f"round {number + 1} of {rounds}: {experiment.name:32}", end="\r", file=sys.stderr, flush=True)
            experiment.run()
    print(" " * 60, end="\r", file=sys.stderr)
    return {experiment.name: experiment for experiment in experiments}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("model", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=pathlib.Path)
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--write-baseline", action="store_true")
    options = parser.parse_args()
    experiments_ = [Experiment("peak", [options.build / "ftlib", "bench", "peak", "--json"]),
                    *experiments(options.build, options.model)]
    if options.peers:
        experiments_ += peer_experiments(options.peers, options.model)
    found = run_rounds(experiments_, options.rounds)
    peak = found["peak"].rounds[0][-1]
    print(f"{machine()['cpu']}, {peak['threads']} threads, {peak['isa']}, {peak['compiler']}: "
          f"{found['peak'].median('gflops', -1):,.0f} GFLOP/s in {peak['compute']}")
    rows = [("what", "measured", "asked", None), *steps_rows(found), *other_rows(found)]
    print_table(rows)
    print(f"* rates asked of a machine with {REFERENCE_PEAK} GFLOP/s in bf16")
    results = {"machine": machine(), "isa": peak["isa"], "compiler": peak["compiler"], "version": peak["version"],
               "commit": commit(), "rounds": options.rounds,
               "table": [dict(zip(("what", "measured", "asked", "reached"), row)) for row in rows[1:]],
               "measured": {name: experiment.rounds for name, experiment in found.items()}}
    if options.peers:
        results["peers"] = list(peer_rows(found))
        print_table([("peer", "ftlib", "peer", None),
                     *((row["what"], row["ftlib"], f"{row['peer']}  ({row['ratio']:.2f} times)", None) for row in results["peers"])])
    (OUT / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"everything measured: {OUT / 'results.json'}")
    baseline = ROOT / "benchmarks" / "baseline.json"
    if options.write_baseline:
        return write_baseline(found, baseline)
    return judge(found, baseline) if options.gate else 0


if __name__ == "__main__":
    sys.exit(main())
