#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds README, docs and the bindings' pages to what the program does.

    check_docs.py blocks                                     what needs no program: languages, quotations, links
    check_docs.py run --build BUILD --work FOLDER [PAGE...]  runs every ```sh block, feeds every ```jsonl block

Every block of code names its language. sh is run line by line, each page in a copy of a small checkout whose ./run
starts the built program and whose build/demo/ holds stand-ins of the demo's files; what cannot run there is in NOT_RUN,
looked at as far as it can be, and listed. text is output: where it follows commands that ran, each of its lines must be
among theirs once numbers are left out. cpp, c, python, rust, go and cmake stand word for word in a file that the tests
build and run (QUOTED).
"""
import argparse
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
QUOTED = {
    "cpp": ["examples/*.cpp", "tests/install/*.cpp"],
    "c": ["examples/*.c", "tests/install/*.c"],
    "python": ["bindings/python/*.py"],
    "rust": ["bindings/rust/ftlib/examples/*.rs"],
    "go": ["bindings/go/*/main.go"],
    "cmake": ["tests/install/**/CMakeLists.txt"],
}
LANGUAGES = {"sh", "text", "json", "jsonl", *QUOTED}


@dataclasses.dataclass
class Block:
    page: str
    line: int  # of its fence
    language: str
    lines: list
    follows: object = None  # the block that it stands directly behind

    def at(self, number=0):
        return f"{self.page}:{self.line + number}"


def pages():
    found = ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))]
    return found + sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("bindings/*/README.md"))


# --- what stands on a page --------------------------------------------------------------------------------------------


def blocks_of(page, text, problems):
    """The fenced blocks of a page. Code without a fence, or whose fence names no language, is a problem."""
    found, block, last = [], None, None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if block is None:
                block = Block(page, number, line[3:].strip(), [], last)
                if block.language not in LANGUAGES:
                    problems.append(f"{block.at()}: a block of '{block.language}'; want {', '.join(sorted(LANGUAGES))}")
            else:
                found.append(block)
                block, last = None, block
        elif block is not None:
            block.lines.append(line)
        elif line.strip():
            last = None
            if re.match(r" {4}|\t| *```", line):
                problems.append(f"{page}:{number}: indented like code; a block begins with ``` and its language")
    if block is not None:
        problems.append(f"{block.at()}: the block never ends")
    return found


def prose_of(text):
    return re.sub(r"(?ms)^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text)


def check_first(page, text, problems):
    """A page of docs/ begins with a command on what `./run demo` left behind, or with the demo itself."""
    lines = [line for line in text.splitlines() if line.strip()]
    commands = "\n".join(lines[2:lines.index("```")]) if lines[1:2] == ["```sh"] and "```" in lines else ""
    if not lines[0].startswith("# ") or not re.search(r"\bbuild/|\./run demo", commands):
        problems.append(f"{page}: begins with no ```sh block on the files of ./run demo, directly below its title")


def check_links(page, text, problems):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose_of(text)):
        if "://" not in target and not (ROOT / page).parent.joinpath(target).exists():
            problems.append(f"{page}: a link to {target}, which is not there")


def dedented(lines):
    return [line.rstrip() for line in textwrap.dedent("\n".join(lines)).split("\n")]


def stands_in(lines, file_lines):
    """Whether these lines stand in the file one behind another, whatever both are indented by."""
    want = dedented(lines)
    return any(dedented(file_lines[at:at + len(want)]) == want
               for at, line in enumerate(file_lines) if line.strip() == want[0].strip())


def check_quote(block, problems):
    files = [path for pattern in QUOTED[block.language] for path in sorted(ROOT.glob(pattern))]
    if not any(stands_in(block.lines, path.read_text().splitlines()) for path in files):
        problems.append(f"{block.at()}: stands in no file of {', '.join(QUOTED[block.language])}")


def check_text(block, problems):
    for number, line in enumerate(block.lines, 1):
        if re.match(r"\s*(\$ |\./run )", line):
            problems.append(f"{block.at(number)}: a command in a block of text; sh is run, text is not")


def check_json(block, problems):
    try:
        json.loads("\n".join(block.lines))
    except ValueError as error:
        problems.append(f"{block.at()}: {error}")


def check_blocks(page, text, problems):
    found = blocks_of(page, text, problems)
    for block in found:
        if block.language in QUOTED:
            check_quote(block, problems)
        elif block.language in ("text", "json"):
            (check_text if block.language == "text" else check_json)(block, problems)
    check_links(page, text, problems)
    if page.startswith("docs/"):
        check_first(page, text, problems)
    return found


# --- what is run ------------------------------------------------------------------------------------------------------


def run_script():
    return (ROOT / "run").read_text()


def check_run(words):
    """./run COMMAND OPTION...: as `./run help` has them."""
    usage = run_script().split("<<'TEXT'\n")[1].split("\nTEXT\n")[0]
    wrong = [f"./run has no {words[1]}"] if f"./run {words[1]}" not in usage else []
    return wrong + [f"./run help has no {word}" for word in words[2:] if word.startswith("--") and word not in usage]


def check_cmake(words):
    """Presets, this tree's options and targets that a command names are there."""
    wrong = []
    presets = {preset["name"] for preset in json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]}
    options = (ROOT / "CMakeLists.txt").read_text()
    targets = "\n".join(path.read_text() for path in [*ROOT.glob("*/CMakeLists.txt"), ROOT / "CMakeLists.txt"])
    for flag, value in zip(words, [*words[1:], ""]):
        option = re.match(r"-D(FTLIB_\w+)", flag)
        if flag == "--preset" and value not in presets:
            wrong.append(f"CMakePresets.json has no {value}")
        if option and f"({option[1]} " not in options:
            wrong.append(f"CMakeLists.txt has no {option[1]}")
        if flag == "--target" and f"add_executable({value} " not in targets:
            wrong.append(f"there is no target {value}")
    return wrong


