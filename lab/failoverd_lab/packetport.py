"""A port of the lab's switch on one end of a veth: the wire of a NIC in the netns world.

A raw packet socket (packet(7)) is bound to the end in the host's namespace: it receives every frame that the guest
sends, and the guest receives what it sends. Frames sent by this end are not received again (PACKET_IGNORE_OUTGOING). A
frame of the guest comes as its stack hands it to a device that offloads, so a UDP checksum may be half-made. The lab's
peer does not check it.
"""

from __future__ import annotations

import errno
import socket

import trio

from failoverd_lab.switch import SO_TIMESTAMPNS, SocketPort, Switch

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
"""linux/if_packet.h; since 4.20."""


class PacketPort(SocketPort):
    """A packet socket as a port (see the module). It receives from now on, and passes frames on once it is given to
    `Switch.start`. Raises OSError."""

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
        """See SocketPort. The socket is not closed in the thread that passes the frames.

        The last `close` of a packet socket waits until no reader in the kernel can be looking at it any more
        (packet_release), tens of milliseconds.
        """
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
            # The wire was cut, or has gone. A switch forgets the MACs behind a port that loses its link.
            self._switch.forget(self)

    def _try(self, frame: bytes) -> bool:
        try:
            self._sock.send(frame)
        except BlockingIOError:
            return False
        except OSError:
            self.dropped += 1
        return True
