"""
YAML read with its lines: every mistake is noted with the line it is in, and reading goes on.

PyYAML composes the document; values are taken from the text of their scalars, so that ``22:00`` is a time of
day and a token of digits keeps its leading zeros.
"""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import yaml

Default = TypeVar('Default', float, None)

LARGEST_FILE = 4_000_000
"""Bytes of a site file: ten thousand connectors need about one million."""

_NUMBER = re.compile(r'[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?')
_WHOLE = re.compile(r'[-+]?\d+')
_TAG = 'tag:yaml.org,2002:'
_LONGEST_QUOTE = 40
_MOST_NAMES = 12


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake of a file: line (from 1 on; 0 = the file as a whole) and what is wrong, with the remedy."""

    line: int
    text: str


class Mistakes:
    """Collects the mistakes of one file."""

    def __init__(self) -> None:
        self._found: list[Mistake] = []

    def add(self, line: int, text: str) -> None:
        """Note a mistake."""
        self._found.append(Mistake(line, text))

    @property
    def found(self) -> tuple[Mistake, ...]:
        """Return them in the order of the lines, each once."""
        return tuple(sorted(set(self._found)))


def line_of(node: yaml.Node) -> int:
    """Return the line that a node begins in, counted from 1."""
    return int(node.start_mark.line) + 1


def quote(text: str) -> str:
    """Return a text of the file as it appears in messages: on one line, not endless."""
    shown = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + '…'
    return repr(shown)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean …?`` with the nearest known name, or the known names where they are few."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f'did you mean {close[0]}?'
    if 0 < len(names) <= _MOST_NAMES:
        return f'write one of: {", ".join(names)}.'
    return 'correct or remove it.'


def compose(text: str, mistakes: Mistakes) -> yaml.Node | None:
    """Return the root of the only document of a text, or note why there is none."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ' '.join(filter(None, (error.context, error.problem)))
        line = mark.line + 1 if mark is not None else 0
        mistakes.add(line, f'this is not YAML: {problem}; correct the indentation, quote or bracket there.')
    except yaml.YAMLError as error:
        mistakes.add(0, f'this is not YAML: {" ".join(str(error).split())}; save the file as UTF-8 text.')
    except RecursionError:
        mistakes.add(0, 'the brackets or indentations are nested too deeply; a site needs about six levels.')
    else:
        if root is None:
            mistakes.add(0, 'the file is empty; write site, grid and connectors.')
        return root
    return None


