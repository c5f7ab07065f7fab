"""IPAM plugins: executables in CNI_PATH, which get the variables and a configuration, and answer with addresses."""

from __future__ import annotations

import posix

from failoverd_cni import fastjson
from failoverd_cni.errors import INVALID_JSON, INVALID_NETCONF, KERNEL, CniError
from failoverd_cni.inet import AF_INET, Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from failoverd_cni.netconf import Netconf, Vlan
    from failoverd_cni.variables import Variables

LONGEST = 1 << 20
"""Bytes of an answer."""
NUMBERS = ("mtu", "advmss", "priority", "table", "scope")
"""The numbers that a route may have."""
EXECUTABLE, REGULAR, KIND_OF_FILE = 1, 0o100000, 0o170000


class Route:
    """A route of an IPAM plugin's result."""

    __slots__ = ("dst", "gateway", "numbers", "row")

    def __init__(self, row: dict[str, Any]) -> None:
        """Read it. Raises ValueError."""
        self.row = row
        """As the plugin wrote it."""
        self.dst = Address(_text(row, "dst"))
        self.gateway = Address(_text(row, "gw"), prefixed=False) if row.get("gw") else None
        """None where the plugin does not say: then it is that of the address."""
        self.numbers: dict[str, int] = {key: row[key] for key in NUMBERS if row.get(key) is not None}
        """Those of NUMBERS that it has."""
        for key, value in self.numbers.items():
            if (
                not isinstance(value, int)
                or isinstance(value, bool)
                or not 0 <= value < (256 if key == "scope" else 1 << 32)
            ):
                raise ValueError(f"routes: {key} {value!r} is no number that the kernel takes")


class Addresses:
    """An IPAM plugin's result."""

    __slots__ = ("addresses", "dns", "gateways", "ips", "routes")

    def __init__(self, document: dict[str, Any]) -> None:
        """Read it. Raises ValueError."""
        self.ips = _rows(document, "ips")
        """As the plugin wrote them."""
        if not self.ips:
            raise ValueError("it has no ips")
        self.addresses = [Address(_text(row, "address")) for row in self.ips]
        self.gateways: dict[int, Address] = {}
        """The first gateway of each address family."""
        for row in self.ips:
            if row.get("gateway"):
                gateway = Address(_text(row, "gateway"), prefixed=False)
                self.gateways.setdefault(gateway.family, gateway)
        self.routes = [Route(row) for row in _rows(document, "routes")]
        self.dns: dict[str, Any] = document.get("dns") or {}
        if not isinstance(self.dns, dict):
            raise ValueError("its dns is no object")

    def has_ipv6(self) -> bool:
        """Tell whether any of the addresses is an IPv6 address."""
        return any(address.family != AF_INET for address in self.addresses)


class Ipam:
    """The IPAM plugin of one VLAN, for one call of the runtime."""

    __slots__ = ("_configuration", "_id", "_name", "_variables", "kind")

    def __init__(self, vlan: Vlan, variables: Variables, netconf: Netconf) -> None:
        """`vlan` has an ipam."""
        self.kind: str = vlan.ipam["type"]
        """The executable's name."""
        self._name = vlan.name(variables.ifname) if variables.ifname else ""
        self._id = vlan.id
        self._configuration = netconf.delegated(vlan)
        self._variables = variables

    def add(self) -> Addresses:
        """Have addresses allocated. Raises CniError."""
        try:
            return Addresses(self._document(self.call("ADD")))
        except ValueError as error:
            raise CniError(INVALID_JSON, f"{self._who()} answered no result: {error}") from None

    def call(self, command: str) -> bytes:
        """Run a command of the plugin; what it answers. Raises CniError, with the plugin's own code and words."""
        # The plugin's device is this VLAN: dhcp asks on CNI_IFNAME, and host-local keeps it as the owner.
        changed = {"CNI_COMMAND": command} | ({"CNI_IFNAME": self._name} if self._name else {})
        status, answer = run(self._path(), {**self._variables.all, **changed}, self._configuration.encode())
        if status:
            raise self._error(command, status, answer)
        return answer

    def _path(self) -> str:
        for directory in self._variables.path.split(":"):
            path = f"{directory}/{self.kind}"
            try:
                regular = posix.stat(path).st_mode & KIND_OF_FILE == REGULAR
            except (OSError, ValueError):
                continue
            if directory and regular and posix.access(path, EXECUTABLE):
                return path
        where = self._variables.path or "CNI_PATH, which is not set"
        raise CniError(INVALID_NETCONF, f"{self._who()}: there is no such executable in {where}")

    def _document(self, answer: bytes) -> dict[str, Any]:
        found = fastjson.loads(answer.decode())
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
        return found

    def _error(self, command: str, status: int, answer: bytes) -> CniError:
        """Return the plugin's own error."""
        try:
            found = self._document(answer)
            code, msg, details = found["code"], found["msg"], found.get("details", "")
        except (ValueError, RecursionError, KeyError):
            code, msg, details = KERNEL, f"ended with status {status}, without an error object", ""
        code = code if isinstance(code, int) and not isinstance(code, bool) else KERNEL
        return CniError(code, f"{self._who()}, {command}: {msg}", str(details))

    def _who(self) -> str:
        return f"{self._name or f'VLAN {self._id}'}: the IPAM plugin {self.kind}"


def run(path: str, variables: Mapping[str, str], document: bytes) -> tuple[int, bytes]:
    """Run an executable with a document on stdin. Returns its exit status and what it wrote to stdout; stderr is ours.

    Raises CniError where it cannot be started, or answers without end.
    """
    stdin = stdout = into = -1
    try:
        stdin = posix.memfd_create("netconf", posix.MFD_CLOEXEC)
        stdout, into = posix.pipe2(posix.O_CLOEXEC)
        posix.write(stdin, document)
        posix.lseek(stdin, 0, 0)
        actions = [(posix.POSIX_SPAWN_DUP2, stdin, 0), (posix.POSIX_SPAWN_DUP2, into, 1)]
        child = posix.posix_spawn(path, [path], variables, file_actions=actions)
        posix.close(into)
        into = -1
        answer = _all(stdout)
        status = posix.waitstatus_to_exitcode(posix.waitpid(child, 0)[1])
    except OSError as error:
        raise CniError(KERNEL, f"{path} cannot be run: {error.strerror}") from None
    finally:
        for number in (stdin, stdout, into):
            if number >= 0:
                posix.close(number)
    if len(answer) > LONGEST:
        raise CniError(INVALID_JSON, f"{path} answered more than {LONGEST} bytes")
    return status, answer


def _all(number: int) -> bytes:
    """Return what is read up to the end, or LONGEST bytes and some. All of it is read, so that the writer ends."""
    parts, size = [], 0
    while part := posix.read(number, 1 << 16):
        size += len(part)
        if size - len(part) <= LONGEST:
            parts.append(part)
    return b"".join(parts)


def _rows(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    rows = document.get(key) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"its {key} is no list of objects")
    return rows


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} {value!r} is no text")
    return value