def check_paths(words):
    return [f"{word} is not there" for word in words[1:] if "/" in word and not (ROOT / word).exists()]


# What a test does not run, by its first words, and what is looked at instead.
NOT_RUN = [
    (["./run", "demo"], check_run), (["./run", "test"], check_run), (["./run", "check"], check_run),
    (["./run", "bench"], check_run), (["./run", "build"], check_run), (["./run", "setup"], check_run),
    (["cmake"], check_cmake), (["ctest"], check_cmake), (["pip", "install"], check_paths), (["doxygen"], check_paths),
    *(([name], lambda words: []) for name in ("debootstrap", "llama-cli", "tools/wheel.py", "unshare")),
]


def instead_of_running(command):
    """The check in place of a run; None for a command that is run."""
    words = shlex.split(command, comments=True)
    return next((lambda: check(words) for begin, check in NOT_RUN if words[:len(begin)] == begin), None)


def is_whole(command):
    """Not where a line, a pipe or a quotation goes on below."""
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return not re.search(r"(\\|\||&&)\s*$", command)


def commands_of(block):
    """Line number and text of each command."""
    lines = []
    for number, line in enumerate(block.lines, 1):
        lines.append(line)
        command = "\n".join(lines)
        if number == len(block.lines) or is_whole(command):
            if command.strip() and not command.lstrip().startswith("#"):
                yield number - len(lines) + 1, command
            lines = []


def wanted_code(command):
    stated = re.search(r"#.*\bexit code (\d+)", command)
    return int(stated[1]) if stated else 0


def shape(line):
    """A line without its numbers and digests."""
    return re.sub(r"\b[0-9a-f]{8,}\b|\d+(?:[,.:]\d+)*(?:e[-+]?\d+)?", "0", " ".join(line.split()))


def check_output(block, output, problems):
    """Each line of what the page shows is among what was printed, numbers aside; ... stands for anything."""
    printed = [shape(line) for line in re.split(r"[\r\n]", output)]
    for number, line in enumerate(block.lines, 1):
        pattern = re.escape(shape(line)).replace(r"\.\.\.", ".*")
        if not any(re.fullmatch(pattern, candidate) for candidate in printed):
            problems.append(f"{block.at(number)}: '{line}' is not what the commands print; they print\n{output[:4000]}")
            return


class Checkout:
    """A folder that looks like a checkout after ./run demo: made once, copied for each page."""

    def __init__(self, build, work):
        self.build, self.work, self.program = build, work, build / "ftlib"
        shutil.rmtree(work, ignore_errors=True)
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
        models = pathlib.Path(os.environ.get("FTLIB_TEST_MODELS") or cache / "ftlib")
        self.first = self.made("first")
        demo = self.first / "build/demo"
        demo.mkdir()
        (demo / "model.gguf").symlink_to(models / MODEL)
        self.write_records(demo)
        for name, base in (("lora", ""), ("qlora", "--base nf4 --double-quant")):
            tune = "./run ftlib tune --model build/demo/model.gguf --train build/demo/train.jsonl --steps 2 --lr 1e-3"
            code, output = self.run(self.first, f"{tune} --out build/demo/{name} {base}")
            if code != 0:
                sys.exit(f"the stand-in of build/demo/{name}: {output}")

    def made(self, name):
        folder = self.work / name
        (folder / "build").mkdir(parents=True)
        for link in ("bindings", "capi", "examples", "include", "tests", "tools"):
            (folder / link).symlink_to(ROOT / link)
        for link in ("release", "dev"):
            (folder / "build" / link).symlink_to(self.build)
        (folder / "run").write_text(f'#!/bin/sh\n[ "$1" = ftlib ] && shift && exec "{self.program}" "$@"\nexit 64\n')
        (folder / "run").chmod(0o755)
        return folder

    @staticmethod
    def write_records(demo):
        four = [json.loads(line)["messages"] for line in (ROOT / "tests/quickstart.jsonl").read_text().splitlines()]
        records = [{"id": f"record-{n}", "group": f"group-{n % 4}", "messages": four[n % 4]} for n in range(8)]
        few_shot = [{"id": r["id"], "group": r["group"], "prompt": [*four[0], *four[1], r["messages"][0]],
                     "completion": r["messages"][1:]} for r in records]
        for name, lines in (("train", records), ("valid", records), ("few-shot", few_shot)):
            (demo / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def copy(self, name):
        """Large files are linked: nothing that ftlib writes changes a file in its place but the journal."""
        def copied(source, target):
            return shutil.copy2(source, target) if source.endswith(".jsonl") else os.link(source, target)
        folder = self.made(name)
        shutil.copytree(self.first / "build/demo", folder / "build/demo", symlinks=True, copy_function=copied)
        return folder

    def run(self, folder, command):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=120)
        return done.returncode, f"{done.stdout}\n{done.stderr}"


