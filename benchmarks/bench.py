#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The speeds of ftlib beside what is asked of them: one table, medians of interleaved rounds, fractions of this
machine's own peak as each process measures it beside its work.

    bench.py BUILD MODEL.gguf [--rounds 5] [--peers PYTHON] [--gate | --write-baseline]

BUILD holds the ftlib program and benchmarks/ftlib_benchmarks. Writes build/bench/results.json: every measured object
with machine, instruction set, compiler and commit. --peers: each peer takes its turn in every round (peers.py), run by
this interpreter; peers.json. --gate: exit 3 where a fraction of the peak fell by more than a tenth below
benchmarks/baseline.json; a machine that has no baseline, or is not quiet, is told so and not judged.
"""
import argparse
import datetime
import functools
import json
import operator
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "bench"
GIB = 1 << 30
REFERENCE_PEAK = 890  # GFLOP/s in bf16 of the two cores of which the figures with a star were asked
SHAPES = {"smollm2-135m": 50, "llama-3.2-1b": 7, "llama-2-7b": 3}  # calls of each linear a round


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

    def best(self, key, row=0):
        """Of a rate. A neighbour on the machine only slows: what the code can do shows in its fastest round."""
        return max(self.values(key, row))


def median_ratio(a, b, key="tokens_per_s"):
    """Of two experiments, round by round: what disturbs a round disturbs both."""
    return statistics.median(x / y for x, y in zip(a.values(key), b.values(key)))


class Nf4Experiment(Experiment):
    """Of google-benchmark's JSON one object a round, elements a second by op; empty where the CPU has no AVX-512."""

    def __init__(self, build):
        wanted = "BM_nf4_(quantize/avx512bf16/f32|(dequantize|copy)/avx512bf16/bf16)$"
        super().__init__("nf4", [build / "benchmarks" / "ftlib_benchmarks", "--benchmark_format=json",
                                 f"--benchmark_filter={wanted}"])

    def run(self):
        done = subprocess.run(self.command, capture_output=True, text=True, check=True)
        rows = json.loads(done.stdout or '{"benchmarks": []}')["benchmarks"]
        self.rounds.append([{row["name"].split("/")[0].removeprefix("BM_nf4_") + "_elements_per_s": row["elem/s"]
                             for row in rows}])


def experiments(build, model):
    def bench(name, what, *options, env=None, repeats=1):
        command = [build / "ftlib", "bench", what, "--json", "--repeats", repeats, *options]
        return Experiment(name, command, env)

    def step(name, *options, env=None):
        return bench(name, "step", "--model", model, *options, env=env)

    nf4 = ["--base", "nf4", "--double-quant"]
    found = [
        step("step bf16", "--base", "bf16"),
        step("step nf4", *nf4, "--profile"),
        step("step native"),
        step("step f32", "--base", "f32", "--compute", "f32"),
        step("step avx2", "--compute", "f32", "--tokens", "1024", env={"FTLIB_FORCE_BACKEND": "avx2"}),
        step("step memory", "--memory", "700MiB"),
        bench("prompt", "generate", "--model", model, "--length", "512", "--max-tokens", "2"),
        bench("generate", "generate", "--model", model, "--length", "1", "--max-tokens", "128"),
        bench("generate after", "generate", "--model", model, "--length", "512", "--max-tokens", "128"),
        bench("batch", "generate", "--model", model, "--length", "64", "--max-tokens", "64", "--prompts", "32"),
        bench("tokenize", "tokenize", "--model", model),
        bench("load native", "load", "--model", model),
        bench("load nf4", "load", "--model", model, *nf4),
        Nf4Experiment(build),
    ]
    for shape, repeats in SHAPES.items():
        found.append(bench(f"gemm {shape}", "gemm", "--shape", shape, *nf4, "--tokens", "512", repeats=repeats))
    return found


