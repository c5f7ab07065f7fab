"""Choose the container that a reference is bound to, by the namespaces that those it means are in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from failoverd.netns.containers import Container, Wanted
from failoverd.netns.processes import AbsentError, Process
from failoverd.netns.references import open_of_process
from failoverd.netns.runtimes import Runtimes

OURS = (0, 0)
"""Stands for our own namespace among the devices and inodes of others."""


def choose(runtimes: Runtimes, wanted: Wanted) -> Process:
    """Return a process of the containers that are meant, which have to be in one namespace. Raises AbsentError."""
    containers = runtimes.meant(wanted)
    apart = [container for container in containers if not container.on_host_network]
    if containers and not apart:
        text = f"container {containers[0].id[:12]} is on the host's network, and has no namespace"
        raise AbsentError("container-on-host-network", text)
    with contextlib.ExitStack() as stack:
        found = _by_namespace(apart, stack)
        if not found:
            raise runtimes.why_none(wanted)
        if len(found) > 1:
            ids = ", ".join(sorted(container.id[:12] for container, _ in found.values()))
            text = (
                f"containers {ids} are meant alike, and in namespaces of their own; taken as soon as only one is left"
            )
            raise AbsentError("container-ambiguous", text)
        ((_, process),) = found.values()
        return Process(process.pid, process.started)


def _by_namespace(
    containers: Iterable[Container], stack: contextlib.ExitStack
) -> dict[tuple[int, int], tuple[Container, Process]]:
    """Return one container of each namespace; those that are in ours as yet only where there is no other."""
    found: dict[tuple[int, int], tuple[Container, Process]] = {}
    early: tuple[Container, Process] | None = None
    for container in containers:
        try:
            process = Process(container.pid, container.started)
            stack.callback(process.close)
            fd = open_of_process(process)
        except AbsentError as error:
            if error.absent.reason == "namespace-is-own":
                early = container, process
            continue
        # Kept open until all are compared: the number of one that has gone is another one's.
        stack.callback(os.close, fd)
        status = os.fstat(fd)
        found.setdefault((status.st_dev, status.st_ino), (container, process))
    return found or ({OURS: early} if early else {})
