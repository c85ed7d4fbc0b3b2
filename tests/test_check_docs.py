#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check_docs.py on pages with one fault each: what cannot fail checks nothing."""
import pathlib
import sys
import unittest
import unittest.mock

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
        words = "Words.\n\n" + fenced("sh", "ls build/demo/lora")
        others = [fenced("sh", command) for command in ("ls", "ls build/release", "ls     # build/demo/lora")]
        for text in (words, "", *others):
            problems = []
            check_docs.check_blocks("docs/page.md", "# Title\n\n" + text, problems)
            self.assertEqual(len(problems), 1, text)
            self.assertIn("begins with no", problems[0])

    def test_what_the_demo_does_not_build_a_command_above_builds(self):
        run, build = "build/release/examples/quickstart build/demo/model.gguf", "cmake --build build/release --target "
        self.assert_one("docs/page.md:8: no command above builds build/release/examples/quick", fenced("sh", run))
        self.assert_one("no command above builds", fenced("sh", build + "ftlib_desktop", run))
        self.assert_one("no command above builds", fenced("sh", "cmake --preset dev", "build/dev/tests/ftlib_tests"))
        self.assert_one("no command above builds", fenced("sh", "tools/needs.py build/release/capi/libftlib_c.so"))
        self.assertEqual(problems_of(fenced("sh", "build/release/ftlib --help", build + "ftlib_quickstart", run)), [])
        self.assertEqual(problems_of(fenced("sh", "cmake --build --preset dev", "build/dev/tests/ftlib_tests")), [])

    def test_a_text_below_no_command_is_a_drawing_of_folders_that_are_there(self):
        folders = fenced("text", "include/ftlib/   the API", " io/ -> src/kernels/: and/or")
        self.assertEqual(problems_of("## Map\n\n" + folders), [])
        self.assertEqual(problems_of(fenced("text", "none/")), [])
        self.assert_one("docs/page.md:10: there is no folder none/", "## Map\n\n" + fenced("text", "io/ -> none/"))

    def test_commands_are_those_of_the_script_the_presets_and_the_tree(self):
        for command, want in (("./run ftlib tune --no-such", 0), ("./run tests", 1), ("./run bench --peers", 0),
                              ("./run bench --no-such", 1), ("cmake --preset dev", 0), ("cmake --preset no-such", 1),
                              ("cmake --build --preset base", 1), ("ctest --preset dev", 0), ("ctest --preset no", 1),
                              ("cmake -S . -B build -DFTLIB_WERROR=ON", 0), ("cmake -S . -DFTLIB_NO_SUCH=ON", 1),
                              ("pip install ./bindings/python", 0), ("pip install ./no/such", 1)):
            self.assertEqual(len(problems_of(fenced("sh", command))), want, command)


class Commands(unittest.TestCase):
    def test_what_is_not_run_has_a_page_and_a_place_where_it_is_run(self):
        self.assertIsNone(check_docs.not_run("./run demo"))
        self.assertIsNone(check_docs.not_run("./run ftlib bench peak"))
        row = check_docs.not_run("./run bench --peers")
        blocks = [check_docs.Block("page", 1, "sh", [row.words for row in check_docs.NOT_RUN])]
        for rows, want in (([row], []), ([row, check_docs.NotRun("no-such", "why")], ["no page has no-such"]),
                           ([row._replace(line="no such line")], ["which has no no such line"])):
            problems = []
            with unittest.mock.patch.object(check_docs, "NOT_RUN", rows):
                check_docs.check_not_run(blocks, problems)
            self.assertEqual(len(problems), len(want), problems)
            self.assertTrue(all(part in problem for part, problem in zip(want, problems)), problems)

    def test_a_command_goes_on_in_the_next_line(self):
        lines = ["# words", "one \\", "  two", "three |", "  four", "say 'five", "six'", "seven"]
        block = check_docs.Block("page", 1, "sh", lines)
        self.assertEqual([(number, text.split()[0]) for number, text in check_docs.commands_of(block)],
                         [(2, "one"), (4, "three"), (6, "say"), (8, "seven")])

    def test_a_text_shows_what_the_latest_commands_above_it_in_its_section_print(self):
        page = "\n".join([FIRST, "Words.", fenced("text", "one"), "## Title", fenced("text", "two")])
        first, one, two = check_docs.blocks_of("page", page, [])
        self.assertIs(one.commands, first)
        self.assertIsNone(two.commands)

    def test_the_exit_code_that_a_comment_states_is_wanted(self):
        self.assertEqual(check_docs.wanted_code("false     # one sentence, and exit code 1"), 1)
        self.assertEqual(check_docs.wanted_code("true"), 0)

    def test_output_is_compared_without_its_numbers(self):
        printed = "loss 4\nadapter abcdefabcdef\na b c\n+0.1 [-0.2, 0.3]\n"
        for shown, fits in (("loss 3.761", True), ("adapter 0123456789ab", True), ("a ... c", True), ("loses 4", False),
                            ("-1.0 [-2.0, -0.5]", True), ("0.1 -0.2", False), ("loss", False)):
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
