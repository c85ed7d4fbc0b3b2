#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the cost of a step grows: measures the sweeps and writes docs/performance.md with a table and an SVG plot each.

    report.py BUILD MODEL.gguf [--rounds 3] [--only NAME,...]

Points of a sweep are measured in turn, round by round, and their medians taken; what was measured lies in
build/bench/report.json, and what --only leaves out comes from there. The first table of the page is bench.py's.
"""
import argparse
import dataclasses
import datetime
import json
import pathlib
import sys

import bench

ROOT = bench.ROOT
DOCS = ROOT / "docs"
NF4 = ["--base", "nf4", "--double-quant"]


@dataclasses.dataclass
class Sweep:
    name: str
    title: str
    axis: str
    points: list          # of x
    options: object       # x -> options of `ftlib bench step`
    note: str
    logarithmic: bool = True
    shape: bool = False   # the model is a random one of that shape


SWEEPS = [
    Sweep("tokens", "Tokens a step", "tokens a step, segments of 256", [256, 512, 1024, 2048, 4096, 8192, 16384],
          lambda x: ["--tokens", x, "--length", 256], "Asked: the rate flat within 5 % from 1,024 tokens up."),
    Sweep("context", "Length of the context", "tokens a segment, 8,192 a step", [128, 256, 512, 1024, 2048, 4096, 8192],
          lambda x: ["--tokens", 8192, "--length", x],
          "Asked: the time follows the FLOP model within 15 %, that is, the fraction of the peak stays; memory does not "
          "grow with the square of the length."),
    Sweep("rank", "Rank of the adapter", "rank, all linears", [4, 16, 64, 256], lambda x: ["--rank", x],
          "The FLOP model counts the adapter's own products."),
    Sweep("supervised", "Supervised share", "% of the tokens that are supervised", [10, 20, 50, 100],
          lambda x: ["--supervise-every", 100 // x], "Asked: the head's cost follows the supervised rows.", False),
    Sweep("threads", "Threads", "threads", [1, 2], lambda x: ["--threads", x], "Asked: at least 1.9 times the rate on two.", False),
    Sweep("model", "Size of the model", "random weights in this shape, NF4 with double quantisation, 512 tokens",
          ["smollm2-135m", "llama-3.2-1b", "llama-2-7b"], lambda x: [*NF4, "--tokens", 512, "--length", 512],
          "Asked of the 7 B shape: at least 60 % of the peak within 8 GiB.", False, True),
]


def measure(sweep, build, model, rounds):
    experiments = []
    for x in sweep.points:
        source = ["--shape", x] if sweep.shape else ["--model", model]
        experiments.append(bench.Experiment(str(x), [build / "ftlib", "bench", "step", "--json", "--repeats", 1, *source,
                                                     *sweep.options(x)]))
    for _ in range(rounds):
        for experiment in experiments:
            print(f"{sweep.name}: {experiment.name:16}", end="\r", file=sys.stderr, flush=True)
            experiment.run()
    keys = ("tokens_per_s", "seconds", "peak_fraction", "peak_rss_bytes")
    return [{"x": x, **{key: e.median(key) for key in keys}} for x, e in zip(sweep.points, experiments)]


def table(sweep, rows):
    lines = [f"| {sweep.axis} | tokens/s | seconds a step | of peak | peak memory |", "|---|---|---|---|---|"]
    for row in rows:
        x = f"{row['x']:,}" if isinstance(row["x"], int) else row["x"]
        lines.append(f"| {x} | {row['tokens_per_s']:,.0f} | {row['seconds']:.2f} | {row['peak_fraction']:.1%} | "
                     f"{row['peak_rss_bytes'] / bench.GIB:.2f} GiB |")
    return "\n".join(lines)


def plot(sweep, rows):
    """Fraction of the peak over the sweep: 0 to 1, one point a measurement."""
    width, height, left, top = 640, 280, 60, 20
    inner, bottom = width - left - 30, height - 50
    count = len(rows)
    places = [left + inner * (i + 0.5) / count for i in range(count)]
    if sweep.logarithmic is False and all(isinstance(row["x"], int) for row in rows):
        most = max(row["x"] for row in rows)
        places = [left + inner * row["x"] / (most * 1.08) for row in rows]

    def y(value):
        return bottom - (bottom - top) * value

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
             'font-family="sans-serif" font-size="12">', f'<rect width="{width}" height="{height}" fill="white"/>',
             f'<title>{sweep.title}: fraction of the peak</title>']
    for tenth in range(0, 11, 2):
        line = y(tenth / 10)
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{line:.1f}" y2="{line:.1f}" stroke="#ddd"/>'
                     f'<text x="{left - 8}" y="{line + 4:.1f}" text-anchor="end" fill="#555">{tenth * 10} %</text>')
    path = " ".join(f"{x:.1f},{y(row['peak_fraction']):.1f}" for x, row in zip(places, rows))
    parts.append(f'<polyline points="{path}" fill="none" stroke="#1f6feb" stroke-width="2"/>')
    for x, row in zip(places, rows):
        point, label = y(row["peak_fraction"]), f"{row['x']:,}" if isinstance(row["x"], int) else row["x"]
        parts.append(f'<circle cx="{x:.1f}" cy="{point:.1f}" r="3.5" fill="#1f6feb"/>'
                     f'<text x="{x:.1f}" y="{point - 9:.1f}" text-anchor="middle">{row["tokens_per_s"]:,.0f}</text>'
                     f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="#555">{label}</text>')
    parts.append(f'<text x="{left + inner / 2}" y="{height - 10}" text-anchor="middle">{sweep.axis}; above the points: tokens/s</text></svg>')
    return "\n".join(parts) + "\n"


def equal_time_lines(result):
    """What equal_time.py found."""
    def row(name, r, seconds):
        return f"| {name} | {seconds:.0f} s | {r['peak_rss_bytes'] / bench.GIB:.1f} GiB | {r['loss']:.3f} | {r['metrics']['rouge-l']:.3f} |"

    def interval(d):
        return f"{d['difference']:.3f} [{d['low']:.3f}, {d['high']:.3f}]"

    trl, ours, difference = result["trl"], result["ftlib"], result["difference"]
    return ["## TRL's epoch, the same records", "",
            "One epoch of each recipe over the demo's 500 records; the held-out loss and ROUGE-L are `ftlib eval`'s for both.", "",
            "| | training | peak memory | loss | ROUGE-L |", "|---|---|---|---|---|", row("TRL, PEFT", trl, trl["seconds"]),
            row("ftlib", ours, ours["train_seconds"]), "",
            f"Paired difference and 95 % interval: loss {interval(difference['loss'])}, ROUGE-L "
            f"{interval(difference['metrics']['rouge-l'])}.", ""]


def page(machine, measured, results):
    peak = measured["peak"]
    lines = ["# Performance", "", "```sh",
             "./run ftlib bench step --model build/demo/model.gguf --tokens 512 --length 256 --repeats 1", "```", "",
             "Written by `./run bench --report`. Every speed is a fraction of what the same process makes of multiply-adds that "
             "never leave the registers, so that tables of different machines can be compared.", "",
             f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['memory_gib']} GiB; {peak['isa']} at {peak['gflops']:,.0f} GFLOP/s in "
             f"{peak['compute']}; {peak['compiler']}; commit {measured['commit'][:12]}; {measured['date']}. "
             f"Rounds of each sweep: {measured['rounds']}.", ""]
    if results:
        lines += ["## What is asked, and what this machine reaches", "", "| what | measured | asked | reached |", "|---|---|---|---|"]
        lines += [f"| {r['what']} | {r['measured']} | {r['asked']} | {bench.verdict(r['reached'])} |" for r in results["table"]]
        lines += ["", f"\\* rates asked of two cores with {bench.REFERENCE_PEAK} GFLOP/s in bf16. Medians of {results['rounds']} interleaved rounds.", ""]
        if "peers" in results:
            lines += ["## Beside the peers, in the same rounds", "", "| what | ftlib | peer |", "|---|---|---|"]
            lines += [f"| {r['what']} | {r['ftlib']} | {r['peer']} |" for r in results["peers"]] + [""]
    equal_time = bench.OUT / "equal-time.json"
    if equal_time.exists():
        lines += equal_time_lines(json.loads(equal_time.read_text()))
    for sweep in SWEEPS:
        if sweep.name not in measured["sweeps"]:
            continue
        rows = measured["sweeps"][sweep.name]
        (DOCS / f"performance-{sweep.name}.svg").write_text(plot(sweep, rows))
        lines += [f"## {sweep.title}", "", sweep.note, "", table(sweep, rows), "",
                  f"![{sweep.title}: fraction of the peak](performance-{sweep.name}.svg)", ""]
    (DOCS / "performance.md").write_text("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("model", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(sweep.name for sweep in SWEEPS))
    options = parser.parse_args()
    kept = bench.OUT / "report.json"
    measured = json.loads(kept.read_text()) if kept.exists() else {"sweeps": {}}
    peak = bench.Experiment("peak", [options.build / "ftlib", "bench", "peak", "--json"])
    peak.run()
    measured.update(peak=peak.rounds[0][-1], commit=bench.commit(), date=datetime.date.today().isoformat(),
                    rounds=options.rounds)
    for sweep in SWEEPS:
        if sweep.name in options.only.split(","):
            measured["sweeps"][sweep.name] = measure(sweep, options.build, options.model, options.rounds)
            kept.write_text(json.dumps(measured, indent=1) + "\n")
    results = bench.OUT / "results.json"
    page(bench.machine(), measured, json.loads(results.read_text()) if results.exists() else None)
    print(f"written: {DOCS / 'performance.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
