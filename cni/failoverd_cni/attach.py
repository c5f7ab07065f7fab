"""A link of a pod on a failover master: failoverd makes, keeps and removes it, and is asked for it here.

What is attached is a declared link of failoverd's with an owner. Addresses are set by this plugin, as for VLANs in the
pod: the runtime's result, duplicate address detection and metrics are one piece of code then. To failoverd they are
another program's, and it leaves them alone.
"""

from __future__ import annotations

import posix
import time

from failoverd_cni import fastjson
from failoverd_cni.control import LONGER, NoDaemonError, RefusedCallError, ask
from failoverd_cni.errors import INVALID_NETCONF, KERNEL, NO_DAEMON, TRY_AGAIN, CniError, warn
from failoverd_cni.inet import mac_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from failoverd_cni.netconf import Netconf, Vlan
    from failoverd_cni.netlink import Link
    from failoverd_cni.pod import Pod
    from failoverd_cni.variables import Variables

PATIENCE = 5.0
"""Seconds until the link has to be ready: thirty pods come at once."""
PENDING = 2.0
"""Seconds until what it waits for has to be there."""
PAUSES = (0.005, 0.01, 0.02, 0.04)
"""Seconds between two questions how far it is; the last for all further ones."""
GOING = 3.0
"""Seconds that failoverd has for its removal, of which hooks may take two (going_wait)."""
PAIR_PATIENCE = 60.0
"""The same for a master that moves: as long as failoverd gives an order (daemon/moves.py). A second is usual; an
emulated CPU has taken twenty."""
PAIR_GOING = 10.0
"""Seconds that a master has for its way home. It comes home all the same when the pod's namespace ends."""
WORDS = {"InUse": TRY_AGAIN, "BadArgument": INVALID_NETCONF}
"""Codes for refusals of the daemon's, by their kind."""


class Attachment:
    """One link of one pod."""

    def __init__(self, vlan: Vlan, variables: Variables, netconf: Netconf) -> None:
        """`vlan` has a failover."""
        self.key = key(netconf.name, variables.container, vlan.name(variables.ifname))
        """Its name for failoverd."""
        self._is_pair = vlan.attach == "pair"
        self._vlan, self._variables, self._netconf = vlan, variables, netconf
        self._name = vlan.name(variables.ifname)

    def make(self, pod: Pod) -> Link:
        """Have it made, and wait for it. Raises CniError; it may be there all the same then."""
        document = self._document(master(self._netconf.control, self._vlan))
        if self._vlan.accept_ra is not False or self._is_pair:
            return self._ready(pod, document)
        # Router advertisements are heard as soon as it is up.
        self._ready(pod, document | {"up": False})
        pod.write_sysctls([(f"ipv6/conf/{self._name}/accept_ra", "0")])
        return self._ready(pod, document)

    def remove(self, pod: Pod | None) -> None:
        """Have it removed. A daemon that does not answer does it when it is back. Raises RefusedError."""
        answered = self._detach()
        if self._is_pair:
            self._gone_home(answered)
            return
        deadline = time.monotonic() + (GOING if answered else 0)
        pauses = list(PAUSES)
        while pod is not None and (link := pod.link(self._name)) is not None:
            if not self.fits(link):
                warn(f"{self._name} is not what failoverd was asked for, and is left alone")
                return
            if time.monotonic() >= deadline:
                pod.delete(link.index)
                return
            time.sleep(pauses.pop(0) if len(pauses) > 1 else pauses[0])

    def _gone_home(self, answered: bool) -> None:
        """Wait until the master is at home. failoverd alone brings it there: to delete it would leave its NICs here."""
        deadline = time.monotonic() + PAIR_GOING
        try:
            while answered and (row := self.row()) is not None:
                if time.monotonic() >= deadline:
                    warn(f"{self._name} is not at home in time: {row.get('detail')}")
                    return
                time.sleep(PAUSES[-1])
        except NoDaemonError as error:
            warn(f"{self._name}: {error}; it comes home when failoverd is back")

    def row(self) -> dict[str, Any] | None:
        """Return what failoverd says of it; None where it does not know it. Raises NoDaemonError."""
        try:
            return dict(ask(self._netconf.control, "links", self.key, patience=LONGER)["links"][0])
        except RefusedCallError:
            return None

    def fits(self, link: Link) -> bool:
        """Tell whether a device in the pod can be this: of its kind, on something in another namespace."""
        if self._is_pair:
            return link.kind == b"bond"
        if link.kind.decode() != self._vlan.attach or not link.elsewhere:
            return False
        return self._vlan.attach != "vlan" or (link.vid, link.protocol) == (self._vlan.id, self._vlan.protocol)

    def _ready(self, pod: Pod, document: dict[str, Any]) -> Link:
        """Declare it, and wait until failoverd says that it is ready and it is in the pod."""
        begin = time.monotonic()
        row: dict[str, Any] | None = self._asked("attach", self.key, fastjson.dumps(document))
        pauses = list(PAUSES)
        while True:
            if row is not None and _is_there(row):
                link = pod.link(self._name)
                if link is not None and self.fits(link) and link.up == document.get("up", True):
                    return link
            if row is None or time.monotonic() >= begin + self._patience(row):
                raise self._not_made(row)
            time.sleep(pauses.pop(0) if len(pauses) > 1 else pauses[0])
            try:
                row = self.row()
            except NoDaemonError as error:
                raise CniError(NO_DAEMON, f"{self._name}: {error}") from None

    def _patience(self, row: dict[str, Any]) -> float:
        """Return how many seconds it has in all, as it is at present."""
        if self._is_pair:
            return 0 if row.get("state") in ("failed", "removing") else PAIR_PATIENCE
        return PENDING if row.get("state") == "pending" else PATIENCE

    def _not_made(self, row: dict[str, Any] | None) -> CniError:
        if row is None:
            text = f"{self._name}: failoverd has forgotten it, as the pod's network namespace is gone"
            return CniError(TRY_AGAIN, text)
        state, detail = row.get("state"), row.get("detail") or "no reason is given"
        code = TRY_AGAIN if state in ("pending", "making", "removing", "ready") else KERNEL
        return CniError(code, f"{self._name}: not ready in time ({state}): {detail}", "see failoverctl links")

    def _asked(self, call: str, *arguments: str) -> dict[str, Any]:
        return asked(self._netconf.control, f"{self._name}: ", call, *arguments)

    def _document(self, lower: str) -> dict[str, Any]:
        """Return the declaration: the keys of [link.NAME], and the owner."""
        vlan = self._vlan
        tag = {"id": vlan.id, "protocol": "802.1ad" if vlan.protocol == 0x88A8 else "802.1Q"} if vlan.is_tagged else {}
        found: dict[str, Any] = {
            "kind": vlan.attach,
            "lower": f"master:{lower}",
            "namespace": {"path": self._variables.netns},
            "device": self._name,
            "owner": {"pod": self._pod(), "container": self._variables.container, "network": self._netconf.name},
        }
        found |= tag if vlan.attach == "vlan" else {"vlan": tag} if tag else {}
        if self._is_pair:
            return found
        found |= {"mode": vlan.mode} if vlan.mode else {}
        found |= {"mtu": vlan.mtu} if vlan.mtu else {}
        return found | ({"mac": mac_text(vlan.mac)} if vlan.mac else {})

    def _pod(self) -> str:
        """Return the pod as Kubernetes calls it; empty where the runtime does not say (CNI_ARGS)."""
        pairs = (part.partition("=") for part in self._variables.all.get("CNI_ARGS", "").split(";"))
        found = {name: value for name, _, value in pairs}
        words = [found.get("K8S_POD_NAMESPACE", ""), found.get("K8S_POD_NAME", "")]
        return "/".join(words) if all(words) else ""

    def _detach(self) -> bool:
        """Have failoverd forget it. Returns whether it did; otherwise a note tells it."""
        try:
            ask(self._netconf.control, "detach", self.key, patience=LONGER)
        except NoDaemonError as error:
            if note(self._netconf.control, self.key, may_run=error.may_run):
                warn(f"{self._name}: {error}; it is detached when failoverd is back")
            return False
        except RefusedCallError as error:
            raise CniError(KERNEL, f"{self._name}: detach: {error}") from None
        return True


