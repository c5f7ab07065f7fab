"""The devices that the tests of pairing judge, and how they judge them."""

from __future__ import annotations

from failoverd.config.spec import Pairing
from failoverd.kinds import Bond
from failoverd.model.links import Filter, Link
from failoverd.policy.naming import mark
from failoverd.policy.pairing import Judgements, judge

MAC = "52:54:00:aa:bb:cc"
NIC = Link(2, "ens3", MAC, MAC, bus="virtio", driver="virtio_net")
VF = Link(3, "ens4", MAC, MAC, bus="pci", driver="mlx5_core")
VF2 = Link(4, "ens5", MAC, MAC, bus="pci", driver="mlx5_core")
BOND = Link(9, "ens3", MAC, kind="bond", info=Bond(mode=1), altnames=frozenset({mark(MAC)}))
BRIDGE = Link(8, "br0", MAC, kind="bridge")
VLAN = Link(7, "ens3.5", MAC, kind="vlan", link=2)
OURS = Filter("ingress", 64_023, 0x80000001, "u32", 2, ours=True)


def judged(*links: Link, config: Pairing | None = None, in_place: bool = False) -> Judgements:
    return judge({link.ifindex: link for link in links}, config or Pairing(), lambda _nic: in_place)


def reason(found: Judgements, link: Link) -> str:
    return found.verdicts[link.ifindex].reason
