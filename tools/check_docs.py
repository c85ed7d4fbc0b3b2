#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds README, docs and the bindings' pages to what the program does.

    check_docs.py blocks                                     what needs no program: languages, quotations, links
    check_docs.py run --build BUILD --work FOLDER [PAGE...]  runs every ```sh block, feeds every ```jsonl block

Every block of code names its language. sh is run line by line, each page in a copy of a checkout after `./run demo`,
which ran in it on a few records and with the built programs. SUBSTITUTED has what runs in another form there, NOT_RUN
what does not, why, and where it is run instead. text is output: each of its lines must be among those of the commands
above it in its section once numbers are left out; where the section has no command it is a drawing, whose folders have
to be there. cpp, c, python, rust, go and cmake stand word for word in a file that the tests build and run (QUOTED).
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
from typing import NamedTuple

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
    commands: object = None  # the latest block of sh above it in its section

    def at(self, number=0):
        return f"{self.page}:{self.line + number}"


def pages():
    found = ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))]
    return found + sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("bindings/*/README.md"))


# --- what stands on a page --------------------------------------------------------------------------------------------


def blocks_of(page, text, problems):
    """The fenced blocks of a page. Code without a fence, or whose fence names no language, is a problem."""
    found, block, commands = [], None, None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if block is None:
                block = Block(page, number, line[3:].strip(), [], commands)
                if block.language not in LANGUAGES:
                    problems.append(f"{block.at()}: a block of '{block.language}'; want {', '.join(sorted(LANGUAGES))}")
            else:
                found.append(block)
                commands = block if block.language == "sh" else commands
                block = None
        elif block is not None:
            block.lines.append(line)
        elif line.startswith("#"):
            commands = None
        elif re.match(r" {4}|\t| *```", line):
            problems.append(f"{page}:{number}: indented like code; a block begins with ``` and its language")
    if block is not None:
        problems.append(f"{block.at()}: the block never ends")
    return found


