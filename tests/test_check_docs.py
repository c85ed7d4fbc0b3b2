#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check_docs.py on pages with one fault each: what cannot fail checks nothing."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))

import check_docs  # noqa: E402

FIRST = "# Title\n\n```sh\n./run ftlib info build/demo/model.gguf\n```\n\n"


def problems_of(text, page="docs/page.md"):
    problems = []
    check_docs.check_blocks(page, FIRST + text, problems)
    return problems


def fenced(language, *lines):
    return "\n".join([f"```{language}", *lines, "```", ""])


class Blocks(unittest.TestCase):
    def assert_one(self, want, text):
        found = problems_of(text)
        self.assertEqual(len(found), 1, found)
        self.assertIn(want, found[0])

    def test_a_page_without_fault_has_no_problem(self):
        self.assertEqual(problems_of(fenced("cpp", "ftlib::TrainOptions options;", "options.steps = 8;")), [])

    def test_code_needs_a_fence_with_a_language(self):
        self.assert_one("docs/page.md:9: indented like code", "Words:\n\n    ./run ftlib eval\n")
        self.assert_one("a block of ''", fenced("", "anything"))
        self.assert_one("a block of 'bash'", fenced("bash", "ls"))
        self.assert_one("never ends", "```text\nwords\n")
        self.assert_one("a command in a block of text", fenced("text", "$ ./run ftlib eval"))

    def test_what_is_quoted_stands_in_a_program_line_by_line(self):
        self.assert_one("stands in no file", fenced("cpp", "ftlib::TrainOptions options;", "options.steps = 9;"))
        self.assert_one("stands in no file", fenced("c", "need(ft_trainer_cancel(w->trainer));"))
        self.assert_one("stands in no file", fenced("python", "trainer.cancel()", "", "trainer.cancel()"))

    def test_json_is_json_and_links_lead_somewhere(self):
        self.assert_one("docs/page.md:7", fenced("json", "{'id': 1}"))
        self.assert_one("nowhere.md", "[a page](nowhere.md)\n")

    def test_a_page_begins_with_a_command_on_the_files_of_the_demo(self):
        for text in ("# Title\n\nWords.\n\n" + fenced("sh", "ls build/demo"), "# Title\n\n" + fenced("sh", "ls")):
            problems = []
            check_docs.check_first("docs/page.md", text, problems)
            self.assertEqual(len(problems), 1, text)


class Commands(unittest.TestCase):
    def test_what_is_not_run_is_looked_at(self):
        for command, want in (("./run ftlib info", None), ("./run tests", None), ("./run bench --peers", []),
                              ("./run bench --no-such", 1), ("cmake --preset dev", []), ("cmake --preset no-such", 1),
                              ("cmake -S . -B build -DFTLIB_WERROR=ON", []), ("cmake -S . -DFTLIB_NO_SUCH=ON", 1),
                              ("cmake --build build/release --target ftlib_embedding", []),
                              ("cmake --build build/release --target no_such", 1),
                              ("pip install ./bindings/python", []), ("pip install ./no/such", 1)):
            check = check_docs.instead_of_running(command)
            found = None if check is None else check()
            self.assertEqual(len(found) if isinstance(want, int) else found, want, command)

    def test_a_command_goes_on_in_the_next_line(self):
        lines = ["# words", "one \\", "  two", "three |", "  four", "say 'five", "six'", "seven"]
        block = check_docs.Block("page", 1, "sh", lines)
        self.assertEqual([(number, text.split()[0]) for number, text in check_docs.commands_of(block)],
                         [(2, "one"), (4, "three"), (6, "say"), (8, "seven")])

    def test_the_exit_code_that_a_comment_states_is_wanted(self):
        self.assertEqual(check_docs.wanted_code("false     # one sentence, and exit code 1"), 1)
        self.assertEqual(check_docs.wanted_code("true"), 0)

    def test_output_is_compared_without_its_numbers(self):
        printed = "loss 4\nadapter abcdefabcdef\na b c\n"
        for shown, fits in (("loss 3.761", True), ("adapter 0123456789ab", True), ("a ... c", True), ("loses 4", False)):
            problems = []
            check_docs.check_output(check_docs.Block("page", 1, "text", [shown]), printed, problems)
            self.assertEqual(problems == [], fits, shown)

    def test_options_in_the_running_text_are_options(self):
        problems, text = [], "`--steps 3`, `./run ftlib eval --data F`, `cmake --preset`, `--step`"
        check_docs.check_options("page", text, "--steps --data", problems)
        self.assertEqual(len(problems), 1, problems)
        self.assertIn("--step", problems[0])


if __name__ == "__main__":
    unittest.main()
