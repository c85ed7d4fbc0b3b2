#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the cost of a step grows: measures the sweeps and writes docs/performance.md with a table and an SVG plot each.

    report.py BUILD MODEL.gguf [--rounds 5] [--only NAME,...]

Points of a sweep are measured in turn, round by round, and their medians taken; what was measured lies in
build/bench/report.json, and what --only leaves out comes from there. The other tables of the page are what the last
./run bench, ./run bench --peers, ./run bench --equal-time and ./run demo on this machine found. Each table says of
which commit and day it is, and the page says which are missing.
"""
import argparse
import dataclasses
import json
import pathlib
import statistics
import sys

import bench

ROOT = bench.ROOT
DOCS = ROOT / "docs"
NF4 = ["--base", "nf4", "--double-quant"]


def relative(rows, key):
    """Each point beside the mean of its round, in the median round: what disturbs a round disturbs all its points."""
    rounds = list(zip(*(row["rounds"][key] for row in rows)))
    return [statistics.median(values[i] / statistics.mean(values) for values in rounds) for i in range(len(rows))]


def flatness(rows, key):
    """The lowest point as a share of the highest."""
    values = relative(rows, key)
    return min(values) / max(values)


def judge_tokens(rows):
    """By the medians, as asked; each point's fastest round beside them, since a neighbour on the machine only slows."""
    asked = [row for row in rows if row["x"] >= 1024]
    flat, best = flatness(asked, "tokens_per_s"), [max(row["rounds"]["tokens_per_s"]) for row in asked]
    return (f"from 1,024 tokens up the slowest rate is {flat:.1%} of the fastest (of the points' fastest rounds "
            f"{min(best) / max(best):.1%})"), flat >= 0.95


def judge_context(rows):
    flat, memory = flatness(rows, "gflops"), rows[-1]["peak_rss_bytes"] / rows[0]["peak_rss_bytes"]
    return (f"the lowest FLOP/s are {flat:.1%} of the highest; {rows[-1]['x'] // rows[0]['x']} times the length takes "
            f"{memory:.2f} times the memory"), flat >= 0.85 and memory <= 1.05


def judge_supervised(rows):
    flat = flatness(rows, "head_seconds_per_token")
    return f"the head's lowest time for a supervised token is {flat:.1%} of its highest", flat >= 0.85


def judge_threads(rows):
    one, two = (row["rounds"]["tokens_per_s"] for row in rows)
    ratio = statistics.median(b / a for a, b in zip(one, two))
    return f"{ratio:.2f} times", ratio >= 1.9


def judge_model(rows):
    row = next(row for row in rows if row["x"] == "llama-2-7b")
    gib = row["peak_rss_bytes"] / bench.GIB
    return f"{row['peak_fraction']:.1%} of the peak, {gib:.2f} GiB", row["peak_fraction"] >= 0.6 and gib <= 8


@dataclasses.dataclass
class Sweep:
    name: str
    title: str
    axis: str
    points: list          # of x
    options: object       # x -> options of `ftlib bench step`
    note: str
    judge: object = None  # rows -> what was found, and whether it is what the note says was asked
    logarithmic: bool = True
    shape: bool = False   # the model is a random one of that shape
    repeats: object = lambda x: 1  # x -> steps a round, of which the median counts


