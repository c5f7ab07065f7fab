"""The keys of [link.NAME] and [master.NAME] for the pages of the configuration, and examples of such tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from failoverd.config.keys import entries
from failoverd.config.kinds import show
from failoverd.config.links.spec import KINDS, Link, Namespace, Route
from failoverd.config.residence import MasterOf
from failoverd.dataclass import dataclass

TABLES: Mapping[str, type] = {"namespace": Namespace, "routes": Route}
"""The tables in a link's table, by the key that has them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One key."""

    name: str
    text: str
    default: str
    """In TOML's spelling; "" for none."""


def rows() -> Iterator[Row]:
    """Every key in the order of the table, and behind `namespace` and `routes` the keys in these."""
    for entry in entries("link", Link):
        of = f" For {_listed(entry.of)}." if entry.of else ""
        yield _row(entry.name, f"{entry.doc}{of} Give {entry.kind.describe()}", entry.default)
        for inner in entries(entry.name, TABLES[entry.name]) if entry.name in TABLES else ():
            name = f"{entry.name}.{inner.name}"
            yield _row(name, f"{inner.doc} Give {inner.kind.describe()}", inner.default)


def master_rows() -> Iterator[Row]:
    """Every key of [master.NAME]."""
    for entry in entries("master", MasterOf):
        yield _row(entry.name, f"{entry.doc} Give {entry.kind.describe()}", entry.default)


def _row(name: str, text: str, default: object) -> Row:
    return Row(name, f"{text}.", "" if default is None else show(default, longest=1000))


def _listed(kinds: tuple[str, ...]) -> str:
    """Name kinds, or those that are left out where that is shorter."""
    others = [kind for kind in KINDS if kind not in kinds]
    if len(others) == 1:
        return f"every kind but {others[0]}"
    return " and ".join(", ".join(kinds).rsplit(", ", 1))


def about() -> str:
    """What a link is."""
    return " ".join((Link.__doc__ or "").split())


def about_master() -> str:
    """What [master.NAME] is."""
    return " ".join((MasterOf.__doc__ or "").split())


MASTER_EXAMPLE = """\
# The service of this machine is in the container "web", and so is the accelerated NIC.
[master.ens3]
namespace = "container:label:role=web"
when_gone = "park"
"""

EXAMPLES = """\
# A wire from this machine to a container. The two ends could be in files of two authors.
[link.web-host]
kind = "veth"
peer = "web-container"
device = "web0"
addresses = ["192.168.22.1/24", "fd00:22::1/64"]

[link.web-container]
kind = "veth"
peer = "web-host"
device = "eth1"
namespace = { container = "label:org.example.role=web" }
addresses = ["192.168.22.2/24"]
routes = [{ to = "10.0.0.0/8", via = "192.168.22.1", metric = 50, table = 254 }]
mtu = 1450
mac = "02:00:5e:10:00:01"

# A wire between two network namespaces, as one author writes it.
[link.lab]
enabled = true
kind = "veth"
namespace = { name = "red", create = true }
foreign_addresses = "remove"

[link.lab.peer]
device = "lab0"
namespace = { name = "blue" }

# A VLAN on a master of failoverd's, for a process that has a network namespace of its own.
[link.storage]
kind = "vlan"
lower = "master:ens3"
id = 120
protocol = "802.1Q"
namespace = { pid = 4711 }

[link.apps]
kind = "macvlan"
lower = "device:eth7"
mode = "private"
namespace = { path = "/run/apps/net" }

# A bridge with the VLAN 130 of a master and with a device that another program makes.
[link.br0]
kind = "bridge"
ports = ["link:vlan130", "link:tap0"]
stp = true
forward_delay = 4
vlan_filtering = false

[link.vlan130]
kind = "vlan"
lower = "master:ens3"
id = 130

[link.tap0]
kind = "existing"
up = true

[link.service-address]
kind = "dummy"
device = "service0"
addresses = ["10.255.0.1/32"]

[link.blue]
kind = "vrf"
table = 100
ports = ["device:eth8"]
"""
"""Every key is in them."""
