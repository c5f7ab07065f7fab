"""failoverd-cni: one command of a container runtime."""

from __future__ import annotations

import posix
import sys

from failoverd_cni import fastjson
from failoverd_cni.errors import INVALID_JSON, KERNEL, CniError
from failoverd_cni.netconf import Netconf, document
from failoverd_cni.variables import Variables, environment
from failoverd_cni.versions import NEWEST, SUPPORTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LONGEST = 1 << 20
"""Bytes of a network configuration."""
FAILED = 1


def main() -> int:
    """Run the command that the variables name. Returns the exit status; stdout has the result or the error object."""
    try:
        text = _stdin()
    except (CniError, UnicodeDecodeError) as error:
        status, answer = FAILED, _error(CniError(INVALID_JSON, str(error)), NEWEST)
    else:
        status, answer = run(environment(), text)
    _write((answer + "\n").encode() if answer else b"")
    return status


def run(variables: Mapping[str, str], text: str) -> tuple[int, str]:
    """Run one command. Returns the exit status and what belongs on stdout."""
    try:
        call = Variables(variables)
        found = _version(text) if call.command == "VERSION" else _done(call, Netconf(text, call.command))
    except CniError as error:
        return FAILED, _error(error, _version_of(text))
    except Exception as error:
        import traceback

        traceback.print_exc()
        text_of_it = f"failoverd-cni has a fault: {type(error).__name__}: {error}"
        return FAILED, _error(CniError(KERNEL, text_of_it, "stderr has more"), _version_of(text))
    return 0, fastjson.dumps(found) if found is not None else ""


def _done(call: Variables, netconf: Netconf) -> dict[str, Any] | None:
    """Run a command that needs a network configuration. Each imports what it needs, and no more."""
    if call.command == "ADD":
        from failoverd_cni.add import add

        return add(call, netconf)
    if call.command == "DEL":
        from failoverd_cni.delete import delete

        delete(call, netconf)
    elif call.command == "CHECK":
        from failoverd_cni.check import check

        check(call, netconf)
    else:
        from failoverd_cni import delegated

        (delegated.collect_garbage if call.command == "GC" else delegated.status)(call, netconf)
    return None


def _version(text: str) -> dict[str, Any]:
    """Answer VERSION, in the version that is asked in."""
    asked = document(text).get("cniVersion") if text.strip() else None
    return {"cniVersion": asked if isinstance(asked, str) else NEWEST, "supportedVersions": list(SUPPORTED)}


def _version_of(text: str) -> str:
    """Return the version for an error object: the configuration's, where it has one."""
    try:
        found = document(text).get("cniVersion")
    except CniError:
        return NEWEST
    return found if isinstance(found, str) else NEWEST


def _error(error: CniError, version: str) -> str:
    return fastjson.dumps(error.document(version))


def _stdin() -> str:
    """Return what is on stdin. Raises CniError and UnicodeDecodeError."""
    parts, size = [], 0
    while part := posix.read(0, 1 << 16):
        parts.append(part)
        size += len(part)
        if size > LONGEST:
            raise CniError(INVALID_JSON, f"the network configuration on stdin has more than {LONGEST} bytes")
    return b"".join(parts).decode()


def _write(data: bytes) -> None:
    while data:
        try:
            data = data[posix.write(1, data) :]
        except OSError as error:
            sys.stderr.write(f"failoverd-cni: stdout: {error.strerror}\n")
            return
