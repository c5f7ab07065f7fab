"""Lists and patterns in systemd's files: extract_first_word() and fnmatch(3), which is not Python's fnmatch.

In fnmatch(3) a backslash quotes the next character, `[^a]` is `[!a]`, and `[[:digit:]]` is a class. `*` matches
everything, also a slash and a leading dot, as systemd calls it without flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

SPACES = " \t\n\r"
CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "xdigit": "0-9a-fA-F",
    "space": r"\s",
    "punct": "!-/:-@\\[-`{-~",
}
LIST = re.compile(r"\[(?P<not>[!^]?)(?P<body>\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*)\]", re.DOTALL)
IN_LIST = re.compile(r"\[:(?P<class>[a-z]+):\]|\\(?P<quoted>.)|(?P<range>-)|(?P<plain>.)", re.DOTALL)
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}


class WordError(ValueError):
    """A list of words with a quote that is not closed, or an invalid escape."""


def words(text: str, quotes: bool = False, escapes: str = "drop") -> Iterator[str]:
    """Yield the words of a value. `quotes`: they may be quoted. `escapes` is for a backslash: "drop" removes it, "keep"
    leaves it, "c" reads it as C does.

    Raises WordError after the words before the mistake: systemd takes those.
    """
    word: str | None = None
    quote, at = "", 0
    while at < len(text):
        char, at = text[at], at + 1
        if char == "\\" and escapes != "keep":
            if at == len(text):
                raise WordError(text)
            char, at = _unescaped(text, at) if escapes == "c" else (text[at], at + 1)
            word = (word or "") + char
        elif quote:
            word, quote = (word or "", "") if char == quote else ((word or "") + char, quote)
        elif char in SPACES:
            if word is not None:
                yield word
            word = None
        elif quotes and char in "'\"":
            word, quote = word or "", char
        else:
            word = (word or "") + char
    if quote:
        raise WordError(text)
    if word is not None:
        yield word


def _unescaped(text: str, at: int) -> tuple[str, int]:
    if text[at] in "\\\"'":
        return text[at], at + 1
    if found := re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})").match(text, at):
        number = int(next(filter(None, found.groups())), 16)
    elif found := re.compile("[0-3][0-7]{2}").match(text, at):
        number = int(found[0], 8)
    elif text[at] in ESCAPES:
        return ESCAPES[text[at]], at + 1
    else:
        raise WordError(text)
    if not 0 < number <= 0x10FFFF:
        raise WordError(text)
    return chr(number), found.end()


def matches(pattern: str, text: str) -> bool:
    """Return whether fnmatch(pattern, text, 0) == 0."""
    compiled = _compiled(pattern)
    return compiled is not None and compiled.fullmatch(text) is not None


def passes(patterns: Sequence[str], text: str | None) -> bool:
    """net_condition_test_strv(): return whether one of the patterns matches and none with a "!" before it does.

    If all have a "!", a missing text (None) passes.
    """
    if not patterns:
        return True
    if text is not None and any(matches(one[1:], text) for one in patterns if one.startswith("!")):
        return False
    positive = [one for one in patterns if not one.startswith("!")]
    return not positive or (text is not None and any(matches(one, text) for one in positive))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Compile a pattern; None for one that matches nothing.

    The text after a "*" is searched for at its first occurrence only, without another try if the rest does not match
    (as in Python's fnmatch): the rest begins with a "*" or is the end. Otherwise each "*" would multiply the time.
    """
    pieces, out, at = [], "", 0
    while at < len(pattern):
        char = pattern[at]
        found = LIST.match(pattern, at) if char == "[" else None
        if found is not None:
            out += f"[{'^' if found['not'] else ''}{''.join(map(_in_list, IN_LIST.finditer(found['body'])))}]"
            at = found.end()
            continue
        if char == "*":
            pieces.append(out)
            out, at = "", at + 1
            continue
        if char == "\\":
            at += 1
            if at == len(pattern):
                return None
            char = re.escape(pattern[at])
        else:
            char = "." if char == "?" else re.escape(char)
        out, at = out + char, at + 1
    first, *between = pieces or [out]
    middle = "".join(f"(?>.*?{piece})" for piece in between if piece)
    try:
        return re.compile(f"{first}{middle}.*{out}" if pieces else first, re.DOTALL)
    except re.error:
        return None


def _in_list(found: re.Match[str]) -> str:
    if found["class"]:
        return CLASSES.get(found["class"], "")
    return "-" if found["range"] else re.escape(found["quoted"] or found["plain"])