SWEEPS = [
    Sweep("tokens", "Tokens a step", "tokens a step, segments of 256", [256, 512, 1024, 2048, 4096, 8192, 16384],
          lambda x: ["--tokens", x, "--length", 256],
          "A round of a point: as many steps as make 8,192 tokens. Asked: the rate flat within 5 % from 1,024 tokens "
          "up.", judge_tokens, repeats=lambda x: max(1, 8192 // x)),
    Sweep("context", "Length of the context", "tokens a segment, 8,192 a step",
          [128, 256, 512, 1024, 2048, 4096, 8192], lambda x: ["--tokens", 8192, "--length", x],
          "Asked: the time follows the FLOP model within 15 %, that is, the FLOP/s stay; memory does not grow with the "
          "square of the length (here: by no more than 5 %).", judge_context),
    Sweep("rank", "Rank of the adapter", "rank, all linears", [4, 16, 64, 256], lambda x: ["--rank", x],
          "The FLOP model counts the adapter's own products."),
    Sweep("supervised", "Supervised share", "% of the tokens that are supervised", [10, 20, 50, 100],
          lambda x: ["--supervise-every", 100 // x, "--profile"],
          "Asked: the head's cost follows the supervised rows (here: within 15 %). The head: its product, its backward "
          "and the loss, as --profile times them.", judge_supervised, False),
    Sweep("threads", "Threads", "threads", [1, 2], lambda x: ["--threads", x],
          "A round: three steps on each. Asked: at least 1.9 times the rate on two.", judge_threads, False,
          repeats=lambda x: 3),
    Sweep("model", "Size of the model", "random weights in this shape, NF4 with double quantisation, 512 tokens",
          list(bench.SHAPES), lambda x: [*NF4, "--tokens", 512, "--length", 512],
          "Asked of the 7 B shape: at least 60 % of the peak within 8 GiB.", judge_model, False, True),
]


def head_seconds_per_token(step, profile):
    """Of the products with as many columns as the vocabulary has words, the most of all, and of the loss."""
    words = max(row.get("columns", 0) for row in profile)
    head = [row["seconds"] for row in profile if row.get("columns") == words or row["op"] == "cross_entropy"]
    return sum(head) / step["supervised_tokens"]


def values_of(objects):
    """What one run of `ftlib bench step` said."""
    step, *profile = objects
    values = {key: step[key] for key in ("tokens_per_s", "seconds", "gflops", "peak_fraction", "peak_rss_bytes")}
    if profile:
        values["head_seconds_per_token"] = head_seconds_per_token(step, profile)
    return values


def measure(sweep, build, model, rounds):
    peak, experiments = bench.peak_experiment(build), []
    for x in sweep.points:
        source = ["--shape", x] if sweep.shape else ["--model", model]
        command = [build / "ftlib", "bench", "step", "--json", "--repeats", sweep.repeats(x), *source,
                   *sweep.options(x)]
        experiments.append(bench.Experiment(f"{sweep.name} {x}", command))
    bench.run_rounds([peak, *experiments], rounds)
    rows = []
    for x, experiment in zip(sweep.points, experiments):
        found = [values_of(objects) for objects in experiment.rounds]
        by_key = {key: [values[key] for values in found] for key in found[0]}
        rows.append({"x": x, "rounds": by_key, **{key: statistics.median(all) for key, all in by_key.items()}})
    return {**bench.stamp(peak, rounds), "rows": rows}


def table(sweep, rows):
    head = [sweep.axis, "tokens/s", "seconds a step", "of peak", "peak memory"]
    with_head = "head_seconds_per_token" in rows[0]
    if with_head:
        head.append("head, ms per 1,000 supervised")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        x = f"{row['x']:,}" if isinstance(row["x"], int) else row["x"]
        cells = [x, f"{row['tokens_per_s']:,.0f}", f"{row['seconds']:.2f}", f"{row['peak_fraction']:.1%}",
                 f"{row['peak_rss_bytes'] / bench.GIB:.2f} GiB"]
        if with_head:
            cells.append(f"{row['head_seconds_per_token'] * 1e6:,.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict_text(sweep, rows):
    """Empty where nothing was asked."""
    if sweep.judge is None:
        return ""
    found, good = sweep.judge(rows)
    return f"Found: {found}: {bench.verdict(good)}."


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

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
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
    parts.append(f'<text x="{left + inner / 2}" y="{height - 10}" text-anchor="middle">{sweep.axis}; above the points: '
                 'tokens/s</text></svg>')
    return "\n".join(parts) + "\n"


def ask_table(rows):
    return ["| what | measured | asked | reached |", "|---|---|---|---|",
            *(f"| {what} | {measured} | {asked} | {bench.verdict(good)} |" for what, measured, asked, good in rows)]


def results_lines(results):
    """What bench.py found."""
    rows = [[row[key] for key in ("what", "measured", "asked", "reached")] for row in results["table"]]
    lines = [*ask_table(rows), "", f"\\* asked of two cores with {bench.REFERENCE_PEAK} GFLOP/s in bf16.", "",
             "The linears of one layer over NF4 with double quantisation, 512 rows:", "",
             "| model | linear | weight | forward | dgrad |", "|---|---|---|---|---|"]
    lines += [f"| {row['shape']} | {row['linear']} | {row['weight']} | {row['forward']:.1%} | {row['backward']:.1%} |"
              for row in results["linears"]]
    return lines


def peer_lines(results):
    return ["| what | ftlib | peer |", "|---|---|---|",
            *(f"| {row['what']} | {row['ftlib']} | {row['peer']} |" for row in results["peers"])]


def equal_time_lines(result):
    """What equal_time.py found."""
    def row(name, r, seconds):
        memory = r["peak_rss_bytes"] / bench.GIB
        return f"| {name} | {seconds:.0f} s | {memory:.1f} GiB | {r['loss']:.3f} | {r['metrics']['rouge-l']:.3f} |"

    def interval(d):
        return f"{d['difference']:.3f} [{d['low']:.3f}, {d['high']:.3f}]"

    trl, ours, difference = result["trl"], result["ftlib"], result["difference"]
    three = bench.time_row("three epochs", result["three_epochs"]["train_seconds"], 180, result["gflops"])
    return ["One epoch of each recipe over the demo's 500 records; the held-out loss and ROUGE-L are `ftlib eval`'s "
            "for both.", "", "| | training | peak memory | loss | ROUGE-L |", "|---|---|---|---|---|",
            row("TRL, PEFT", trl, trl["seconds"]), row("ftlib", ours, ours["train_seconds"]), "",
            f"Paired difference and 95 % interval: loss {interval(difference['loss'])}, ROUGE-L "
            f"{interval(difference['metrics']['rouge-l'])}.", "", *ask_table([three])]


def sweep_lines(sweep, measured):
    rows = measured["rows"]
    return [*filter(None, [sweep.note, verdict_text(sweep, rows)]), "", table(sweep, rows), "",
            f"![{sweep.title}: fraction of the peak](performance-{sweep.name}.svg)"]


def part(title, measured, lines, command):
    """A section with its stamp; where nothing was measured yet, the command that does it."""
    if measured is None:
        print(f"missing: {title}: {command} measures it", file=sys.stderr)
        return [f"## {title}", "", f"Not measured: `{command}` does it.", ""]
    return [f"## {title}", "", bench.stamp_text(measured), "", *lines(measured), ""]


def load(name):
    """A file of build/bench as it is written now, with its stamp; else None."""
    path = bench.OUT / name
    found = json.loads(path.read_text()) if path.exists() else {}
    return found if "date" in found else None


def page(sweeps):
    lines = ["# Performance", "", "```sh",
             "./run ftlib bench step --model build/demo/model.gguf --tokens 512 --length 256 --repeats 1", "```", "",
             "Written by `./run bench --report`. Every speed is a fraction of what the same process makes of "
             "multiply-adds that never leave the registers, so that tables of different machines can be compared. "
             "Figures are medians of the rounds; the things of one table take turns in each.", ""]
    lines += part("What is asked, and what this machine reaches", load("results.json"), results_lines, "./run bench")
    lines += part("The demo", bench.demo_times(), lambda times: ask_table(bench.demo_rows(times)), "./run demo")
    lines += part("Beside the peers, in the same rounds", load("peers.json"), peer_lines, "./run bench --peers")
    lines += part("TRL's epoch, the same records", load("equal-time.json"), equal_time_lines,
                  "./run bench --equal-time")
    for sweep in SWEEPS:
        lines += part(sweep.title, sweeps.get(sweep.name), lambda measured, s=sweep: sweep_lines(s, measured),
                      f"./run bench --report --only {sweep.name}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("model", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(sweep.name for sweep in SWEEPS))
    options = parser.parse_args()
    kept = bench.OUT / "report.json"
    sweeps = json.loads(kept.read_text()) if kept.exists() else {}
    for sweep in SWEEPS:
        if sweep.name in options.only.split(","):
            sweeps[sweep.name] = measure(sweep, options.build, options.model, options.rounds)
            kept.write_text(json.dumps(sweeps, indent=1) + "\n")
        if sweep.name in sweeps:
            rows = sweeps[sweep.name]["rows"]
            print(f"{sweep.title}. {sweep.note} {verdict_text(sweep, rows)}")
            (DOCS / f"performance-{sweep.name}.svg").write_text(plot(sweep, rows))
    (DOCS / "performance.md").write_text(page(sweeps))
    print(f"written: {DOCS / 'performance.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
