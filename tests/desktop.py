#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""desktop.py done|stopped PROGRAM MODEL RECORDS: runs a desktop-shaped example to its end, or interrupts it.

It waits for lines of the program, never for a time. The run to be interrupted would take minutes more, so that the
interrupt comes in time however slow this script is to send it; it is sent once the records are learned, so that the
answer tells whether what was learned until then is kept. The current folder is empty and has to stay so.
"""
import os
import re
import signal
import subprocess
import sys

STEPS = {"done": 12, "stopped": 400}
LEARNED = 0.2  # a loss with which the model answers as the records do


def shown_lines(stream):
    """What one line of the terminal shows, one after another: each begins with a carriage return."""
    line = b""
    while byte := stream.read(1):
        if byte == b"\r" and line:
            yield line.decode()
            line = b""
        line += byte
    yield line.decode()


def run(how, program, model, records):
    """The steps that were shown, the last line, the answer, the exit code."""
    process = subprocess.Popen([program, model, records, str(STEPS[how]), "What do bees make?"], bufsize=0,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    steps = set()
    interrupted = False
    for line in shown_lines(process.stderr):
        match = re.match(r"\rstep (\d+) of \d+, loss ([0-9.]+)", line)
        if match and int(match[1]) > 0:
            steps.add(int(match[1]))
            if how == "stopped" and not interrupted and float(match[2]) < LEARNED:
                process.send_signal(signal.SIGINT)
                interrupted = True
    return steps, line, process.stdout.read().decode(), process.wait()


def main():
    how, *arguments = sys.argv[1:]
    steps, line, answer, code = run(how, *arguments)
    print(f"steps {sorted(steps)}, exit code {code}, {answer!r} after:\n{line}")
    end = re.fullmatch(rf"\rstep (\d+) of {STEPS[how]}, loss [0-9.]+ - {how}\n", line)
    assert end, f"the last line is to say {how}"
    assert (int(end[1]) == STEPS[how]) == (how == "done"), "the last line is to show the step where the run ended"
    assert len(steps) > 2, "progress is to be shown while it is made"
    assert answer.startswith("Honey"), "the answer is to be the records'"
    assert code == 0, "a run that is stopped is no failure"
    assert not os.listdir(), f"nothing is to be written: {os.listdir()}"


main()
