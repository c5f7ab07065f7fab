"""A port of the lab's switch on one end of a veth: the wire of a NIC in the netns world.

A raw packet socket (packet(7)) is bound to the end that lies in the host's namespace: it hears every frame the guest
sends, and what it sends the guest hears. Frames that leave by this end are not heard again (PACKET_IGNORE_OUTGOING).
What the guest sends comes as its stack hands it to a device that offloads, so a UDP checksum may be half-made. The
lab's peer does not look at it.
"""

from __future__ import annotations

import errno
import socket

import trio

from failoverd.lab.switch import SO_TIMESTAMPNS, SocketPort, Switch

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
"""linux/if_packet.h; since 4.20."""


class PacketPort(SocketPort):
    """See the module. It hears from now on, and passes on once it is given to `Switch.start`. Raises OSError."""

    def __init__(self, switch: Switch, name: str, device: str) -> None:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            sock.bind((device, ETH_P_ALL))
        except BaseException:
            sock.close()
            raise
        super().__init__(switch, name, sock, "")

    async def run(self) -> None:
        """See SocketPort. The last `close` of a packet socket waits until nobody in the kernel can be looking at it any
        more (packet_release), tens of milliseconds: not in the thread that passes the frames."""
        last = self._sock.dup()
        try:
            await super().run()
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(last.close)

    def _read(self) -> None:
        try:
            super()._read()
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise
            # The wire was cut, or has gone. A switch forgets who was behind a port that loses its link.
            self._switch.forget(self)

    def _try(self, frame: bytes) -> bool:
        try:
            self._sock.send(frame)
        except BlockingIOError:
            return False
        except OSError:
            self.dropped += 1
        return True