def steps_rows(e):
    base = e["step bf16"]

    def rate(x):
        return f"{x.median('tokens_per_s'):,.0f} tok/s, {x.median('peak_fraction'):.1%} of peak, " \
               f"{x.median('peak_rss_bytes') / GIB:.2f} GiB"

    def row(what, x, ask, good):
        return what, rate(x), ask, good

    def relative(x):
        return median_ratio(x, base)

    nf4, native, f32, avx2, small = (e[f"step {name}"] for name in ("nf4", "native", "f32", "avx2", "memory"))
    yield row("LoRA step bf16, 4 x 512, r 16, all linears", base, ">= 65 % of peak, <= 1.3 GiB",
              base.median("peak_fraction") >= 0.65 and base.median("peak_rss_bytes") <= 1.3 * GIB)
    yield ("QLoRA step, NF4 + double quant",
           f"{relative(nf4):.1%} of the bf16 step, {nf4.median('peak_rss_bytes') / GIB:.2f} GiB",
           ">= 97 %, <= 1.1 GiB", relative(nf4) >= 0.97 and nf4.median("peak_rss_bytes") <= 1.1 * GIB)
    yield "native Q4_1 step", f"{relative(native):.1%} of the bf16 step", ">= 95 %", relative(native) >= 0.95
    yield row("f32 compute", f32, ">= 65 % of the f32 peak", f32.median("peak_fraction") >= 0.65)
    yield row("f32 compute, AVX2 backend", avx2, ">= 55 % of the AVX2 peak",
              avx2.median("peak_fraction") >= 0.55)
    kept = median_ratio(small, native)
    yield ("native step with --memory 700MiB",
           f"{kept:.1%} of the unconstrained rate, {small.median('peak_rss_bytes') / 2**20:,.0f} MiB",
           ">= 70 %, <= 700 MiB", kept >= 0.7 and small.median("peak_rss_bytes") <= 700 * 2**20)


def share_of_data(nf4):
    shares = []
    for objects in nf4.rounds:
        rows = {o["op"]: o["seconds"] for o in objects if o["event"] == "profile"}
        shares.append(rows["data"] / rows["all"])
    return statistics.median(shares)


def starred(good, good_for_this_peak):
    """The verdict on a figure that was asked of the reference machine."""
    return good or ("for this peak" if good_for_this_peak else False)


def rate_row(e, what, name, key, ask):
    rate, here = e[name].median(key), ask * e["peak"].median("gflops", -1) / REFERENCE_PEAK
    return what, f"{rate:,.0f} tok/s", f">= {ask:,} * ({here:,.0f} for this peak)", starred(rate >= ask, rate >= here)


def linears(e):
    """Every linear of the three shapes, with medians over the rounds."""
    for shape in SHAPES:
        gemm = e[f"gemm {shape}"]
        for i, row in enumerate(gemm.rounds[0]):
            yield {"shape": shape, "linear": row["linear"], "weight": row["weight"],
                   "forward": gemm.median("forward_peak_fraction", i),
                   "backward": gemm.median("backward_peak_fraction", i)}


def nf4_row(nf4):
    """With the ceiling that the same process measured: the codes read, as much written, nothing computed."""
    dequantize, quantize = (nf4.median(f"{op}_elements_per_s") / 1e9 for op in ("dequantize", "quantize"))
    copied = statistics.median(row["dequantize_elements_per_s"] / row["copy_elements_per_s"] for row, in nf4.rounds)
    return ("NF4 dequantise / quantise in L2, one core",
            f"{dequantize:.1f} / {quantize:.1f} Gelem/s; dequantise {copied:.0%} of copying", ">= 50 / >= 6",
            dequantize >= 50 and quantize >= 6)