def key(network: str, container: str, device: str) -> str:
    """Return the name of a link for failoverd: lower case, 63 characters at most."""
    from _blake2 import blake2b

    digest = blake2b("\0".join((network, container, device)).encode(), digest_size=8).hexdigest()
    return f"cni-{container[:12].lower()}-{digest}"


def master(control: str, vlan: Vlan, patience: float = LONGER) -> str:
    """Return the MAC of the failover master that a configuration names. Its name may change, the MAC does not."""
    masters = asked(control, "", "status", patience=patience).get("masters") or []
    wanted = vlan.failover
    found = [row for row in masters if wanted == "auto" or wanted.lower() == row["mac"] or wanted in _names(row)]
    if len(found) == 1:
        return str(found[0]["mac"])
    known = ", ".join(str(row["name"]) for row in masters) or "none"
    if found:
        raise CniError(INVALID_NETCONF, f'{vlan.place}failover "{wanted}" is {len(found)} masters ({known}); name one')
    text = f'{vlan.place}failover "{wanted}": failoverd has no such pair; there are: {known}'
    raise CniError(TRY_AGAIN, text, "failoverctl explain says why")


def asked(control: str, what: str, call: str, *arguments: str, patience: float = LONGER) -> dict[str, Any]:
    """Call the daemon. Raises CniError: code 50 where none answers, otherwise by the kind of its refusal."""
    try:
        return ask(control, call, *arguments, patience=patience)
    except NoDaemonError as error:
        raise CniError(NO_DAEMON, f"{what}{error}") from None
    except RefusedCallError as error:
        raise CniError(WORDS.get(error.kind, KERNEL), f"{what}failoverd: {error}") from None


def note(control: str, name: str, *, may_run: bool) -> bool:
    """Leave word that a link is to be detached, in the directory of the control socket, if failoverd may know it.
    Returns whether there is a note.

    That directory is another user's: nothing in it is followed, and what is made is that user's to remove.
    """
    folder = control.rpartition("/")[0]
    opened = -1
    try:
        owner = posix.stat(folder)
        if not may_run and not _is_file(f"{folder}/attachments/{name}"):
            return False
        try:
            posix.mkdir(f"{folder}/cni", 0o755)
            posix.chown(f"{folder}/cni", owner.st_uid, owner.st_gid, follow_symlinks=False)
        except FileExistsError:
            pass
        opened = posix.open(f"{folder}/cni", posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
        posix.close(posix.open(name, flags, 0o644, dir_fd=opened))
    except FileExistsError:
        return True
    except OSError as error:
        warn(f"{folder}/cni/{name}: {error.strerror}; failoverctl links shows what is attached")
        return False
    finally:
        if opened >= 0:
            posix.close(opened)
    return True


def _is_file(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def _is_there(row: dict[str, Any]) -> bool:
    """Tell whether a link is as declared. One without a carrier is: its master has none, which may come later."""
    return row.get("state") == "ready" or (row.get("state"), row.get("reason")) == ("degraded", "no-carrier")


def _names(row: dict[str, Any]) -> set[str]:
    slaves = [row[role] for role in ("primary", "standby") if row.get(role)]
    return {str(one["name"]) for one in (row, *slaves)}
