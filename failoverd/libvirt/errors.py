"""libvirt's error object (struct virNetMessageError), with the codes of libvirt/virterror.h."""

from __future__ import annotations

from failoverd.libvirt.xdr import INT, UINT, packed_optional

INTERNAL_ERROR, NO_SUPPORT, INVALID_CONN, INVALID_ARG, OPERATION_FAILED = 1, 3, 6, 8, 9
RPC, NO_INTERFACE, MULTIPLE_INTERFACES = 39, 57, 59
"""virErrorNumber: what went wrong."""
FROM_RPC, FROM_INTERFACE = 7, 26
"""virErrorDomain: the part of libvirt it went wrong in."""
LEVEL_ERROR = 2
NULL = UINT.pack(0)


class LibvirtError(Exception):
    """A call is refused; the text is what libvirt's client shows. `code` and `domain` are libvirt's numbers."""

    def __init__(self, code: int, text: str, domain: int = FROM_INTERFACE) -> None:
        super().__init__(text)
        self.code, self.domain = code, domain

    def packed(self) -> bytes:
        """Return the error object: code, domain, message, level, no domain, str1, no other strings, no numbers, no
        network. libvirt, too, repeats the message as str1."""
        text = packed_optional(str(self).encode("utf-8", "backslashreplace"))
        numbers = INT.pack(self.code) + INT.pack(self.domain)
        return b"".join((numbers, text, INT.pack(LEVEL_ERROR), NULL, text, NULL, NULL, INT.pack(0), INT.pack(0), NULL))