class Runner:
    def __init__(self, checkout, problems):
        self.checkout, self.problems = checkout, problems
        self.ran, self.records, self.compared, self.alone, self.not_run = 0, 0, 0, 0, []

    def page(self, page, blocks):
        folder = self.checkout.copy(page.replace("/", "-"))
        outputs = {}
        for block in blocks:
            if block.language == "sh":
                outputs[id(block)] = self.commands(folder, block)
            elif block.language == "jsonl":
                self.feed(folder, block)
            elif block.language == "text" and outputs.get(id(block.follows)) is not None:
                check_output(block, outputs[id(block.follows)], self.problems)
                self.compared += 1
            elif block.language == "text":
                self.alone += 1
        shutil.rmtree(folder)

    def commands(self, folder, block):
        """What those print that were run; None where none was."""
        outputs = []
        for number, command in commands_of(block):
            check = instead_of_running(command)
            if check is not None:
                self.problems += [f"{block.at(number)}: {wrong}" for wrong in check()]
                self.not_run.append(f"{block.at(number)}: {command.strip()}")
                continue
            code, printed = self.checkout.run(folder, command)
            self.ran += 1
            outputs.append(printed)
            if code != wanted_code(command):
                self.problems.append(f"{block.at(number)}: {command}\nended with {code}:\n{printed}")
        return "".join(outputs) if outputs else None

    def feed(self, folder, block):
        """Each line is a record that the program takes, none is left out."""
        (folder / "records.jsonl").write_text("\n".join(block.lines) + "\n")
        _, printed = self.checkout.run(folder, "./run ftlib eval --model build/demo/model.gguf --data records.jsonl")
        self.records += len(block.lines)
        if f"records.jsonl: {len(block.lines)} records, " not in printed or "left out" in printed:
            self.problems.append(f"{block.at()}: want {len(block.lines)} records, the program says\n{printed}")


def help_of(program, words=()):
    """The help of a command and of the commands below it."""
    text = subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True).stdout
    below = re.findall(r"(?m)^  (\w+) ", text.split("Subcommands:")[1]) if "Subcommands:" in text else []
    return text + "".join(help_of(program, (*words, name)) for name in below)


def check_options(page, text, known, problems):
    """Options in the running text, as in `--steps` or `./run ftlib tune --steps 3`, are the program's or those of ./run."""
    for code in re.findall(r"`([^`\n]+)`", prose_of(text)):
        if re.match(r"--|\./run |ftlib ", code):
            options = re.findall(r"(?<!\S)--[a-z][a-z-]*", code)
            problems += [f"{page}: `{code}`: no help has {option}" for option in options
                         if not re.search(rf"{option}(?![\w-])", known)]


# ----------------------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["blocks", "run"])
    parser.add_argument("--build", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--work", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("pages", nargs="*")
    options = parser.parse_intermixed_args()
    problems, texts = [], {page: (ROOT / page).read_text() for page in options.pages or pages()}
    blocks = {page: check_blocks(page, text, problems) for page, text in texts.items()}
    if options.what == "blocks":
        languages = [block.language for found in blocks.values() for block in found]
        quoted = sum(language in QUOTED for language in languages)
        print(f"{len(texts)} pages, {len(languages)} blocks, {quoted} of them quoted from files that the tests build")
    else:
        begin, problems[:] = time.monotonic(), []
        runner = Runner(Checkout(options.build, options.work), problems)
        known = help_of(runner.checkout.program) + run_script()
        for page, text in texts.items():
            check_options(page, text, known, problems)
            runner.page(page, blocks[page])
        print("\n".join(["not run here, looked at only:", *runner.not_run]))
        print(f"{runner.ran} commands ran, {len(runner.not_run)} did not; {runner.records} records were read; "
              f"{runner.compared} outputs were compared, {runner.alone} blocks of text stand alone; "
              f"{time.monotonic() - begin:.0f} s")
    sys.exit("\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
