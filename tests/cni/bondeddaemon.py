"""The daemon as the netns world runs it, for a kernel with bonds: veths pass for NICs in whichever namespace they are.

Moves look at namespaces by themselves. There, a veth is known by its peer's ifindex, which stays where the wire is; its
own may change on the way.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from failoverd.model.links import Link
from failoverd.netlink import whole_look
from failoverd.netlink.frames import Message
from failoverd.netlink.links import read_link, read_underlay
from failoverd_lab import netnsdaemon
from failoverd_lab.hardware import Shelf


class ByWire(Shelf):
    """Files by the ifindexes of the peers."""

    def complete(self, link: Link) -> Link:
        return self.known(link, link.link)

    def known(self, link: Link, wire: int) -> Link:
        """The NIC that a veth stands for, given the ifindex of its peer."""
        found = super().complete(replace(link, ifindex=wire))
        return link if found.kind else replace(found, ifindex=link.ifindex, link=0)


def main(where: Path) -> None:
    """Run until SIGTERM."""
    shelf = ByWire(where / "hardware")

    def read(message: Message) -> Link:
        link = read_link(message)
        return shelf.known(link, read_underlay(message)[1]) if link.kind == "veth" else link

    vars(whole_look).update(read_bystander=lambda _message: None, read_link=read)
    netnsdaemon.shelf = lambda directory: ByWire(directory / "hardware")
    netnsdaemon.main(where)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