def other_rows(e):
    for shape in SHAPES:
        rows = [row for row in linears(e) if row["shape"] == shape]
        forward, backward = (min(row[way] for row in rows) for way in ("forward", "backward"))
        yield (f"NF4 GEMM, 512 rows, slowest linear of {shape}", f"forward {forward:.1%}, dgrad {backward:.1%} of peak",
               ">= 85 % / 80 %", forward >= 0.85 and backward >= 0.8)
    if e["nf4"].rounds[0][0]:
        yield nf4_row(e["nf4"])
    yield rate_row(e, "prompt of 512, Q4_1", "prompt", "prompt_tokens_per_s", 2200)
    yield rate_row(e, "generation of 128, Q4_1", "generate", "new_tokens_per_s", 250)
    after = e["generate after"].median("new_tokens_per_s")
    yield "generation of 128 after a prompt of 512", f"{after:,.0f} tok/s", "-", None
    yield rate_row(e, "generation of 32 sequences at once, in all", "batch", "new_tokens_per_s", 1500)
    rate = e["tokenize"].median("mb_per_s")
    yield "tokenizer, one core", f"{rate:.1f} MB/s", ">= 12 MB/s", rate >= 12
    native, nf4 = e["load native"].median("seconds"), e["load nf4"].median("seconds")
    yield ("load the GGUF, file cached", f"native {native:.2f} s, to NF4 {nf4:.2f} s", "<= 0.17 s, <= 0.6 s",
           native <= 0.17 and nf4 <= 0.6)
    share = share_of_data(e["step nf4"])
    yield "data pipeline's share of the step", f"{share:.3%}", "<= 1 %", share <= 0.01


def time_row(what, seconds, ask, gflops):
    """A time that was asked of the reference machine: one with half its peak may take twice as long."""
    here = ask * REFERENCE_PEAK / gflops
    reached = starred(seconds <= ask, seconds <= here)
    return what, f"{seconds:,.0f} s", f"<= {ask} s * ({here:,.0f} for this peak)", reached


def demo_rows(times):
    """Of what ./run demo measured of itself. It is cold where it had to build its own program."""
    gflops, seconds = times["gflops"], times["seconds"]
    for name, epoch in times["epoch_seconds"].items():
        yield time_row(f"demo epoch, {name}", epoch, 60, gflops)
    first, whole = "demo: first answer on screen", "demo: all of it"
    if times["cold"]:
        yield "demo: packages and program ready, cold", f"{seconds['build']:,.0f} s", "-", None
        yield time_row(f"{first}, cold", seconds["first_answer"], 120, gflops)
        yield time_row(f"{whole}, cold", seconds["all"], 300, gflops)
    else:
        yield f"{first}, program built before", f"{seconds['first_answer']:,.0f} s", "-", None
        yield f"{whole}, program built before", f"{seconds['all']:,.0f} s", "-", None


PEERS = [  # name, experiment of ours, what peers.py has to do, keys to compare
    ("PEFT eager, bf16", "step bf16", ["step", "--base", "bf16"], "tokens_per_s"),
    ("PEFT with torch.compile, bf16", "step bf16", ["step", "--base", "bf16", "--compile"], "tokens_per_s"),
    ("PEFT with gradient checkpointing, bf16", "step memory", ["step", "--checkpointing"], "tokens_per_s"),
    ("PEFT with bitsandbytes, NF4", "step nf4", ["step", "--base", "nf4"], "tokens_per_s"),
    ("PEFT eager, f32", "step f32", ["step", "--base", "f32"], "tokens_per_s"),
    ("llama.cpp, prompt of 512", "prompt", ["generate"], "prompt_tokens_per_s"),
    ("llama.cpp, generation of 128", "generate", ["generate"], "new_tokens_per_s"),
    ("tokenizers, one core", "tokenize", ["tokenize"], "mb_per_s"),
    ("transformers, load the GGUF", "load native", ["load"], "seconds"),
    ("llama.cpp, load the GGUF", "load native", ["load_llama_cpp"], "seconds"),
    ("bitsandbytes, NF4 dequantise in L2, one core", "nf4", ["nf4"], "dequantize_elements_per_s"),
    ("bitsandbytes, NF4 quantise in L2, one core", "nf4", ["nf4"], "quantize_elements_per_s"),
]
UNITS = {"tokens_per_s": (1, "tok/s"), "prompt_tokens_per_s": (1, "tok/s"), "new_tokens_per_s": (1, "tok/s"),
         "mb_per_s": (1, "MB/s"), "seconds": (1, "s"), "dequantize_elements_per_s": (1e9, "Gelem/s"),
         "quantize_elements_per_s": (1e9, "Gelem/s")}


