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
    return details or code


def with_tls(address: str, ca: str, cert: str, key: str, patience: float) -> str:
    """Return what a plain handshake says is wrong, "" if nothing is; blocks. gRPC does not tell."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
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
    except OSError as error:
        return f"it cannot be reached: {error.strerror or error}"
    return ""
