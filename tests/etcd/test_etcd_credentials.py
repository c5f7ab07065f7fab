"""TLS, certificates that name a user, users with a password, several endpoints; and what is said when it fails."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from etcdmachine import A, B, ip, is_carried, is_made, machine
from etcdserver import SUITES, Etcd, etcd
from privatenet import private_net

HERE = ["https://127.0.0.1:2379"]
PLAIN = ["http://127.0.0.1:2379"]
NODE = "/failoverd/v1/nodes/h1/"
STATUS = "/failoverd/v1/status/h1/"


class Certificates:
    """An authority, and what it signs."""

    def __init__(self, where: Path, name: str = "ca") -> None:
        where.mkdir(exist_ok=True)
        self.where, self.ca = where, where / f"{name}.pem"
        self._openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            *CURVE,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
            "-subj",
            f"/CN={name}",
        )

    def signed(
        self, name: str, *, names: str = "IP:127.0.0.1", days: str = "30", use: str = "serverAuth"
    ) -> tuple[str, str]:
        """A certificate and its key."""
        (self.where / f"{name}.ext").write_text(f"subjectAltName={names}\nextendedKeyUsage={use}\n")
        self._openssl(
            "req", "-newkey", "ec", *CURVE, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        ca = self.ca.stem
        signed = (
            "-CA",
            f"{ca}.pem",
            "-CAkey",
            f"{ca}.key",
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            f"{name}.ext",
        )
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
        return str(self.where / f"{name}.pem"), str(self.where / f"{name}.key")

    def _openssl(self, *words: str) -> None:
        nodes = ("-nodes",) if words[0] == "req" else ()
        subprocess.run(("openssl", *words, *nodes), cwd=self.where, check=True, capture_output=True)


CURVE = ("-pkeyopt", "ec_paramgen_curve:P-256")


@contextmanager
def secured(where: Path, suite: str, server: tuple[str, str], given: Certificates, *more: str) -> Iterator[Etcd]:
    """An etcd that speaks TLS alone."""
    cert, key = given.signed("root", use="clientAuth")
    options = ["--cert-file", server[0], "--key-file", server[1], *more]
    client = ["--cacert", str(given.ca), "--cert", cert, "--key", key]
    with etcd(where / "etcd", suite, options=options, scheme="https", client=client) as member:
        yield member


def enable_auth(server: Etcd, *login: str) -> None:
    """A user h1, who may only read what is declared for h1, and write its status."""
    server.ctl("user", "add", "root:secret")
    server.ctl("user", "grant-role", "root", "root")
    server.ctl("user", "add", "h1:pass word" if not login else "h1:x")
    server.ctl("role", "add", "h1")
    server.ctl("role", "grant-permission", "h1", "--prefix=true", "read", NODE)
    server.ctl("role", "grant-permission", "h1", "--prefix=true", "readwrite", STATUS)
    server.ctl("user", "grant-role", "h1", "h1")
    server.ctl("auth", "enable")


@pytest.mark.parametrize("suite", SUITES)
@private_net
def test_certificates_of_both_sides_and_the_name_in_ours_is_the_user(tmp_path: Path, suite: str) -> None:
    """The server's certificate is for servers only, and so the JSON gateway of etcd would not work."""
    given = Certificates(tmp_path / "certs")
    cert, key = given.signed("h1", use="clientAuth")
    ours = f'ca = "{given.ca}"\ncert = "{cert}"\nkey = "{key}"\n'
    more = ("--client-cert-auth", "--trusted-ca-file", str(given.ca))
    with secured(tmp_path, suite, given.signed("server"), given, *more) as server:
        enable_auth(server, "by certificate")
        with machine(tmp_path / "m", HERE, ours) as there:
            server.put("h1", a=A, b=B)
            there.until(is_made)
            server.ctl("role", "revoke-permission", "h1", NODE, "--prefix=true")
            there.service.kill()
            there.service.wait()
            there.start_service()
            there.until(lambda: "permission denied" in there.said())
            assert is_carried()
            server.ctl("role", "grant-permission", "h1", "--prefix=true", "read", NODE)
            there.until(lambda: there.said().count("connected, at") == 2)


@pytest.mark.parametrize("suite", SUITES)
@private_net
def test_a_user_with_a_password_whose_token_is_forgotten(tmp_path: Path, suite: str) -> None:
    with etcd(tmp_path / "etcd", suite) as server:
        enable_auth(server)
        server.client = ["--user", "root:secret"]
        with machine(tmp_path / "m", PLAIN, password(tmp_path)) as there:
            server.put("h1", a=A, b=B)
            there.until(is_made)
            # etcd forgets its tokens when it ends: what was logged in is not any more.
            server.end()
            server.start()
            server.put("h1", a=A | {"mtu": 1400})
            assert there.until(lambda: there.states() == {"a": "ready", "b": "ready"} and mtu() == 1400) < 5
            assert "secret" not in there.said()
            assert "pass word" not in there.said()


TTL = 3
"""Seconds that a token is good for. On a slow machine etcdctl has not asked yet when one of a second has expired."""


