#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/optim.h: torch's AdamW after 20 steps, bitsandbytes' AdamW8bit states around one step, and
transformers' schedules, on seeded gradients (tools/golden/inputs.py: words) that the test makes again bit for bit.

Needs torch, bitsandbytes, transformers and numpy.
"""
import os
import pathlib

os.environ["TORCHDYNAMO_DISABLE"] = "1"

import bitsandbytes
import numpy as np
import torch
import transformers

import inputs

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "optim.h"
COUNT, STEPS, COUNT_8BIT, STEPS_8BIT = 300, 20, 1101, 6


def unit(n: int, stream: int) -> np.ndarray:
    return ((inputs.words(n, 3, stream) >> np.uint32(8)).astype(np.float64) - 2.0**23) * 2.0**-23


def gradient(n: int, step: int) -> torch.Tensor:
    """Magnitudes over twelve octaves; every 37th element never moves."""
    i = np.arange(n)
    return torch.from_numpy(np.where(i % 37 == 0, 0, unit(n, step) * 2.0 ** (i % 12 - 8.0)).astype(np.float32))


def parameter(n: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.from_numpy(unit(n, 0).astype(np.float32)))


def floats(name: str, values) -> str:
    text = [f"{v!r}f" if v != 0 else "0" for v in (float(str(v)) for v in np.asarray(values, np.float32).reshape(-1))]
    rows = [", ".join(text[i:i + 8]) for i in range(0, len(text), 8)]
    return f"inline constexpr float {name}[] = {{\n    " + ",\n    ".join(rows) + "};\n"


def codes(name: str, values: torch.Tensor) -> str:
    raw = values.reshape(-1).numpy().tobytes().hex()
    rows = [f'    "{raw[i:i + 108]}"' for i in range(0, len(raw), 108)]
    return f"inline constexpr char {name}[] =\n" + "\n".join(rows) + ";\n"


def adamw() -> str:
    p = parameter(COUNT)
    optimizer = torch.optim.AdamW([p], lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
    for step in range(1, STEPS + 1):
        p.grad = gradient(COUNT, step)
        optimizer.step()
    state = optimizer.state[p]
    return (floats("kAdamWParameter", p.detach().numpy()) + floats("kAdamWExpAvg", state["exp_avg"].numpy())
            + floats("kAdamWExpAvgSq", state["exp_avg_sq"].numpy()))


def adamw_8bit() -> str:
    p = parameter(COUNT_8BIT)
    optimizer = bitsandbytes.optim.AdamW8bit([p], lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1,
                                             min_8bit_size=1)
    text = ""
    for step in range(1, STEPS_8BIT + 1):
        p.grad = gradient(COUNT_8BIT, step)
        optimizer.step()
        if step < STEPS_8BIT - 1:
            continue
        state, when = optimizer.state[p], "Before" if step < STEPS_8BIT else "After"
        assert state["state1"].dtype == torch.uint8
        text += codes(f"kCodes1{when}", state["state1"]) + codes(f"kCodes2{when}", state["state2"])
        text += floats(f"kAbsmax1{when}", state["absmax1"].numpy()) + floats(f"kAbsmax2{when}", state["absmax2"].numpy())
        text += floats(f"kParameter{when}", p.detach().numpy())
    return text


def schedules() -> str:
    make = {"constant": lambda o, w, t: transformers.get_constant_schedule_with_warmup(o, w),
            "linear": transformers.get_linear_schedule_with_warmup, "cosine": transformers.get_cosine_schedule_with_warmup}
    rows = []
    for name, factory in make.items():
        for warmup, total in ((0, 7), (3, 10), (5, 5), (9, 4), (0, 1)):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            schedule = factory(optimizer, warmup, total)
            for step in range(1, total + 3):
                rows.append(f'    {{"{name}", {step}, {warmup}, {total}, {float(schedule.get_last_lr()[0])!r}}},')
                optimizer.step()
                schedule.step()
    return ("struct ScheduleGolden {\n  const char* name;\n  int step, warmup, total;\n  double factor;\n};\n"
            "inline constexpr ScheduleGolden kSchedules[] = {\n" + "\n".join(rows) + "\n};\n")


OUT.write_text(
    "// SPDX-License-Identifier: Apache-2.0\n"
    f"// Written by tools/golden/optim.py with torch {torch.__version__}, bitsandbytes {bitsandbytes.__version__}, "
    f"transformers {transformers.__version__}.\n#pragma once\n\nnamespace golden {{\n\n"
    f"inline constexpr int kAdamWCount = {COUNT}, kAdamWSteps = {STEPS};\n{adamw()}\n"
    f"// Hexadecimal codes; the states before and after step k8bitStep.\n"
    f"inline constexpr int k8bitCount = {COUNT_8BIT}, k8bitStep = {STEPS_8BIT};\n{adamw_8bit()}\n{schedules()}\n"
    "}  // namespace golden\n")
