"""A simulated kernel with a clock in hand."""

from __future__ import annotations

from collections.abc import Collection

from failoverd_lab.simkernel import SimKernel, wire
from failoverd_lab.simkernel import uapi as n

MAC, OTHER = "52:54:00:fa:11:01", "52:54:00:fa:11:02"
V4, V6, PEER = "192.0.2.2/24", "2001:db8::2/64", "192.0.2.1"
BOND = wire.u8(n.IFLA_BOND_MODE, 1) + wire.u32(n.IFLA_BOND_MIIMON, 100) + wire.u8(n.IFLA_BOND_FAIL_OVER_MAC, 1)


class Hands:
    """A kernel, a clock in hand, and short words for what is done often."""

    def __init__(self, release: tuple[int, int] = (6, 1), without: Collection[str] = ()) -> None:
        self.now = 0.0
        self.kernel = SimKernel(lambda: self.now, release, without)
        self.admin = self.kernel.admin

    def plug(self, name: str, bus: str = "pci", max_mtu: int = 9190, mac: str = MAC) -> int:
        parent, driver = ("virtio1", "virtio_net") if bus == "virtio" else ("0000:02:00.0", "vmxnet3")
        return self.kernel.plug(name, mac, "virtio" if bus == "virtio" else "pci", driver, parent, max_mtu)

    def pass_time(self, seconds: float) -> None:
        """Tick at every moment that is due, to the end of the time."""
        end = self.now + seconds
        while (due := self.kernel.due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.kernel.tick()
        self.now = end

    def index(self, name: str) -> int:
        return next(link.ifindex for link in self.kernel.links() if link.name == name)

    def bond(self, *nics: int, data: bytes = BOND) -> int:
        """A bond that is up, has these slaves and an address of each family."""
        self.admin.create("bond", "bond7", MAC, data)
        bond = self.index("bond7")
        self.admin.set_up(bond)
        for nic in nics:
            self.admin.set_master(nic, bond)
        self.admin.configure(bond, (V4, V6))
        self.pass_time(0.3)
        return bond