@pytest.mark.parametrize(("suite", "is_signed"), [("bookworm", False), ("trixie", False), ("bookworm", True)])
@private_net
def test_a_token_that_expires(tmp_path: Path, suite: str, is_signed: bool) -> None:
    """Nothing else happens: etcd runs on, and so does the watch. A new login is needed for the first call after it.
    The signed tokens (JWT) are never prolonged."""
    options = ["--auth-token-ttl", str(TTL)] if not is_signed else ["--auth-token", signed_tokens(tmp_path, TTL)]
    with etcd(tmp_path / "etcd", suite, options=options) as server:
        enable_auth(server)
        server.client = ["--user", "root:secret"]
        before = logins(server)
        server.ctl("get", "x")
        assert logins(server) == before + 1, "etcdctl logs in once for each command"
        with machine(tmp_path / "m", PLAIN, password(tmp_path) + "publish_status = true\n") as there:
            server.put("h1", a=A, b=B)
            there.until(lambda: told(server, "a").get("state") == "ready")
            # All tokens are older than this then.
            there.until_quiet(TTL + 1.5)
            before, said = logins(server) - server.asked, there.said()
            server.put("h1", a=A | {"mtu": 1400})
            assert there.until(lambda: mtu() == 1400) < 5
            there.until(lambda: told(server, "a")["revision"] == server.revision(f"{NODE}links/a"))
            assert logins(server) - server.asked == before + 1, "failoverd-etcd has logged in to write its status"
            assert there.said() == said, "the connection was there all the time"


@private_net
def test_a_signed_token_is_void_when_anything_about_roles_has_changed(tmp_path: Path) -> None:
    with etcd(tmp_path / "etcd", options=["--auth-token", signed_tokens(tmp_path, 300)]) as server:
        enable_auth(server)
        server.client = ["--user", "root:secret"]
        with machine(tmp_path / "m", PLAIN, password(tmp_path) + "publish_status = true\n") as there:
            server.put("h1", a=A, b=B)
            there.until(lambda: told(server, "a").get("state") == "ready")
            server.ctl("role", "add", "another")
            server.ctl("del", f"{NODE}links/b")
            assert there.until(lambda: told(server, "a").get("state") == "pending") < 5
            assert "cannot be written" not in there.said()


def password(where: Path) -> str:
    """The configuration of a user with a password."""
    (where / "password").write_text("pass word\n")
    return f'user = "h1"\npassword_file = "{where}/password"\n'


def signed_tokens(where: Path, ttl: int) -> str:
    """etcd's --auth-token for signed ones."""
    key, public = str(where / "jwt.key"), str(where / "jwt.pub")
    subprocess.run(("openssl", "genrsa", "-out", key, "2048"), check=True, capture_output=True)
    subprocess.run(("openssl", "rsa", "-in", key, "-pubout", "-out", public), check=True, capture_output=True)
    return f"jwt,pub-key={public},priv-key={key},sign-method=RS256,ttl={ttl}s"


def logins(server: Etcd) -> int:
    """How often etcd was asked for a token."""
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    started = [line for line in lines if line.startswith("grpc_server_started_total") and '"Authenticate"' in line]
    return int(started[0].rpartition(" ")[2]) if started else 0


def told(server: Etcd, link: str) -> dict[str, Any]:
    """What the machine has written to etcd of a link."""
    found: dict[str, Any] = server.below(f"{STATUS}links/{link}")
    return next(iter(found.values()), {})


def mtu() -> int:
    return int(ip("link", "show", "a0").partition("mtu ")[2].split()[0])


@private_net
def test_a_wrong_password_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong\n")
    with etcd(tmp_path / "etcd") as server:
        enable_auth(server)
        ours = f'user = "h1"\npassword_file = "{tmp_path}/password"\n'
        with machine(tmp_path / "m", PLAIN, ours) as there:
            there.until(lambda: "it refuses the user or the password" in there.said())
            server.client = ["--user", "root:secret"]
            server.ctl("user", "passwd", "--interactive=false", "h1", given="wrong\n")
            there.until(lambda: "connected, at" in there.said())
            assert there.said().count("it refuses the user or the password") == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("another ca", "its certificate is not accepted: unable to get local issuer certificate"),
        ("another name", "its certificate is not accepted: IP address mismatch"),
        ("expired", "its certificate is not accepted: certificate has expired"),
        ("no certificate of ours", "TLS fails"),
        ("no file", "[etcd] ca: /nowhere.pem cannot be read: No such file or directory"),
    ],
)
@private_net
def test_what_is_wrong_with_certificates_is_said_once_and_clearly(tmp_path: Path, fault: str, words: str) -> None:
    given = Certificates(tmp_path / "certs")
    names = "IP:127.0.0.9,DNS:etcd9" if fault == "another name" else "IP:127.0.0.1"
    server = given.signed("server", names=names, days="-1" if fault == "expired" else "30")
    ca = Certificates(tmp_path / "others", "other").ca if fault == "another ca" else given.ca
    ours = f'ca = "{"/nowhere.pem" if fault == "no file" else ca}"\n'
    more = ("--client-cert-auth", "--trusted-ca-file", str(given.ca)) if fault == "no certificate of ours" else ()
    member = Etcd(tmp_path / "etcd", options=["--cert-file", server[0], "--key-file", server[1], *more], scheme="https")
    member.start(is_waited_for=False)
    try:
        with machine(tmp_path / "m", HERE, ours) as there:
            there.until(lambda: words in there.said())
            first = there.said()
            there.until(lambda: "tried again" in there.said())
            there.until_quiet(5)
            assert there.said().count(words) == first.count(words) == 1
            assert "connected, at" not in there.said()
    finally:
        member.end()


@private_net
def test_an_endpoint_that_is_down_is_passed_over(tmp_path: Path) -> None:
    with machine(tmp_path / "m", ["127.0.0.1:1", "127.0.0.1:2379"]) as there, etcd(tmp_path / "etcd") as server:
        server.put("h1", a=A, b=B)
        there.until(is_made)