def peer_experiments(python, model):
    """One for each task, however many rows it feeds."""
    made = {}
    for _, _, task, _ in PEERS:
        name = "peer " + " ".join(task)
        command = [python, ROOT / "benchmarks" / "peers.py", task[0], model, *task[1:], "--repeats", 1]
        made[name] = Experiment(name, command)
    return list(made.values())


def peer_rows(e):
    for what, ours, task, key in PEERS:
        mine, theirs = e[ours], e["peer " + " ".join(task)]
        if key not in mine.rounds[0][0]:
            continue
        scale, unit = UNITS[key]

        def text(x):
            memory = f", {x.median('peak_rss_bytes') / GIB:.2f} GiB" if "peak_rss_bytes" in x.rounds[0][0] else ""
            return f"{x.median(key) / scale:,.2f} {unit}" + memory

        ratio = median_ratio(mine, theirs, key)
        yield {"what": what, "ftlib": text(mine), "peer": text(theirs),
               "ratio": 1 / ratio if key == "seconds" else ratio}


def best_fraction(experiment, way="", row=0):
    """The fastest round over the typical peak: a peak that a neighbour disturbed would flatter its own round."""
    rates, shares = (experiment.values(way + key, row) for key in ("gflops", "peak_fraction"))
    return experiment.best(way + "gflops", row) / statistics.median(map(operator.truediv, rates, shares))


def fractions(e):
    """What the gate compares, each of its fastest round: fractions of the peak, and rates in tokens per GFLOP of it."""
    peak = e["peak"].median("gflops", -1)
    steps = ("step bf16", "step nf4", "step native", "step f32", "step avx2")
    values = {name: best_fraction(e[name]) for name in steps}
    for shape in SHAPES:
        gemm = e[f"gemm {shape}"]
        for way in ("forward_", "backward_"):
            values[f"gemm {shape} {way}peak_fraction"] = min(
                best_fraction(gemm, way, row) for row in range(len(gemm.rounds[0])))
    for name, key in (("prompt", "prompt_tokens_per_s"), ("generate", "new_tokens_per_s"),
                      ("generate after", "new_tokens_per_s"), ("batch", "new_tokens_per_s")):
        values[f"{name} {key}"] = e[name].best(key) / peak
    return values


def gate_key(e):
    """Tells machines apart that share a name, as the guests of one cloud do."""
    m, peak = machine(), e["peak"].rounds[0][-1]
    return f"{m['cpu']}, family {m['family']}, model {m['model']}, {peak['isa']}, {peak['threads']} threads"


def why_not_judged(peaks, known):
    """Of the peaks of the rounds, where they are not those of the baseline's machine in a quiet hour; else None."""
    if min(peaks) < 0.9 * known:
        return f"this machine is not quiet, its peak fell to {min(peaks):,.0f} of {known:,.0f} GFLOP/s"
    if statistics.median(peaks) > 1.1 * known:
        return (f"this is another machine, its peak of {statistics.median(peaks):,.0f} GFLOP/s is far above "
                f"{known:,.0f}")
    return None


def judge(e, baseline):
    """Exit code of the gate."""
    known = json.loads(baseline.read_text()).get(gate_key(e)) if baseline.exists() else None
    reason = (f"{baseline.name} has no line for {gate_key(e)}; --write-baseline adds it" if known is None
              else why_not_judged(e["peak"].values("gflops", -1), known["peak_gflops"]))
    if reason:
        print(f"gate: {reason}: nothing is judged")
        return 0
    fallen = [f"{name}: {now:.3f}, was {known['values'][name]:.3f}" for name, now in fractions(e).items()
              if now < 0.9 * known["values"].get(name, 0)]
    print("gate: " + ("; ".join(fallen) if fallen else f"all {len(known['values'])} fractions hold"))
    return 3 if fallen else 0


