#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden renderings of chat templates by jinja2 in the environment of transformers' apply_chat_template.

Writes tests/golden/chat_template_snippets.json (our own snippets, with what they print), chat_template_models.json
(the *.jinja files of llama-cpp-python 0.3.36, from ~/.cache/ftlib/vocabularies/templates: digests of the renderings
only) and chat_template_demo.json (the same for the template of the demo's model).
"""
import datetime
import functools
import hashlib
import itertools
import json
import os
import pathlib

import jinja2
import transformers
import transformers.utils.chat_template_utils as peer

import common

NOW = datetime.datetime(2025, 3, 7, 14, 5, 9)
NOW_SECONDS = int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp())
CONTEXT = {
    "name": "World", "empty": "", "spaced": "  two  words \n", "accents": "Élan ça va 日本 😀", "number": 42, "real": 2.5,
    "negative": -7, "yes": True, "no": False, "nothing": None, "numbers": [3, 1, 2, 10, -4], "words": ["pear", "Apple", "fig"],
    "mixed": [1, "a", None, 2.5, True, [1, 2], {"k": "v"}], "nested": {"a": {"b": [10, {"c": "deep"}]}, "items": "own"},
    "people": [{"name": "Bo", "age": 30, "tags": ["x", "y"]}, {"name": "al", "age": 25, "tags": []},
               {"name": "Cy", "age": 30, "city": "Rome"}],
    "quoted": "it's \"so\" \\ \t<b>&", "lines": "one\n\ntwo\r\nthree\n", "digits": "0123", "json": {"z": 1, "a": [True, None, 1.0, "é<\n"]},
}


class FrozenDatetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


@functools.lru_cache(maxsize=8)
def compile_template(source, dated):
    peer.datetime = FrozenDatetime
    template = peer._cached_compile_jinja_template(source)
    if not dated:
        template.environment.globals.pop("strftime_now")
    return template


def render(source, context, dated=True):
    """The text and the generation spans in bytes, or None where jinja2 raises."""
    try:
        template = compile_template(source, dated)
        extension = next(e for e in template.environment.extensions.values() if hasattr(e, "activate_tracker"))
        blocks, spans = [], []
        with extension.activate_tracker(blocks, spans):
            for block in template.generate(**context):
                blocks.append(block)
        text = "".join(blocks)
        text.encode()
        return text, [len(text[:at].encode()) for span in spans for at in span]
    except Exception as error:  # jinja2 lets any Python exception through
        render.error = error
        return None


EXPRESSIONS = r"""
1 + 2 | 7 // 2 | -7 // 2 | 7 % 3 | -7 % 3 | 7 % -3 | 2 ** 10 | 2 ** -1 | 2 ** 3 ** 2 | 7 / 2 | 6 / 2 | 1 / 0 | 1 // 0 | 1 % 0 | 7.5 // 2 | -7.5 % 2
1e3 | 1.5e-7 | 1e16 | 1e15 | 123456789.123 | 0.1 + 0.2 | 1_000 | 0x1f | 0b101 | 0o17 | 1.0 | -0.0 | 3.14159 | 1e22 | 1e-5 | 0.0001 | 100.0 | 2.50
true | false | none | True | None | not true | not none | 1 and 2 | 0 and 2 | 0 or 'x' | '' or none | 1 < 2 < 3 | 1 < 3 < 2 | 1 == 1.0 | true == 1 | '1' == 1
1 if yes else 2 | 1 if no else 2 | 1 if no | (1 if no) is undefined | 'a' 'b' | 'a' ~ 1 ~ none ~ true ~ 1.5 | 'a' + 'b' | 'a' + 1 | 'ab' * 3 | 3 * 'ab' | [1] * 2 | 'a' * -1
[1, 2] + [3] | (1, 2) + (3,) | [1] + (2,) | {'a': 1}['a'] | {'a': 1}.a | {'a': 1}.b | {'a': 1}['b'] is defined | (1,) | () | (1, 2) | [] | {} | {1: 2, 'x': [1]} | {'a': 1, 'a': 2}
numbers[0] | numbers[-1] | numbers[9] | numbers[9] is defined | numbers[1:3] | numbers[::-1] | numbers[-2:] | numbers[:-2] | numbers[::2] | numbers[3:1:-1] | numbers[5:] | numbers[-9:2] | numbers[::0]
accents[0] | accents[-1] | accents[1:4] | accents[::-1] | accents[::2] | accents|length | accents.upper() | accents.lower() | accents|title | name[1] | name[1:3] | name[-3:] | name[::-2] | name[10:] | empty[0:] | empty[0] | nothing[0:1] | missing[0:1]
missing | missing.attr | missing['x'] | missing is defined | missing + 1 | missing ~ 'x' | missing == missing2 | missing == none | missing or 'd' | not missing | missing|default('d') | missing.a|default('d') | missing() | missing < 1 | -missing | missing in [1] | 1 in missing | missing|length | missing|list | missing|upper | missing|join | missing|tojson | missing|int | missing|items|list
nested.a.b[1].c | nested['a']['b'][0] | nested.a.c | nested.a.c.d | nested.items | nested['items'] | nested.items()|list | nested.keys()|list | nested.values()|list|length | nested.get('a').b[0] | nested.get('x') | nested.get('x', 5) | nested.get() | nested.__class__ | nested.__class__.x | name.__class__ | nested._x | nested.pop('a') | numbers.append(1) | nested.update({}) | numbers.sort()
name in 'World!' | 'W' in name | 1 in numbers | 99 in numbers | 'a' in nested | 'zz' not in nested | 1 in name | 1 not in numbers | none in mixed | 2 in {2: 1} | 1 in 5 | 1 in none | 'x' in none
[1, 2] == [1, 2] | [1, 2] == (1, 2) | {'a': 1} == {'a': 1.0} | [1] < [2] | [1, 2] < [1] | (1, 2) < (1, 3) | 'a' < 'b' | 'a' < 1 | none < 1 | 'é' > 'z' | 1 <= 1 | 2 >= 3 | 1 != 2 | 'a' != 'a' | [] == false | 0 == false
name is string | number is string | name is sequence | numbers is sequence | nested is sequence | nested is mapping | numbers is mapping | number is number | real is number | yes is number | number is integer | yes is integer | real is float | real is integer | nothing is none | missing is none | yes is boolean | yes is true | 1 is true | no is false | 0 is false | name is iterable | number is iterable | missing is iterable | nothing is iterable | range is callable | name is callable
3 is odd | 3 is even | 9 is divisibleby 3 | 9 is divisibleby(2) | 3 is eq 3 | 3 is equalto(4) | 3 is ne 3 | 3 is lt 4 | 3 is le 3 | 3 is gt 2 | 3 is ge 4 | 3 is lessthan 4 | 3 is greaterthan 4 | 3 is in [1, 2, 3] | 3 is not in [1] | 'a' is in 'abc' | 'abc' is lower | 'ABC' is upper | 'Abc' is upper | none is sameas none | 'x' is filter | 'upper' is filter | 'odd' is test | 'x' is test | 3 is not odd | 'a' is odd | 1 is nosuch | name is escaped | (name|safe) is escaped | 3 is == 3
name|upper | name|lower | spaced|trim | '"' ~ (spaced|trim) ~ '"' | 'xxaxx'|trim('x') | 'hello wORLD-foo (bar'|title | 'hELLO wORLD'|capitalize | ''|capitalize | words|join(', ') | words|join | numbers|join('-') | mixed|join('|') | people|join(', ', attribute='name') | 'abc'|join('.') | nested|join(',') | 5|join
words|length | number|length | nested|length | ''|length | words|count | words|first | words|last | []|first | []|last | 'abc'|first | 'abc'|last | nested|first | numbers|list | 'héé'|list | nested|list | 5|list | words|reverse|list | 'abc'|reverse | nested|reverse|list | numbers|sort | numbers|sort(reverse=true) | words|sort | words|sort(case_sensitive=true) | mixed|sort | people|sort(attribute='age')|map(attribute='name')|list | people|sort(attribute='age,name')|map(attribute='name')|list | people|sort(true, attribute='name')|map(attribute='name')|join(' ')
numbers|min | numbers|max | []|min | words|min | words|max | people|max(attribute='age') | numbers|sum | []|sum | people|sum(attribute='age') | numbers|sum(start=100) | words|sum | [1, 1, 2, 1.0, 'a', 'A']|unique|list | words|unique(true)|list | [[1], [1]]|unique|list
people|map(attribute='name')|list | people|map(attribute='city', default='?')|list | people|map(attribute='tags.0')|list | words|map('upper')|list | words|map('replace', 'p', 'q')|list | people|selectattr('age', 'gt', 26)|map(attribute='name')|list | people|selectattr('city')|list|length | people|selectattr('city', 'defined')|map(attribute='name')|list | people|rejectattr('age', 'eq', 30)|map(attribute='name')|list | numbers|select('odd')|list | numbers|reject('odd')|list | numbers|select|list | [0, 1, '', none, 'x']|select|list | [0, 1]|reject|list | words|map|list | words|select('nosuch')|list | words|map('nosuch')|list | people|groupby('age')|length | people|groupby('age')|map('first')|list | people|groupby('city', default='-')|map('first')|list
json|tojson | mixed|tojson | name|tojson | quoted|tojson | accents|tojson | accents|tojson(ensure_ascii=true) | json|tojson(indent=2) | json|tojson(indent=4) | json|tojson(sort_keys=true) | json|tojson(separators=(',', ':')) | json|tojson(indent=2, separators=(',', ': '))| []|tojson(indent=2) | {}|tojson | {1: 2, none: 3, true: 4, 1.5: 5}|tojson | (1, 2)|tojson | range(3)|tojson | 1.0|tojson | 1e100|tojson | none|tojson | yes|tojson | numbers|map('abs')|tojson | '\x7f\x00'|tojson | '</script>\u2028'|tojson | json|tojson|safe | nested.items()|tojson
name|string | number|string | none|string | numbers|string | '42'|int | '4.7'|int | 'x'|int | 'x'|int(5) | 4.7|int | -4.7|int | '0x1f'|int(0, 16) | '1f'|int(base=16) | '12'|int(7, 1) | '12'|int(7, 99) | 'z'|int(0, 36) | '0b11'|int(0, 2) | '0b11'|int(0, 0) | ''|int(3) | '-'|int(3) | '0'|int | '-0x1f'|int(0, 16) | none|int | true|int | '  7 '|int | '1_000'|int | '+5'|int | '1e3'|int | 'inf'|int | '1.5'|float | 'x'|float | 'x'|float(1.0) | 3|float | none|float | 'nan'|float | '1e3'|float | ' 2 '|float | '1__0'|float | [1]|int
2.5|round | 3.5|round | 2.567|round(2) | 2.567|round(1, 'floor') | 2.512|round(2, 'ceil') | 42.55|round(1) | 5|round | 1234|round(-2) | 1250|round(-2) | 1.005|round(2) | -2.5|round | 'x'|round | 2.5|round(method='nosuch') | -5|abs | 5.5|abs | 'x'|abs | true|abs | 1234.5|round(-2)
'abc'|replace('b', 'X') | 'aaa'|replace('a', 'b', 2) | 'abc'|replace('', '-') | 'abc'|replace('', '-', 2) | 123|replace(2, 5) | lines|indent | lines|indent(2) | lines|indent(2, true) | lines|indent(2, blank=true) | lines|indent('> ') | lines|indent('> ', true, true) | ''|indent | 'a'|indent(first=true) | 5|indent | 'a b c'|center(11) | 'ab'|center(5) | 'foo bar baz qux'|truncate(9) | 'foo bar baz qux'|truncate(9, true) | 'foo bar baz qux'|truncate(11, false, '...', 0) | 'foo'|truncate(2)
nested|dictsort | nested.a|items|list | nested|items|list|length | 5|items | {'b': 1, 'A': 2, 'c': 0}|dictsort | {'b': 1, 'A': 2}|dictsort(true) | {'b': 1, 'A': 2}|dictsort(by='value') | {'b': 1, 'A': 2}|dictsort(false, 'value', true) | {1: 2, 'a': 3}|dictsort | {}|dictsort(by='x') | numbers|batch(2)|list | numbers|batch(2, 0)|list | numbers|slice(2)|list | numbers|slice(3, 'x')|list | numbers|batch(3)|map('join', '-')|join(';')
'%s is %d' % ('a', 5) | '%s' % 'x' | '%s' % [1] | '%5.2f|' % 3.14159 | '%-5s|' % 'ab' | '%05d' % 42 | '%+d' % 5 | '%x %X %o' % (255, 255, 8) | '%e' % 12345.678 | '%g' % 0.00001 | '%g' % 123456789.0 | '%%' % () | '%s' % () | '%s %s' % ('a',) | '%d' % 'x' | '%(a)s' % {'a': 1} | '%(b)s' % {'a': 1} | 'abc' % 5 | 'abc' % [5] | '%c' % 65 | '%r' % 'a' | '%s' % none | '%10s|' % 'é' | '%.2s|' % 'abc' | '%*d|' % (5, 42) | '%d' % 3.9 | '%i' % true | '% d' % 5 | '%#x' % 255 | '%q' % 1 | '%s' % missing | '%d' % missing | '%s, %s'|format('a', 'b') | '%(x)s'|format(x=3) | '%s'|format
'{} {}'.format('a', 1) | '{0}{1}{0}'.format('a', 'b') | '{x}'.format(x=5) | '{'.format() | '{}'.format() | '{{}}'.format() | '{!r}'.format('a') | '{:>5}|'.format('ab') | '{:<5}|'.format('ab') | '{:^5}|'.format('ab') | '{:*^7}|'.format('ab') | '{:05d}'.format(42) | '{:.2f}'.format(3.14159) | '{:,}'.format(1234567) | '{:x}'.format(255) | '{:#b}'.format(5) | '{:+}'.format(5) | '{:e}'.format(1234.5) | '{:.1%}'.format(0.256) | '{a.b[1].c}'.format(a=nested.a) | '{a[b]}'.format(a=nested.a) | '{0.name}'.format(name) | '{:5}|'.format(42) | '{:5}|'.format('a') | '{:<5}|'.format(42) | '{0} {}'.format(1, 2) | '{:.3}'.format('abcdef') | '{:d}'.format('x') | '{:.2f}'.format(3) | '{}'.format(none) | '{:>{}}'.format('a', 5) if false else 'x'
name.upper() | name.lower() | 'hello world'.title() | "they're bill's".title() | 'hELLO'.capitalize() | 'aBc'.swapcase() | spaced.strip() ~ '|' | spaced.lstrip() ~ '|' | spaced.rstrip() ~ '|' | 'xyaxy'.strip('yx') | 'xya'.lstrip('x') | 'ayx'.rstrip('xy') | 'xxa'.strip(chars='x') | 'a,b,,c'.split(',') | 'a,b,,c'.split(',', 1) | 'a,b,,c'.rsplit(',', 1) | ' a  b c '.split() | ' a  b c '.split(none, 1) | ' a  b c '.rsplit(none, 1) | ' a  b c '.rsplit() | 'abc'.split('') | ''.split() | ''.split(',') | 'a--b--c'.split('--')[-1] | 'a b'.split(' ', maxsplit=1) | 'a b'.split(sep=' ') | lines.splitlines() | lines.splitlines(true) | 'a\x0bb\x0cc\x1cd\u2028e'.splitlines() | 'abc'.startswith('ab') | 'abc'.startswith(('x', 'a')) | 'abc'.startswith('b', 1) | 'abc'.endswith('bc') | 'abc'.endswith(('b', 'c')) | 'abc'.endswith('b', 0, 2) | 'abc'.startswith(1) | 'abc'.startswith(['a'])
'abcabc'.find('c') | 'abcabc'.find('x') | 'abcabc'.rfind('c') | 'abcabc'.find('c', 3) | 'abcabc'.index('b') | 'abcabc'.index('x') | accents.find('日') | 'aaa'.count('a') | 'aaa'.count('aa') | 'abc'.count('') | 'a-b'.replace('-', '+') | 'aaa'.replace('a', 'b', 1) | 'abc'.replace('', '.') | ','.join(['a', 'b']) | ','.join([1]) | ''.join('abc') | 'abc'.partition('b') | 'abc'.partition('x') | 'abcb'.rpartition('b') | 'abc'.rpartition('x') | 'abc'.removeprefix('a') | 'abc'.removesuffix('bc') | 'abc'.removesuffix('') | 'ab'.center(6, '*') | 'ab'.ljust(4, '.') | 'ab'.rjust(4) | '-42'.zfill(6) | 'ab'.zfill(4) | '42'.isdigit() | ''.isdigit() | '4a'.isalnum() | 'abé'.isalpha() | '²'.isdigit() | '²'.isdecimal() | '½'.isnumeric() | ' \t'.isspace() | 'ABC'.isupper() | 'abc1'.islower() | 'é'.isascii() | 'a\n'.isprintable() | ''.isascii() | 'abc'.nosuch() | 'abc'.upper
'ß'.upper() | 'ß'.title() | 'ŉ'.upper() | 'ΑΣ ΑΣΑ Σ'.lower() | 'İ'.lower() | 'ǆ'.title() | 'ǆ'.upper() | 'ﬁ'.upper() | 'ÀÉ'.swapcase() | 'ა'.upper() | 'ა'.title() | 'ϊ ὐ'.upper() | 'éa éB'.title() | 'x́y'.title() | 'ᾳ'.title() | 'ǅ'.islower() | 'ꙁ'.upper() | '𐐨'.upper() | '\u00a0 x\u3000'.strip() | 'ⓐ'.upper() | 'ʰ'.islower() | 'ª'.islower()
numbers.index(2) | numbers.index(99) | numbers.count(1) | (1, 2).index(2) | numbers.copy() | range(5)|list | range(2, 8, 2)|list | range(5, 0, -2)|list | range(3) | range(0)|list | range(3)[1] | range(10)[2:5]|list | range(5)|length | range(1000000) | range(5, 1)|list | range() | range(1.5) | 3 in range(5) | range(3) == range(0, 3, 1) | range(0, 10, 3)|last | range(3)|sum | range(1, 2, 0)
dict(a=1, b=2) | dict({'a': 1}, b=2) | dict([('a', 1)]) | dict(1) | namespace(a=1).a | namespace({'a': 2}).a | namespace(a=1).b | namespace(_a=1) | lipsum | strftime_now('%Y-%m-%d') | strftime_now('%d %b %Y %H:%M:%S') | strftime_now('%A %B %j %y %I %p %%') | strftime_now is defined | strftime_now('%-d %e %F %T %D %c') | raise_exception('no') | bos_token
mixed | nested | people[0] | quoted | [quoted] | [accents] | ['\n\t\x00\x7f\xad\u200b'] | ['\'', '"', '\'"'] | [1.0, 1e20, -0.0, 1e-7] | [none, true] | {'a': none} | (none,) | ['é', '日', '😀', '\u2028', '\U000e0001'] | [missing] | {'a': [1, {'b': ()}]} | nested.keys() | nested.a.values() | {'x': 1}.items()
name|safe | (name|safe) + '<b>' | '<b>' + (name|safe) | ('<b>'|safe) ~ '<i>' | '<b>'|escape | '<b>'|e|e | ('<b>'|safe)|e | '<b>'|forceescape|forceescape | [quoted|safe] | ('<'|safe).join(['<', '>']) | '-'.join(['<'|safe, '>']) | ('%s'|safe) % '<' | ('{}'|safe).format('<') | ('a<'|safe).replace('a', '>') | ('a'|safe)|replace('a', '<') | ('a'|safe)|upper + '<' | (1|safe) + '<' | ('<'|safe) * 2 + '<' | ('a<b'|safe)[0] + '<'
name | default('x') | ''|default('x') | ''|default('x', true) | none|default('x') | none|d('x', boolean=true) | false|default | missing|default(missing2) | name|nosuch | name|upper(1) | name|replace('a') | name|default(x=1) | name|attr('upper') | nested|attr('a') | nested|attr('items') | 5|string|length | name|upper|lower|title | -5|abs | (-5)|abs | -2 ** 2 | 2 - -2 | not 1 == 2 | not not 1 | 1 - 1 - 1 | 2 * 3 + 4 | 2 + 3 * 4 | 'a' ~ 1 + 2 | 'a' ~ 'b' * 2 | 1 if 0 else 2 if 0 else 3 | [1, 2,] | {'a': 1,} | (1, 2,) | f(1,) | 10 // 3 * 3 | 2 ** 2 * 3 | 1 == 1 and 2 == 2 or 3 | 1 in [1] == true | not 'a' in 'abc' | numbers[0] + numbers[1] * 2 | numbers|length > 3 and words|length == 3 | words|first|upper ~ '!' | number is odd or number is even | number is defined and number | nested.a.b.0 | nested.a.b.1.c | numbers.0
9223372036854775807 + 0 | true + true | true * 3 | [1, 2][true] | 'abc'[true] | {1: 'a'}[true] | {1: 'a'}[1.0] | {(1, 2): 'x'}[(1, 2)] | {[1]: 2} | [1][1.0] | [1]['x'] | 'abc'['upper']() | 'abc'['x'] is defined | 5['x'] is defined | 5.x is defined | none.x is defined | none.x.y | 'a' if missing.x else 'b' | 5() | 'x'() | none() | (1)(2) | 1 ~ | ) | (1 | [1 | {1 | 'abc | 1 2 | a b | 1 + | not | is | x is | x is not | 5 is is | | 1 | | 'a'|'b' | name. | name[ | name.1a | @ | a$b | 'a\\nb' | 'a\'b' | "a\"b" | 'a\qb' | '\x41\u00e9\U0001F600\101' | '\xzz' | '\ud83d' | 'line\
two'
"""

STATEMENTS = [
    "{% if yes %}a{% else %}b{% endif %}", "{% if no %}a{% elif yes %}b{% else %}c{% endif %}", "{% if no %}a{% endif %}x",
    "{% for i in numbers %}{{ loop.index }}/{{ loop.length }}:{{ i }}{{ ',' if not loop.last }}{% endfor %}",
    "{% for i in numbers %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }} {% endfor %}",
    "{% for i in numbers %}[{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }}]{% endfor %}",
    "{% for i in numbers %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}",
    "{% for i in [] %}a{% else %}none{% endfor %}", "{% for i in numbers %}a{% else %}none{% endfor %}",
    "{% for i in numbers if i > 1 %}{{ loop.index }}:{{ i }} {{ loop.length }} {% else %}none{% endfor %}",
    "{% for i in numbers if i > 100 %}{{ i }}{% else %}none{% endfor %}",
    "{% for i in numbers %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in numbers %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in numbers %}{% continue %}{% else %}E{% endfor %}", "{% for i in numbers %}{% break %}{% else %}E{% endfor %}",
    "{% for i in numbers %}{% for j in words %}{{ loop.index }}{% if j == 'fig' %}{% break %}{% endif %}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% break %}", "{% continue %}", "{% for i in numbers %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for k, v in nested.items() %}{{ k }}={{ v is mapping }};{% endfor %}", "{% for k, v in nested|dictsort %}{{ k }}{% endfor %}",
    "{% for k in nested %}{{ k }} {% endfor %}", "{% for c in accents %}{{ c }}.{% endfor %}", "{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }} {% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for i in 5 %}{% endfor %}", "{% for i in none %}{% endfor %}", "{% for i in missing %}x{% else %}e{% endfor %}",
    "{% for loop in numbers %}{% endfor %}", "{% for i in numbers %}{% set loop = 1 %}{% endfor %}", "{% set loop = 1 %}{{ loop }}",
    "{% for i in numbers %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for p in people %}{{ loop.changed(p.age) }} {% endfor %}",
    "{% for i in numbers|map('abs') %}{{ loop.last }}{{ i }}{{ loop.length }} {% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %}{{ i }}",
    "{% for i in numbers %}{% set x = i %}{% endfor %}{{ x }}", "{% set x = 1 %}{% for i in numbers %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set ns = namespace(x=0) %}{% for i in numbers %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.b = [ns.a] %}{{ ns.b }}", "{% set ns = {} %}{% set ns.a = 1 %}", "{% set nested.a = 1 %}",
    "{% set ns = namespace(x=1) %}{% set ns._y = 1 %}", "{% set ns.x = 1 %}", "{% set ns = namespace(x=1) %}{{ ns['x'] }}{{ ns.y is defined }}{{ ns is mapping }}",
    "{% set ns = namespace(a=1, b=2) %}{% set ns.a, ns.b = ns.b, ns.a %}{{ ns.a }}{{ ns.b }}",
    "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set x, y = [1] %}", "{% set x = 1, 2 %}{{ x }}", "{% set (x, y) = (3, 4) %}{{ x }}{{ y }}", "{% set x = %}", "{% set 1 = 2 %}", "{% set none = 1 %}", "{% set x.y.z = 1 %}",
    "{% set x %}a{{ name }}b{% endset %}[{{ x }}]{{ x|length }}", "{% set x | upper %}a{{ name }}b{% endset %}{{ x }}", "{% set x | replace('a', 'b') | upper %}aaa{% endset %}{{ x }}",
    "{% set x %}{% set y = 1 %}{% endset %}{{ y is defined }}", "{% set ns = namespace() %}{% set ns.x %}q{% endset %}{{ ns.x }}", "{% for i in numbers %}{% set x %}a{% if i == 2 %}{% break %}{% endif %}{% endset %}{{ x }}{% endfor %}|",
    "{% if yes %}{% set x = 1 %}{% endif %}{{ x }}", "{% if no %}{% set name = 1 %}{% endif %}{{ name }}", "{% set name = 'new' %}{{ name }}",
    "{% for i in [1, 2] %}{% if i == 2 %}{% set name = 'new' %}{% endif %}{{ name }}{% endfor %}", "{% for i in [1, 2] %}{% if i == 1 %}{% set q = 'new' %}{% endif %}{{ q }}|{% endfor %}",
    "{% for i in [1, 2] %}{{ name }}{% endfor %}{% set name = 'new' %}", "{% macro m() %}{{ name }}{% endmacro %}{{ m() }}{% set name = 'new' %}{{ m() }}", "{% if yes %}{% set name = 'new' %}{% endif %}{% for i in [1] %}{{ name }}{% endfor %}",
    "{% for i in [1, 2] %}{% set y = i %}{% for j in [1] %}{{ y }}{% set y = 9 %}{{ y }}{% endfor %}{{ y }}{% endfor %}{{ y is defined }}",
    "{% for i in [1] %}{% if yes %}{% set t = 1 %}{% else %}{% set t = 2 %}{% endif %}{% endfor %}{{ t is defined }}", "{{ t is defined }}{% set t = 1 %}{{ t }}",
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=5) }} {{ m() }} {{ m(b=1, a=2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}", "{% macro m(a, a) %}{% endmacro %}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs.x }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(5) }}", "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{% macro m() %}a\n{% endmacro %}[{{ m() }}]{{ m()|length }}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}body {{ name }}{% endcall %}", "{% macro m() %}{{ caller(1, b=2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}x{% endmacro %}{% call m() %}body{% endcall %}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}", "{% call 5 %}{% endcall %}", "{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro m(x) %}{% set y = x %}{{ y }}{% endmacro %}{{ m(1) }}{{ y is defined }}", "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}", "{{ m() }}{% macro m() %}x{% endmacro %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}", "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(1, *[2]) }}{{ m(1, **{'b': 3}) }}{{ m(*[1], **{'b': 3}) }}", "{% macro m() %}x{% endmacro %}{{ m.name }}" if False else "{% macro m() %}x{% endmacro %}{{ m is callable }}",
    "{% set ns = namespace() %}{% set ns.self = ns %}{{ ns.self.self is defined }}", "{% set ns = namespace() %}{% for i in [1, 2, 3] %}{% set ns.l = loop %}{% endfor %}{{ ns.l.index }}",
    "{% filter upper %}a{{ name }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}aac{% endfilter %}", "{% filter nosuch %}a{% endfilter %}", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a is defined }}",
    "{% print 1, 2 %}", "{% raw %}{{ x }}{% if %}{% endraw %}", "a {%- raw -%} {{ x }} {%- endraw -%} b", "  {% raw %}\n x\n  {% endraw %}\ny", "{% raw %}x", "{# comment #}a", "a{# x\ny #}\nb", "a {#- x -#} b", "{# x", "{#+ x +#}\na", "{{ '{{' }}{{ '%}' }}",
    "  {% if yes %}\n  a\n  {% endif %}\n  b", "  {%+ if yes %}\n  a\n  {%- endif %}\n  b", "x  {% if yes %}a{% endif %}  y", "a\n  {%- if yes -%}\n  b\n  {%- endif -%}\n  c", "a {{- name -}} b", "a {{ name }}\n", "a\n\n", "\n{{ name }}\n\n", "{{+1}}", "{{-1}}", "{{ -1 }}", "a\r\nb\rc{{ 1 }}\r\n", "{% if yes +%}\na{% endif %}", "\t {% set x = 1 %}\t\n b", "\u00a0 {% set x = 1 %}\nb", "{{ 1 }}  {% set x = 1 %}\nb", "a\u3000{{- 1 }}", "{%if yes%}a{%endif%}", "{%-if yes-%}a{%-endif-%}",
    "{% if %}{% endif %}", "{% if yes %}", "{% endif %}", "{% for %}", "{% for i numbers %}{% endfor %}", "{% nosuch %}", "{% %}", "{{ }}", "{{ 1", "{% if 1", "{% else %}", "{% if yes %}{% endfor %}", "{% for i in [] %}{% endif %}", "{% macro %}{% endmacro %}", "{% macro m %}{% endmacro %}", "{% do x %}", "{% if yes: %}a{% endif %}", "{% set x = 1 %}{% if x == 1 %}y{% endif %}", "{% if (1, 2) %}t{% endif %}", "{% if 1, 2 %}t{% endif %}",
    "{% if no %}{{ name|nosuch }}{% endif %}x", "{% if yes %}{{ name|nosuch }}{% endif %}x", "{% for i in [] %}{{ name|nosuch }}{% endfor %}x", "{{ name|nosuch if no else 'x' }}", "{% if no %}{% for i in numbers %}{{ i|nosuch }}{% endfor %}{% endif %}x", "{% if no %}{{ 1 is nosuch }}{% endif %}x", "{% if no %}{% set x %}{{ name|nosuch }}{% endset %}{% endif %}x",
    "a{% generation %}b{{ name }}{% endgeneration %}c", "{% for i in [1, 2] %}<{% generation %}{{ i }}é{% endgeneration %}>{% endfor %}", "{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}{{ x is defined }}", "{% for i in numbers %}{% generation %}{{ loop.index }}{% endgeneration %}{% endfor %}", "{% generation %}", "{% for i in numbers %}{% generation %}{% break %}{% endgeneration %}{% endfor %}", "{%- generation -%} a {%- endgeneration %} b",
    "{{ raise_exception('x ' ~ name) }}", "{% if name != 'World' %}{{ raise_exception('x') }}{% endif %}ok", "{% set f = range %}{{ f(2)|list }}", "{% set x = name.upper %}{{ x() }}", "{% set range = 5 %}{{ range }}", "{% set messages = [1] + [2] %}{{ messages[-1] }}", "{{ 'a' if true }}{{ 'b' if false }}c", "{% set it = numbers|map('abs') %}{{ it|list }}{{ it|list }}", "{% set it = numbers|select %}{{ it|first }}{{ it|first }}{{ it|list }}", "{% set it = words|map('upper') %}{{ 'FIG' in it }}", "{{ (numbers|map('abs')) is iterable }}{{ (numbers|map('abs')) is sequence }}", "{{ numbers|map('abs')|length }}", "{{ numbers|map('abs')|last }}", "{{ numbers|reverse|first }}", "{% set x = numbers|map('abs') %}{% if x %}t{% endif %}",
    "{% for m in people %}{% if loop.first and m.age == 30 %}{% set found = true %}{% endif %}{% endfor %}{{ found is defined }}", "{% for i in numbers recursive %}{% endfor %}" if False else "", "{% set x = ['a', 'b'] %}{% for i in x %}{% set x = [] %}{{ i }}{% endfor %}{{ x }}", "{% set a = [1] %}{% set b = a %}{% set a = a + [2] %}{{ a }}{{ b }}", "{{ people[0]['name'] ~ people[1].name|upper }}", "{% for p in people|sort(attribute='name') %}{{ p.name }}{% endfor %}", "{% for g, l in people|groupby('age') %}{{ g }}:{{ l|map(attribute='name')|join(',') }};{% endfor %}", "{% for row in numbers|batch(2) %}{{ row }}{% endfor %}",
]


def atoms():
    """A table of operators, filters and methods over values of every type: what raises must raise."""
    values = ["1", "-3", "2.5", "true", "none", "'ab'", "''", "[1, 'a']", "(2, 3)", "{'a': 1}", "missing", "range(3)"]
    for op, (a, b) in itertools.product(["+", "-", "*", "/", "//", "%", "**", "<", ">=", "==", "in", "and", "~"], itertools.product(values, values)):
        if (a, op, b) != ("-3", "**", "2.5"):  # a complex number
            yield f"{{{{ {a} {op} {b} }}}}"
    filters = ["abs", "capitalize", "count", "default('d')", "first", "float", "int", "items|list", "join('-')", "last", "list", "lower", "max", "min",
               "reverse|list", "round", "sort", "string", "sum", "title", "tojson", "trim", "unique|list", "upper", "select|list", "map('string')|list",
               "dictsort", "replace('a', 'b')", "indent", "batch(2)|list", "selectattr('a')|list", "format(1)", "center(6)", "escape"]
    for value, name in itertools.product(values, filters):
        yield f"{{{{ ({value})|{name} }}}}"
    for value, name in itertools.product(values, ["defined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence",
                                                   "iterable", "callable", "true", "false", "odd", "lower", "eq(1)", "gt(1)", "in([1, 'ab'])", "sameas(none)"]):
        yield f"{{{{ ({value}) is {name} }}}}"
    for value, access in itertools.product(values, ["[0]", "[-1]", "['a']", ".a", "[0:1]", "[::-1]", "()", ".upper()", ".items()|list", ".get('a')", "[none]", "[true]", ".split()", ".index(1)"]):
        if ":" not in access or value[0] in "'[(r":  # jinja2 folds other constant slices to nothing, though they raise
            yield f"{{{{ ({value}){access} }}}}"
    for value in values:
        yield f"{{% for x in {value} %}}{{{{ x }}}},{{% endfor %}}"
        yield f"{{{{ -({value}) }}}}"
        yield f"{{{{ not ({value}) }}}}"
        yield f"{{% set a, b = {value} %}}{{{{ a }}}}{{{{ b }}}}"


def snippets():
    expressions = [e.strip() for line in EXPRESSIONS.strip("\n").split("\n") for e in line.split(" | ")]
    sources = [f"{{{{ {e} }}}}" for e in expressions] + STATEMENTS + list(atoms())
    rows, seen = [], set()
    for source in sources:
        if source in seen:
            continue
        seen.add(source)
        result = render(source, json.loads(json.dumps(CONTEXT)))
        if result is not None and " at 0x" in result[0]:
            continue  # the repr of a Python object
        rows.append([source] if result is None else [source, result[0]] if not result[1] else [source, result[0], result[1]])
    return {"versions": common.versions(), "context": CONTEXT, "now": NOW_SECONDS, "rows": rows}


def say(*turns):
    return [{"role": role, "content": content} for role, content in turns]


TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather at a place.", "parameters": {
    "type": "object", "required": ["city"], "properties": {"city": {"type": "string", "description": "A city"}, "days": {
        "type": "integer"}, "unit": {"type": "string", "enum": ["c", "f"]}, "tags": {"type": "array", "items": {"type": "string"}}}}}}
CALL = {"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2}}}

CONVERSATIONS = [
    say(("user", "Hello")), say(("system", "Be brief."), ("user", "Hello")), say(("user", "Hello"), ("assistant", "Hi!")),
    say(("system", "Be brief."), ("user", "One"), ("assistant", "Two"), ("user", "Three")),
    say(("system", "Be brief."), ("user", "One"), ("assistant", "Two"), ("user", "Three"), ("assistant", "Four")),
    say(("user", "  spaced \n"), ("assistant", "\n\n lead and trail \n")), say(("system", " \n"), ("user", ""), ("assistant", "")),
    say(("system", ""), ("user", "x")), say(("user", "é 日本 😀 ÀÉ"), ("assistant", "naïve ﬁ ß")), say(("assistant", "I begin"), ("user", "ok")),
    say(("user", "a"), ("user", "b")), say(("user", "a"), ("assistant", "b"), ("assistant", "c")), say(("system", "s"), ("system", "t"), ("user", "u")),
    say(("user", "a"), ("system", "late"), ("assistant", "b")), say(("tool", "result"), ("user", "a")), say(("narrator", "odd"), ("user", "a")),
    say(("user", "a"), ("tool", "{\"x\": 1}"), ("assistant", "b")), say(("developer", "d"), ("user", "u"), ("assistant", "a")), [], say(("system", "only")),
    say(("user", "a"), ("assistant", "<think>\nplan\n</think>\n\nanswer")), say(("user", "a"), ("assistant", "<think>x</think>y"), ("user", "b"), ("assistant", "<think>z</think>w")),
    say(("user", "<|im_end|>{{ x }}{% if %}"), ("assistant", "a</s>b")), say(("user", "a\r\nb\tc"), ("assistant", "\u00a0d\u2028")),
    say(*[turn for i in range(6) for turn in (("user", f"q{i}"), ("assistant", f"a{i}"))]), say(("user", "/no_think hi"), ("assistant", "yes")), say(("model", "m"), ("user", "u")),
]

CALLED = say(("system", "Use tools."), ("user", "Weather?")) + [{"role": "assistant", "content": "", "tool_calls": [CALL]}]
RICH = [
    {"messages": CALLED}, {"messages": CALLED, "tools": [TOOL]}, {"messages": say(("user", "Weather?")), "tools": [TOOL, TOOL]},
    {"messages": CALLED + [{"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": "{\"t\": 21}"}], "tools": [TOOL]},
    {"messages": CALLED + [{"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": "21"}] + say(("assistant", "21 degrees"), ("user", "Thanks"), ("assistant", "Bye")), "tools": [TOOL]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "part one"}, {"type": "text", "text": " two"}]}, {"role": "assistant", "content": [{"type": "text", "text": "ok"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "see"}]}]}, {"messages": say(("user", "a")) + [{"role": "assistant", "content": None, "tool_calls": [CALL, CALL]}]},
    {"messages": say(("user", "a")) + [{"role": "assistant", "reasoning_content": "because", "thinking": "because", "content": "b"}]}, {"messages": say(("user", "a"), ("assistant", "b")), "enable_thinking": False},
    {"messages": say(("user", "a")), "enable_thinking": True, "reasoning_effort": "high"}, {"messages": say(("user", "a")), "documents": [{"title": "T", "text": "D", "content": "D"}]},
    {"messages": [{"role": "user", "name": "Ann", "content": "a"}]}, {"messages": [{"role": "user"}]}, {"messages": [{"content": "a"}]}, {"messages": ["text"]}, {"messages": None}, {},
]


def matrix():
    """The contexts that every template is rendered with, and whether strftime_now is defined."""
    for index, conversation in enumerate(CONVERSATIONS):
        for prompt in (False, True):
            yield {"messages": conversation, "tools": None, "documents": None, "add_generation_prompt": prompt, "bos_token": "<bos>", "eos_token": "<eos>"}, index % 2 == 0
    for index, extra in enumerate(RICH):
        for prompt in (False, True):
            yield {"tools": None, "documents": None, **extra, "add_generation_prompt": prompt, "bos_token": "<bos>", "eos_token": "<eos>"}, index % 2 == 0


def model_table(source):
    """For each context 16 hex digits of the rendering's SHA-256, followed by its spans; null where jinja2 raises."""
    row = []
    for context, dated in matrix():
        result = render(source, json.loads(json.dumps(context)), dated)
        row.append(None if result is None else hashlib.sha256(result[0].encode()).hexdigest()[:16] + "".join(f" {at}" for at in result[1]))
    return row


CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def models():
    vocabularies = os.environ.get("FTLIB_VOCABULARIES", pathlib.Path.home() / ".cache/ftlib/vocabularies")
    folder = pathlib.Path(vocabularies) / "templates"
    paths = sorted(folder.glob("*.jinja"))
    if not paths:
        raise SystemExit(f"no templates in {folder}: ./run check puts them there")
    rows = [["chatml", CHATML, model_table(CHATML)]]
    for path in paths:
        source = path.read_text()
        rows.append([path.name, hashlib.sha256(source.encode()).hexdigest(), model_table(source)])
    return {"versions": common.versions(), "now": NOW_SECONDS, "contexts": [list(pair) for pair in matrix()], "rows": rows}


def demo():
    """The demo model's template, and the ids of transformers' apply_chat_template for what it renders."""
    import gguf
    import smollm2
    path = common.demo_model()
    field = gguf.GGUFReader(path).get_field("tokenizer.chat_template")
    source = bytes(field.parts[field.data[0]]).decode()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=smollm2.load_tokenizer(path), chat_template=source)
    ids = []
    for conversation in CONVERSATIONS:
        spelled = any("<|" in message["content"] for message in conversation)  # where ours differ, on purpose
        rendered = None if spelled or not conversation else render(source, {"messages": conversation})
        ids.append(tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=False) if rendered else None)
    rows = [["demo", hashlib.sha256(source.encode()).hexdigest(), model_table(source)]]
    return {"versions": common.versions(), "conversations": CONVERSATIONS, "ids": ids, "rows": rows}


def main():
    for table in (snippets, demo, models):
        value = table()
        rows = value.pop("rows")
        head = json.dumps(value, ensure_ascii=False)[:-1]
        body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (common.GOLDEN / f"chat_template_{table.__name__}.json").write_text(f'{head}, "rows": [\n{body}\n]}}\n')


if __name__ == "__main__":
    main()
