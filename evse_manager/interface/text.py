"""Foreign text, made safe to be shown in a terminal, a log or a dashboard."""

import unicodedata

LONGEST = 400
"""Longer texts are cut: nothing of ours that is shown has to be longer."""

ANY_LENGTH = 1_000_000_000
"""For ``printable``: cut nothing."""

_UNSAFE = frozenset({'Cc', 'Cf', 'Co', 'Cs', 'Cn', 'Zl', 'Zp'})
"""Unicode categories of control, format (bidi marks among them), private and unassigned characters."""


def printable(text: str, longest: int = LONGEST) -> str:
    """Return a text in which what could steer a terminal is replaced by U+FFFD, cut to a length."""
    cut = text if len(text) <= longest else f'{text[: longest - 1]}…'
    if cut.isprintable():
        return cut
    return ''.join('\ufffd' if unicodedata.category(character) in _UNSAFE else character for character in cut)