def write_baseline(e, baseline):
    known = json.loads(baseline.read_text()) if baseline.exists() else {}
    known[gate_key(e)] = {"peak_gflops": round(e["peak"].median("gflops", -1), 1),
                          "values": {name: round(value, 4) for name, value in fractions(e).items()}}
    baseline.write_text(json.dumps(known, indent=1) + "\n")
    print(f"written: {baseline}")
    return 0


def machine():
    cpu = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        cpu.setdefault(name.strip(), value.strip())
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
    return {"cpu": cpu.get("model name", os.uname().machine), "family": cpu.get("cpu family", "?"),
            "model": cpu.get("model", "?"), "cpus": os.cpu_count(), "memory_gib": memory, "kernel": os.uname().release}


@functools.cache
def commit():
    """That of the program that is measured: asked once, before the report's own pages count as changes."""
    def git(*args):
        done = subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True)
        return done.stdout.strip()
    return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")


def stamp(peak, rounds):
    """What belongs to a table: where, when and of what it was measured. `peak`: peak_experiment's rounds."""
    row = peak.rounds[0][-1]
    return {"machine": machine(), **{key: row[key] for key in ("isa", "compute", "threads", "compiler", "version")},
            "gflops": peak.median("gflops", -1), "commit": commit(), "date": datetime.date.today().isoformat(),
            "rounds": rounds}


def stamp_text(s):
    m, (revision, *changes) = s["machine"], s["commit"].partition("+")
    return (f"{m['cpu']}, {m['cpus']} CPUs, {m['memory_gib']} GiB; {s['isa']} at {s['gflops']:,.0f} GFLOP/s in "
            f"{s['compute']}; {s['compiler']}; commit {revision[:12]}{''.join(changes)}; {s['date']}; "
            f"rounds: {s['rounds']}.")


def peak_experiment(build):
    return Experiment("peak", [build / "ftlib", "bench", "peak", "--json"])


def demo_times():
    """What the last ./run demo on this machine wrote, with the stamp of a table; None where its records were others."""
    path = ROOT / "build" / "demo" / "times.json"
    times = json.loads(path.read_text()) if path.exists() else {"comparable": False}
    return {"machine": machine(), "rounds": 1, **times} if times["comparable"] else None


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
    experiments_ = [peak_experiment(options.build), *experiments(options.build, options.model)]
    if options.peers:
        experiments_ += peer_experiments(options.peers, options.model)
    found = run_rounds(experiments_, options.rounds)
    results = stamp(found["peak"], options.rounds)
    print(stamp_text(results))
    rows = [*steps_rows(found), *other_rows(found)]
    print_table([("what", "measured", "asked", None), *rows])
    print(f"* asked of a machine with {REFERENCE_PEAK} GFLOP/s in bf16")
    results |= {"table": [dict(zip(("what", "measured", "asked", "reached"), row)) for row in rows],
                "linears": list(linears(found)),
                "measured": {name: experiment.rounds for name, experiment in found.items()}}
    print_table([("NF4 GEMM, 512 rows", "forward, of peak", "dgrad, of peak", None),
                 *((f"{row['shape']} {row['linear']}", f"{row['forward']:.1%}", f"{row['backward']:.1%}", None)
                   for row in results["linears"])])
    times = demo_times()
    if times:
        print(f"The last ./run demo. {stamp_text(times)}")
        print_table(list(demo_rows(times)))
    if options.peers:
        peers = list(peer_rows(found))
        kept = {**stamp(found["peak"], options.rounds), "peers": peers}
        print_table([("peer", "ftlib", "peer", None),
                     *((row["what"], row["ftlib"], f"{row['peer']}  ({row['ratio']:.2f} times)", None)
                       for row in peers)])
        (OUT / "peers.json").write_text(json.dumps(kept, indent=1) + "\n")
    (OUT / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"everything measured: {OUT / 'results.json'}")
    baseline = ROOT / "benchmarks" / "baseline.json"
    if options.write_baseline:
        return write_baseline(found, baseline)
    return judge(found, baseline) if options.gate else 0


if __name__ == "__main__":
    sys.exit(main())
