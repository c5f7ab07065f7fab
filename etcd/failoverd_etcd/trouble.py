"""Why etcd cannot be reached or refuses, as an administrator has to know it."""

from __future__ import annotations

import socket
import ssl

TOKENS = (
    "invalid auth token",
    "auth: token is expired",
    # A signed token (JWT), after any change of users and roles.
    "revision of auth store is old",
    # There is none at all.
    "user name is empty",
)
"""What etcd says of a token that is of no use any more; the last two with the code INVALID_ARGUMENT."""


def is_token(code: str, details: str) -> bool:
    """Return whether another token may help."""
    return code == "UNAUTHENTICATED" or any(word in details for word in TOKENS)


def told(code: str, details: str) -> str:
    """Return the sentence for a failed call."""
    known = {
        "DEADLINE_EXCEEDED": "it does not answer",
        "PERMISSION_DENIED": f"it refuses ({details}); grant this user's role the keys, with the final slash",
        "UNAUTHENTICATED": f"it refuses ({details}); see [etcd] user and password_file",
    }
    if code in known:
        return known[code]
    if "authentication failed" in details:
        return f"it refuses the user or the password ({details}); see [etcd] user and password_file"
    if "user name is empty" in details:
        return "it wants a user, or a certificate that names one; give [etcd] user and password_file"
    if "Socket closed" in details or "Stream removed" in details:
        return "it has closed the connection"
    return details or code


def on_the_way(address: str, tls: tuple[str, str, str] | None, patience: float) -> str:
    """Return why a member cannot be reached, by a connection and, with the files ca, cert and key, a handshake. Returns
    "" if it can; blocks. gRPC tells the one in words of its own, and the other not at all."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if tls is not None:
        return _with_tls(host, port, *tls, patience)
    try:
        socket.create_connection((host, int(port)), patience).close()
    except (OSError, ValueError) as error:
        return _unreachable(error)
    return ""


def _unreachable(error: Exception) -> str:
    return f"it cannot be reached: {getattr(error, 'strerror', None) or error}"


def _with_tls(host: str, port: str, ca: str, cert: str, key: str, patience: float) -> str:
    try:
        context = ssl.create_default_context(cafile=ca or None)
        if cert:
            context.load_cert_chain(cert, key)
        plain = socket.create_connection((host, int(port)), patience)
        with plain, context.wrap_socket(plain, server_hostname=host) as secured:
            # In TLS 1.3 the server's word on our certificate comes after the handshake.
            secured.settimeout(0.2)
            secured.recv(1)
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not accepted: {error.verify_message}; see [etcd] ca, and the name in endpoints"
    except TimeoutError:
        return ""
    except ssl.SSLError as error:
        return f"TLS fails: {error.reason or error}; see [etcd] ca, cert and key"
    except (OSError, ValueError) as error:
        return _unreachable(error)
    return ""