def prose_of(text):
    return re.sub(r"(?ms)^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text)


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
        if block.commands is None:
            problems += [f"{block.at(number)}: there is no folder {folder}"
                         for folder in re.findall(r"(?<!\S)[\w./-]+/(?![^\s:])", line) if not is_folder(folder)]


def is_folder(name):
    """From the root, or from a folder of it: a drawing may have said that one before."""
    return any((place / name).is_dir() for place in (ROOT, ROOT / "include/ftlib", *ROOT.glob("[a-z]*")))


def check_json(block, problems):
    try:
        json.loads("\n".join(block.lines))
    except ValueError as error:
        problems.append(f"{block.at()}: {error}")


# --- what is run ------------------------------------------------------------------------------------------------------


def run_script():
    return (ROOT / "run").read_text()


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


def words_of(command):
    return shlex.split(command, comments=True)


def check_run(words):
    """./run COMMAND OPTION...: as `./run help` has them."""
    usage = run_script().split("<<'TEXT'\n")[1].split("\nTEXT\n")[0]
    wrong = [f"./run has no {words[1]}"] if f"./run {words[1]}" not in usage else []
    return wrong + [f"./run help has no {word}" for word in words[2:] if word.startswith("--") and word not in usage]


def check_cmake(words):
    """The presets and this tree's options that a command names are there."""
    wrong = []
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    names = {preset["name"] for preset in presets if not preset.get("hidden")}
    options = (ROOT / "CMakeLists.txt").read_text()
    for flag, value in zip(words, [*words[1:], ""]):
        option = re.match(r"-D(FTLIB_\w+)", flag)
        if flag == "--preset" and value not in names:
            wrong.append(f"CMakePresets.json has no {value}")
        if option and f"({option[1]} " not in options:
            wrong.append(f"CMakeLists.txt has no {option[1]}")
    return wrong


def check_paths(words):
    return [f"{word} is not there" for word in words[1:] if "/" in word and not (ROOT / word).exists()]


def look_at(command):
    """What can be said of a command without running it; the options of `./run ftlib` are told when it runs."""
    words = words_of(command)
    if words[:2] == ["./run", "ftlib"]:
        return []
    looks = {"./run": check_run, "cmake": check_cmake, "ctest": check_cmake, "pip": check_paths}
    return looks[words[0]](words) if words[0] in looks else []


def check_built(found, problems):
    """What lies in build/release or build/dev, but for the program, is built by a command above: not by ./run demo."""
    built = {"ftlib_cli"}
    for at, words in ((block.at(number), words_of(command)) for block in found if block.language == "sh"
                      for number, command in commands_of(block)):
        for word in words:
            file = re.fullmatch(r"build/(?:release|dev)/(?:\w+/)*(?:lib)?(?:ftlib_)?(\w+)(?:\.so)?", word)
            if file and word != "build/release/ftlib" and not built & {f"ftlib_{file[1]}", "all"}:
                problems.append(f"{at}: no command above builds {word}")
        if words[:2] == ["cmake", "--build"]:
            built.add(words[words.index("--target") + 1] if "--target" in words else "all")


def check_first(page, text, found, problems):
    """A page of docs/ begins with a command on what `./run demo` left behind, or with the demo itself."""
    lines = [line for line in text.splitlines() if line.strip()]
    commands = [words_of(command) for _, command in commands_of(found[0])] if lines[1:2] == ["```sh"] and found else []
    of_demo = any(words[:2] == ["./run", "demo"] or re.search(r"\bbuild/demo/", " ".join(words)) for words in commands)
    if not lines[0].startswith("# ") or not of_demo:
        problems.append(f"{page}: begins with no ```sh block on the files of ./run demo, directly below its title")


def check_blocks(page, text, problems):
    found = blocks_of(page, text, problems)
    for block in found:
        if block.language in QUOTED:
            check_quote(block, problems)
        elif block.language in ("text", "json"):
            (check_text if block.language == "text" else check_json)(block, problems)
        elif block.language == "sh":
            problems += [f"{block.at(number)}: {wrong}" for number, command in commands_of(block)
                         for wrong in look_at(command)]
    check_built(found, problems)
    check_links(page, text, problems)
    if page.startswith("docs/"):
        check_first(page, text, found, problems)
    return found


# What runs in another form: a test installs nothing, and the tree that is tested keeps its configuration.
SUBSTITUTED = [(r"^\./run setup test", "./run setup --no-install test || test $? = 2"),
               (r"-B build/release\b", "-B build/configured")]


class NotRun(NamedTuple):
    """What no page's test runs, by its first words; why; and where it is run instead: a file, and what stands in it."""
    words: str
    why: str
    file: str = ""
    line: str = ""

    def __str__(self):
        return f"{self.why}; {self.file + ': ' + self.line if self.file else 'tried by hand'}"


NOT_RUN = [
    NotRun("./run test", "runs this test", "tools/check_offline.sh", "./run test"),
    NotRun("./run check", "takes hours, and runs this test"),
    NotRun("./run bench", "wants a machine to itself", "run", "run_bench --gate --rounds 3"),
    NotRun("./run setup --download-only", "downloads 410 MB", "tools/check_offline.sh", "setup --download-only"),
    NotRun("./run setup --from", "wants what was downloaded", "tools/check_offline.sh", "./run setup --from"),
    *(NotRun(words, "builds everything anew", "run", 'cmake --workflow --preset "$kind"')
      for words in ("cmake --preset", "cmake --build --preset", "ctest --preset")),
    NotRun("pip install", "asks PyPI, and builds everything", "tools/wheel.py", 'run(tools / "pip", "wheel"'),
    NotRun("tools/wheel.py", "asks PyPI, and builds everything", "run", '"$root/tools/wheel.py" "$root/build/wheel"'),
    NotRun("llama-cli", "is no package of Debian 12", "run", '"$golden/check_llama_cpp.py" "$model" "$work/adapter"'),
    NotRun("debootstrap", "wants root and a network"),
    NotRun("unshare", "wants root, and a Debian of its own", "tools/check_offline.sh", "without_network bash"),
]


def not_run(command):
    """The row of a command that is not run; None for one that is."""
    words = words_of(command)
    return next((row for row in NOT_RUN if words[:len(row.words.split())] == row.words.split()), None)


def check_not_run(blocks, problems):
    """Each row is of a command on a page, and is run where it says."""
    rows = [not_run(command) for block in blocks if block.language == "sh" for _, command in commands_of(block)]
    for row in NOT_RUN:
        if row not in rows:
            problems.append(f"NOT_RUN: no page has {row.words}")
        if row.file and row.line not in (ROOT / row.file).read_text():
            problems.append(f"NOT_RUN: {row.words} is said to run in {row.file}, which has no {row.line}")


def wanted_code(command):
    stated = re.search(r"#.*\bexit code (\d+)", command)
    return int(stated[1]) if stated else 0


def shape(line):
    """A line without its numbers and digests."""
    return re.sub(r"\b[0-9a-f]{8,}\b|[-+]?\d+(?:[,.:]\d+)*(?:e[-+]?\d+)?", "0", " ".join(line.split()))


def check_output(block, output, problems):
    """Each line of what the page shows is among what was printed, numbers aside; ... stands for anything."""
    printed = [shape(line) for line in re.split(r"[\r\n]", output)]
    for number, line in enumerate(block.lines, 1):
        pattern = re.escape(shape(line)).replace(r"\.\.\.", ".*")
        if not any(re.fullmatch(pattern, candidate) for candidate in printed):
            problems.append(f"{block.at(number)}: '{line}' is not what the commands print; they print\n{output[:4000]}")
            return


class Checkout:
    """A checkout in which ./run demo ran on a few records: made once, copied for each page."""

    def __init__(self, build, work):
        self.build, self.work = build, work
        shutil.rmtree(work, ignore_errors=True)
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
        models = pathlib.Path(os.environ.get("FTLIB_TEST_MODELS") or cache / "ftlib")
        self.environment = os.environ | {"FTLIB_DEMO_MODEL": str(models / MODEL)}
        generator = re.search(r"(?m)^CMAKE_GENERATOR:INTERNAL=(.*)$", (build / "CMakeCache.txt").read_text())
        self.environment["CMAKE_GENERATOR"] = generator[1]
        self.first = self.made("first")
        self.write_records()
        demo = "./run demo --no-install --train ../train.jsonl --valid ../valid.jsonl"
        code, self.demo = self.shell(self.first, demo)
        if code != 0:
            sys.exit(f"./run demo: {self.demo}")

    def made(self, name):
        folder = self.work / name
        (folder / "build").mkdir(parents=True)
        for path in ROOT.iterdir():
            if path.name not in ("build", "run") and not path.name.startswith("."):
                (folder / path.name).symlink_to(path)
        for link in ("release", "dev"):
            (folder / "build" / link).symlink_to(self.build)
        shutil.copy2(ROOT / "run", folder / "run")  # what it calls its root is the folder that it lies in
        return folder

    def write_records(self):
        """Questions of the demo's kind, so that it shows all of its tables; enough of them for two steps."""
        four = [json.loads(line)["messages"] for line in (ROOT / "tests/quickstart.jsonl").read_text().splitlines()]
        source = (ROOT / "examples/debian-synopsis/synopsis.h").read_text()
        instruction = re.search(r'kInstruction\[\] = "(.*)";', source)[1]
        for question, _ in four:
            question["content"] = f"{instruction}\n\n{question['content']}"
        for name, count in (("train", 16), ("valid", 4)):
            records = [{"id": f"record-{n}", "group": f"group-{n % 4}", "messages": four[n % 4]} for n in range(count)]
            (self.work / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    def copy(self, name):
        """Large files are linked: nothing that ftlib writes changes a file in its place but the journal."""
        def copied(source, target):
            return shutil.copy2(source, target) if source.endswith(".jsonl") else os.link(source, target)
        folder = self.made(name)
        shutil.copytree(self.first / "build/demo", folder / "build/demo", symlinks=True, copy_function=copied)
        return folder

    def shell(self, folder, command):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, stdin=subprocess.DEVNULL,
                              env=self.environment, capture_output=True, text=True, errors="replace", timeout=300)
        return done.returncode, f"{done.stdout}\n{done.stderr}"

    def run(self, folder, command):
        """The demo ran when this was made."""
        if words_of(command)[:2] == ["./run", "demo"]:
            return 0, self.demo
        for pattern, instead in SUBSTITUTED:
            command = re.sub(pattern, instead, command)
        return self.shell(folder, command)


class Runner:
    def __init__(self, checkout, problems):
        self.checkout, self.problems = checkout, problems
        self.ran, self.records, self.compared, self.not_run = 0, 0, 0, []

    def page(self, page, blocks):
        folder = self.checkout.copy(page.replace("/", "-"))
        outputs = {}
        for block in blocks:
            if block.language == "sh":
                outputs[id(block)] = self.commands(folder, block)
            elif block.language == "jsonl":
                self.feed(folder, block)
            elif block.language == "text" and block.commands is not None:
                check_output(block, outputs[id(block.commands)], self.problems)
                self.compared += 1
        shutil.rmtree(folder)

    def commands(self, folder, block):
        """What those print that were run."""
        outputs = []
        for number, command in commands_of(block):
            row = not_run(command)
            if row is not None:
                self.not_run.append(f"{block.at(number)}: {row.words} {row}")
                continue
            code, printed = self.checkout.run(folder, command)
            self.ran += 1
            outputs.append(printed)
            if code != wanted_code(command):
                self.problems.append(f"{block.at(number)}: {command}\nended with {code}:\n{printed}")
        return "".join(outputs)

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
    """Options in the running text, as in `--steps` or `./run ftlib tune --steps 3`, are the program's or `run`'s."""
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
        if not options.pages:
            check_not_run([block for found in blocks.values() for block in found], problems)
        print(f"{len(texts)} pages, {len(languages)} blocks, {quoted} of them quoted from files that the tests build")
    else:
        begin, problems[:] = time.monotonic(), []
        runner = Runner(Checkout(options.build, options.work), problems)
        known = help_of(options.build / "ftlib") + run_script()
        for page, text in texts.items():
            check_options(page, text, known, problems)
            runner.page(page, blocks[page])
        print("\n".join(["not run here:", *runner.not_run]))
        print(f"{runner.ran} commands ran, {len(runner.not_run)} did not; {runner.records} records were read; "
              f"{runner.compared} outputs were compared; {time.monotonic() - begin:.0f} s")
    sys.exit("\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