class Section:
    """A mapping of the file whose keys are known: unknown and duplicate ones are mistakes."""

    def __init__(self, node: yaml.Node, title: str, known: Sequence[str], mistakes: Mistakes) -> None:
        """``title`` names the mapping in messages, such as ``connector bay_1``."""
        self.title = title
        self.line = line_of(node)
        self.mistakes = mistakes
        self._nodes: dict[str, yaml.Node] = {}
        self._key_lines: dict[str, int] = {}
        for key, value in entries(node, title, mistakes):
            if key.value in known:
                self._nodes[key.value] = value
                self._key_lines[key.value] = line_of(key)
            else:
                self._wrong(key, f'there is no key {quote(key.value)}; {nearest(key.value, known)}')

    def __contains__(self, key: str) -> bool:
        """Return whether the key is given, with a value other than nothing."""
        return key in self._nodes and not is_null(self._nodes[key])

    def node(self, key: str) -> yaml.Node | None:
        """Return the value of a key as it is in the file; None where it is not given."""
        return self._nodes[key] if key in self else None

    def line_of(self, key: str) -> int:
        """Return the line of a key's value, or that of the mapping."""
        return line_of(self._nodes[key]) if key in self._nodes else self.line

    def key_line_of(self, key: str) -> int:
        """Return the line of a key, or that of the mapping."""
        return self._key_lines.get(key, self.line)

    def wrong(self, key: str, text: str) -> None:
        """Note a mistake at a key."""
        self.mistakes.add(self.line_of(key), f'{self.title}: {text}')

    def _wrong(self, node: yaml.Node, text: str) -> None:
        self.mistakes.add(line_of(node), f'{self.title}: {text}')

    def number(
        self, key: str, default: Default, low: float, high: float, unit: str = '', *, above: bool = False
    ) -> float | Default:
        """Return a finite number in its range; ``above``: the low end does not belong to it."""
        node = self.node(key)
        if node is None:
            return default
        value = number(node)
        if value is None or not low <= value <= high or (above and value == low):
            start = f'above {low:g} up to' if above else f'from {low:g} to'
            self._wrong(
                node, f'{key} is {shown(node)}; write a number {start} {high:g} {unit}'.rstrip() + '.'
            )
            return default
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """Return a whole number in its range."""
        node = self.node(key)
        if node is None:
            return default
        value = whole(node)
        if value is None or not low <= value <= high:
            self._wrong(node, f'{key} is {shown(node)}; write a whole number from {low} to {high}.')
            return default
        return value

    def text(self, key: str, default: str, pattern: str = '.+', example: str = '') -> str:
        """Return a text that matches a pattern completely; ``example`` says what to write instead."""
        node = self.node(key)
        if node is None:
            return default
        if not isinstance(node, yaml.ScalarNode) or re.fullmatch(pattern, node.value) is None:
            self._wrong(node, f'{key} is {shown(node)}; write {example or "a text"}.')
            return default
        return str(node.value)

    def choice(self, key: str, default: str, choices: Iterable[str]) -> str:
        """Return one of several words."""
        node, words = self.node(key), list(choices)
        if node is None:
            return default
        if not isinstance(node, yaml.ScalarNode) or node.value not in words:
            word = node.value if isinstance(node, yaml.ScalarNode) else ''
            self._wrong(node, f'{key} is {shown(node)}; {nearest(word, words)}')
            return default
        return str(node.value)

    def items(self, key: str, what: str) -> list[yaml.Node]:
        """Return the elements of a list; ``what`` says what it is to be a list of."""
        node = self.node(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._wrong(node, f'{key} is {shown(node)}; write a list of {what} in brackets: [..., ...].')
            return []
        return list(node.value)

    def words(self, key: str, what: str) -> list[yaml.ScalarNode]:
        """Return the elements of a list of words, each once."""
        words: dict[str, yaml.ScalarNode] = {}
        for node in self.items(key, what):
            if not isinstance(node, yaml.ScalarNode) or is_null(node):
                self._wrong(node, f'{key} has {shown(node)} in it; it is a list of {what}.')
            elif node.value in words:
                self._wrong(node, f'{key} has {node.value} twice; remove one.')
            else:
                words[node.value] = node
        return list(words.values())


def entries(node: yaml.Node, title: str, mistakes: Mistakes) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """Yield keys and values of a mapping; what is no mapping, no word or there twice is a mistake."""
    if is_null(node):
        return
    if not isinstance(node, yaml.MappingNode):
        mistakes.add(line_of(node), f'{title} is {shown(node)}; write a mapping: keys with values.')
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            mistakes.add(line_of(key), f'{title}: a key is {shown(key)}; write a word.')
        elif key.value in lines:
            mistakes.add(
                line_of(key),
                f'{title}: {quote(key.value)} is there twice, first in line {lines[key.value]}; remove one.',
            )
        else:
            lines[key.value] = line_of(key)
            yield key, value


def is_null(node: yaml.Node) -> bool:
    """Return whether a value is missing."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _TAG + 'null'


def is_plain(node: yaml.Node) -> bool:
    """Return whether a value is a scalar without quotes."""
    return isinstance(node, yaml.ScalarNode) and node.style is None


def number(node: yaml.Node) -> float | None:
    """Return the finite number that a scalar without quotes means, else None."""
    if not is_plain(node) or _NUMBER.fullmatch(node.value) is None:
        return None
    value = float(node.value)
    return value if math.isfinite(value) else None


def whole(node: yaml.Node) -> int | None:
    """Return the whole number that a scalar without quotes means, else None."""
    if not is_plain(node) or _WHOLE.fullmatch(node.value) is None or len(node.value) > _LONGEST_QUOTE:
        return None
    return int(node.value)


def boolean(node: yaml.Node) -> bool | None:
    """Return the truth value that ``true`` or ``false`` means, else None."""
    return {'true': True, 'false': False}.get(node.value) if is_plain(node) else None


def shown(node: yaml.Node) -> str:
    """Return a value as it appears in messages."""
    match node:
        case yaml.MappingNode():
            return 'a mapping'
        case yaml.SequenceNode():
            return 'a list'
        case _ if is_null(node):
            return 'empty'
        case _ if is_plain(node):
            return quote(node.value)[1:-1]
        case _:
            return quote(node.value) + ' in quotes'
