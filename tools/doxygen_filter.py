#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""doxygen_filter.py FILE: a header or a page as Doxygen wants it, so that both can be written for people.

Prose is prose: what Doxygen would take for a command, a tag or a link is escaped. The comment at a header's top is the
file's; tables of arguments in the C header become @param, whose names Doxygen compares with the function's; other tables
stay as they are laid out. docs/Doxyfile calls it.
"""
import pathlib
import re
import sys

NAMES = r"[a-z_]\w*(?:, ?[a-z_]\w*)*"
TABLE = re.compile(r"\S.*\S {2,}\S|\S {2,}\S")


def escaped(text):
    """Code in backticks and the summary's mark stay as they are; the rest loses its meaning to Doxygen."""
    parts = re.split(r"(`[^`]*`|^@brief )", text)
    return "".join(part if part.startswith(("`", "@brief ")) else re.sub(r"([\\@<>#%&~*]|(?<!\w)_)", r"\\\1", part)
                   for part in parts)


def is_list_item(line):
    return re.match(r" *(\d+\.|-) ", line) is not None


def with_summary(lines):
    """The first sentence as @brief; Doxygen's own search for its end stops at every dot."""
    if not lines or is_table(lines[0]):
        return lines
    prose = "\n".join(lines)
    end = re.search(r"\.(?=\s)|\n\n|\Z", re.sub(r"`[^`]*`", lambda code: "x" * len(code[0]), prose)).end()
    rest = prose[end:].strip("\n")
    return [*("@brief " + prose[:end].strip()).split("\n"), "", *(rest.removeprefix(" ").split("\n") if rest else [])]


def is_table(line):
    return not is_list_item(line) and TABLE.match(line.strip()) is not None


def tables_kept(lines):
    """Runs of aligned lines, and those that are indented below them, as @verbatim."""
    out, inside = [], False
    for line in lines:
        aligned = is_table(line)
        belongs = inside and line.startswith("  ") and line.strip()
        if aligned != inside and not belongs:
            out.append("@verbatim" if aligned else "@endverbatim")
            inside = aligned
        out.append(line if inside else escaped(re.sub(r"^ (?=\d\. )", "", line)))
    return out + ["@endverbatim"] * inside


def parameters_named(lines):
    """A table of arguments as @param; None where the lines hold none."""
    found = re.match(rf"({NAMES}) {{2,}}\S", lines[0])
    if not found:
        return None
    column = re.match(rf"{NAMES} +", lines[0]).end()
    out = []
    for number, line in enumerate(lines):
        name = line[:column].strip()
        if re.fullmatch(NAMES, name) and line[column - 1:column] == " " and line[column:column + 1].strip():
            out.append(f"@param {name.replace(' ', '')} {escaped(line[column:])}")
        elif not name:
            out.append(escaped(line.strip()))
        else:
            return [*out, "", *map(escaped, lines[number:])]
    return out


def paragraphs(lines):
    part = []
    for line in [*lines, ""]:
        if line.strip():
            part.append(line)
        elif part:
            yield part
            part = []


def c_comment(lines):
    """What stands in a comment of the C header, paragraph by paragraph."""
    out = []
    for part in paragraphs(with_summary(lines)):
        out += [*(parameters_named(part) or tables_kept(part)), ""]
    return out[:-1]


def c_block(match):
    """A comment that begins a line. Sections become groups, the first one is the file's."""
    lines = [re.sub(r"^ \* ?", "", line) for line in match[1].split("\n")]
    lines[0] = lines[0].strip()
    section = re.fullmatch(r"--- (.*) ---", lines[0].strip())
    if section:
        name = re.sub(r"\W+", "_", section[1].split(":")[0]).lower()
        return f"/** @}} */\n/** @defgroup c_{name} C: {section[1]}\n@{{ */\n"
    return "/** " + "\n".join(c_comment(lines)) + " */\n"


def c_header(text):
    text = text.split("\n", 1)[1]  # the licence
    text = re.sub(r"(?m)(?<=[;,{}]) +/\* (.*?) \*/$", lambda found: f" /**< {escaped(found[1])} */", text)
    text = re.sub(r"(?ms)^/\*(?!\*)(.*?)(?:\n \*)?\*/\n", c_block, text)
    text = text.replace("/** @} */\n", "", 1).replace("/** ", "/** @file\n", 1)
    return text.replace("#ifdef __cplusplus\n}", "/** @} */\n#ifdef __cplusplus\n}")


def cpp_header(text):
    lines = text.split("\n")[1:]  # without the licence
    text = "\n".join(lines)
    top = re.match(r"((?://(?!/).*\n)+)", text)
    if top:
        text = "/// @file\n" + re.sub(r"(?m)^//", "///", top[1]) + "\n" + text[top.end():]
    text = text.replace("namespace ftlib::inline FTLIB_ABI {", "namespace ftlib {")
    text = re.sub(r"(?m)///< (.*)$", lambda found: "///< " + escaped(found[1]), text)

    def block(match):
        indent = match[1]
        lines = [re.sub(r"^ *///? ?", "", line) for line in match[0].rstrip("\n").split("\n")]
        head = lines[:1] if lines[0] == "@file" else []
        return "\n".join([f"{indent}/**", *head, *tables_kept(with_summary(lines[len(head):])), "*/\n"])

    return re.sub(r"(?m)^( *)///(?!<).*\n(?: *///(?!<).*\n)*", block, text)


def page(text):
    """A page of docs/; its links out of the folder lead from build/reference/ to the tree."""
    return re.sub(r"\[([^\]]*)\]\(\.\./([^)]*)\)", r'<a href="../../\2">\1</a>', text)


def main():
    path = pathlib.Path(sys.argv[1])
    text = path.read_text()
    if path.suffix == ".md":
        print(page(text), end="")
    else:
        print(c_header(text) if path.name == "ftlib_c.h" else cpp_header(text), end="")


if __name__ == "__main__":
    main()
