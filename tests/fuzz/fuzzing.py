"""What the harnesses share: what one is, what a failure is, and mutations of what is known.

A harness takes bytes and gives them to a part of failoverd as a hostile sender would. It fails by any exception that is
not documented for that part, by more than LONGEST seconds of CPU, and by broken promises that it asserts itself.

    make test                 the corpus and the seeds, and mutations of them from a fixed seed (test_fuzz.py)
    make fuzz SECONDS=60      coverage-guided, each harness for so long (guided.py, by atheris)
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failoverd.daemon.lines import _OneLine

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
LONGEST = 1.0
"""Seconds of CPU that an input may take."""
LARGEST = 1 << 16
"""Bytes of an input."""
SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where harnesses make files: a disk would take most of their time."""


class _Watched(logging.Handler):
    """In the place of the daemon's log: what it would write has to be one line, whatever was sent."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raises AssertionError."""
        assert is_one_line(_OneLine("%(levelname)s: %(message)s").format(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A line that cannot be made is a failure, too."""
        raise


@contextlib.contextmanager
def watched_log() -> Iterator[None]:
    """While this is open, failoverd's log goes nowhere and is looked at."""
    log, handler = logging.getLogger("failoverd"), _Watched()
    before = log.propagate, log.level
    log.propagate = False
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = before[0]
        log.setLevel(before[1])


class TooSlowError(Exception):
    """An input took longer than LONGEST."""


@dataclass(frozen=True)
class Harness:
    """One part of failoverd under test. `one` takes an input; `seeds` are valid ones, `words` what they are made of."""

    name: str
    one: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[bytes] = ()
    largest: int = 4096
    """Bytes of an input that is made; parts that promise something up to 64 KiB get as much."""

    def run(self, data: bytes) -> None:
        """Try one input. Raises what `one` raises, and TooSlowError."""
        began = time.process_time()
        with watched_log():
            self.one(data)
        took = time.process_time() - began
        if took > LONGEST:
            raise TooSlowError(f"{len(data)} bytes took {took:.2f} s")

    def corpus(self) -> list[bytes]:
        """The inputs that are kept, in the order of their names, and behind them the seeds."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).glob("*"))] + list(self.seeds())

    def mutations(self, chance: random.Random) -> Iterator[bytes]:
        """Inputs near to those that are known, without end."""
        known = self.corpus()
        while True:
            data = chance.choice(known)
            for _ in range(chance.choice((1, 1, 2, 4, 8))):
                data = mutated(data, chance, known, self.words)
            yield data[: self.largest]


def mutated(data: bytes, chance: random.Random, known: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """The data with one thing changed."""
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((1, 1, 2, 4, 8, 64)))
    match chance.randrange(8):
        case 0 if at < len(data):
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + chance.choice(NUMBERS) + data[end:]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:at] + data[at:end] * chance.choice((2, 3, 100)) + data[end:]
        case 4:
            other = chance.choice(known)
            begin = chance.randrange(len(other) + 1)
            return data[:at] + other[begin : begin + chance.choice((8, 64, 4096))] + data[end:]
        case 5 if words:
            return data[:at] + chance.choice(words) + data[chance.choice((at, end)) :]
        case 6:
            return data[:at]
        case _:
            return data[:at] + chance.randbytes(chance.choice((1, 2, 4, 16))) + data[end:]


NUMBERS = tuple(
    number.to_bytes(size, "little")
    for size in (1, 2, 4)
    for number in {0, 1, 3, 4, 5, 16, 127, 128, 255, (1 << 8 * size) - 1, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1}
    if number < 1 << 8 * size
)


def harnesses() -> dict[str, Harness]:
    """All of them, by name: one a file."""
    modules = (importlib.import_module(path.stem) for path in sorted(HERE.glob("fuzz_*.py")))
    return {module.HARNESS.name: module.HARNESS for module in modules}


def parts(data: bytes) -> Iterator[bytes]:
    """The data cut into pieces, each behind its length in two bytes; the last may be cut."""
    at = 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "little")
        yield data[at + 2 : at + 2 + size]
        at += 2 + size


def joined(*pieces: bytes) -> bytes:
    """What `parts` cuts into these."""
    return b"".join(len(piece).to_bytes(2, "little") + piece for piece in pieces)


VALUES: tuple[object, ...] = (
    None,
    True,
    False,
    0,
    -1,
    7,
    1 << 31,
    1 << 64,
    10**400,
    0.5,
    -1e300,
    float("inf"),
    float("nan"),
    "",
    "ens3",
    "a\n\x1b[2J",
    "\ud800\u202e\0",
    "x" * 200,
    "../..",
    "0a00",
    [],
    ["ens3"],
    [[1, "00"]],
    [None],
    {},
    {"ifindex": 3},
    {"name": ["x"]},
)
"""What may stand in the place of a value in a document."""
BENDS = 8
"""Values that are another at a time."""


def bent(document: object, data: bytes) -> object:
    """The document with other values in it: two bytes name a place and what stands there then."""
    document = {"": copy.deepcopy(document)}
    for place, value in zip(data[: 2 * BENDS : 2], data[1 : 2 * BENDS : 2], strict=False):
        places = list(_places(document))
        where, key = places[place % len(places)]
        where[key] = copy.deepcopy(VALUES[value % len(VALUES)])
    return document[""]


def _places(found: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document that has a value: what it is in, and its key there."""
    rows = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, inner in rows:
        yield found, key
        yield from _places(inner)


def is_one_line(text: str) -> bool:
    """Whether this is one line that steers no terminal and no log."""
    return text.isprintable()


def refused(problems: Sequence[object]) -> None:
    """What a file is refused for: some problems, each of them one line, and all of them no more than can be read."""
    lines = [str(problem) for problem in problems]
    assert lines
    assert all(map(is_one_line, lines)), lines
    assert sum(map(len, lines)) < LARGEST
