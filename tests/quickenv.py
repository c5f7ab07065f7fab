"""The environment for code in this process that reads it where failoverctl does, and for what this process starts."""

from __future__ import annotations

import os
import posix

import pytest


def setenv(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Set a variable until the test's end."""
    monkeypatch.setenv(name, value)
    monkeypatch.setitem(posix.environ, os.fsencode(name), os.fsencode(value))


def delenv(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Take a variable away until the test's end."""
    monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(posix.environ, os.fsencode(name), raising=False)
