"""Containers as their runtime describes them, and which of them a reference means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from failoverd.dataclass import dataclass

POD_NAMESPACE, POD_NAME = "io.kubernetes.pod.namespace", "io.kubernetes.pod.name"
"""Labels that a kubelet gives to every container."""
ID = re.compile("[0-9a-f]{12,64}")
GROUP = re.compile(
    r".*(?:/(?:docker|libpod|crio|cri-containerd|nerdctl)-|/(?:docker|libpod|default)/|/pod[0-9a-f_-]{32,36}/"
    r"|:cri-containerd:)([0-9a-f]{64})(?:\.scope)?(?:/|$)"
)
"""A container's control group, the innermost of a path: by systemd's names, and by cgroupfs's, which of a pod are
/kubepods/burstable/podUID/ID. Where the kubelet has systemd's driver and containerd has not, one is called
kubepods-burstable-podUID.slice:cri-containerd:ID (containerd, pkg/cri). conmon, which is not the container, has a group
of its own (crio-conmon-ID.scope)."""
MACHINE = re.compile(r"/(?:systemd-nspawn@([^/]+)\.service|machine-([^/]+)\.scope)(?:/(?!supervisor)|$)")
"""A machine's control group, but for what of it is systemd-nspawn itself."""
ESCAPED = re.compile(r"\\x([0-9a-f]{2})")

BY_GROUP = frozenset({"id", "env", "machine"})
"""What control groups tell of a container: their names, and the environments of the processes in them."""

TELLING = frozenset({"start", "restart", "rename", "die", "died"})
"""Events after which a container is looked at."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reference to a container asks for."""

    by: str
    """"label", "env", "name", "id", "pod" or "machine"."""

    key: str
    """The label or the variable; the pod's namespace."""

    value: str


@dataclass(frozen=True, slots=True)
class Container:
    """A running container."""

    id: str
    pid: int
    started: int = 0
    """The start time of its process, in ticks since the boot."""

    names: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: tuple[str, ...] = ()
    """KEY=value each."""

    on_host_network: bool = False


def parse(text: str) -> Wanted:
    """Parse a reference's value. Raises ValueError with a sentence."""
    by, _, value = text.partition(":")
    if by in ("label", "env"):
        key, has_value, value = value.partition("=")
        if key and has_value:
            return Wanted(by, key, value)
        raise ValueError(f"{text!r}: say {by}:KEY=VALUE")
    if by == "pod":
        namespace, _, name = value.partition("/")
        if namespace and name:
            return Wanted(by, namespace, name)
        raise ValueError(f"{text!r}: say pod:NAMESPACE/NAME")
    if by == "id" and not ID.fullmatch(value):
        raise ValueError(f"{text!r}: an id is 12 to 64 hexadecimal digits")
    if by not in ("id", "name", "machine") or not value:
        raise ValueError(f"{text!r}: say label:KEY=VALUE, env:KEY=VALUE, name:N, id:I, pod:NAMESPACE/N or machine:N")
    return Wanted(by, "", value)


def is_meant(wanted: Wanted, container: Container) -> bool:
    """Return whether a reference means this container."""
    match wanted.by:
        case "label":
            return container.labels.get(wanted.key) == wanted.value
        case "env":
            return f"{wanted.key}={wanted.value}" in container.environment
        case "pod":
            return (container.labels.get(POD_NAMESPACE), container.labels.get(POD_NAME)) == (wanted.key, wanted.value)
        case "id":
            return container.id.startswith(wanted.value)
        case by:
            # The cgroups' machines have their names with this prefix, as a container may be called the same.
            return (f"machine:{wanted.value}" if by == "machine" else wanted.value) in container.names


def read_list(document: Any) -> list[str]:
    """Return the ids of /containers/json. Raises ValueError."""
    match document:
        case list(rows):
            return [_id(row) for row in rows]
        case _:
            raise ValueError("its list of containers is no list")


def _id(row: Any) -> str:
    match row:
        case {"Id": str(known)} if ID.fullmatch(known):
            return known
        case _:
            raise ValueError("a container in its list has no id")


def read_container(document: Any) -> Container | None:
    """Return the container of /containers/ID/json, None where it does not run. Raises ValueError."""
    match document:
        case {"Id": str(known), "State": {"Running": bool(running), "Pid": int(pid)}} if ID.fullmatch(known):
            if not running or pid <= 0:
                return None
        case _:
            raise ValueError("its description of a container has no state")
    config = _dict(document, "Config")
    name = document.get("Name")
    labels, environment = _dict(config, "Labels"), config.get("Env")
    if not isinstance(environment, list):
        # Podman and Docker both say null where there is none.
        environment = []
    return Container(
        known,
        pid,
        # Docker writes the name with a slash before it, Podman without.
        names=(name.removeprefix("/"),) if isinstance(name, str) else (),
        labels={key: value for key, value in labels.items() if isinstance(value, str)},
        environment=tuple(word for word in environment if isinstance(word, str)),
        on_host_network=_dict(document, "HostConfig").get("NetworkMode") == "host",
    )


def _dict(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def read_event(document: Any) -> str:
    """Return the id of the container that an event is about, "" for an event that says nothing here.

    Podman says "died" and "status" where Docker says "die" and "Action". `stop` is not among them: a container that
    crashes has none.
    """
    match document:
        case {"Action": str(action), "Actor": {"ID": str(known)}} | {"status": str(action), "id": str(known)}:
            return known if action in TELLING and ID.fullmatch(known) else ""
        case _:
            return ""


def group_of(text: str) -> tuple[str, str]:
    """Return a container's id and "", or "" and a machine's name, from /proc/PID/cgroup; twice "" for neither."""
    for line in text.splitlines():
        # The path itself may have colons.
        path = line.split(":", 2)[-1]
        if found := GROUP.match(path):
            return found[1], ""
        if found := MACHINE.search(path):
            return "", ESCAPED.sub(lambda escaped: chr(int(escaped[1], 16)), found[1] or found[2])
    return "", ""
