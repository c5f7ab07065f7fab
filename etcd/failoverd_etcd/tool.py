"""failoverd-etcd's commands that write and read declarations: put, get, del; and what all commands print."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from failoverd.cli.arguments import Wanted
from failoverd.cli.commands import DONE, REFUSED
from failoverd.cli.output import say
from failoverd.cli.tables import table, terminal_text
from failoverd.config.bounds import LARGEST_TOGETHER
from failoverd.config.links.fleet import RefusedError, ends_of
from failoverd.config.links.snapshot import contradicting
from failoverd.config.load import load, printable_path
from failoverd.config.read import parse
from failoverd.config.regular import read_regular
from failoverd.config.spec import Etcd as Config
from failoverd.config.spec import EtcdAllow
from failoverd.kinds import KINDS
from failoverd.model.declared import End
from failoverd_etcd.client import Etcd, LostError, Secrets
from failoverd_etcd.commands import CommandError
from failoverd_etcd.keys import Keys
from failoverd_etcd.messages import BY_CREATE_REVISION, GREATER
from failoverd_etcd.messages import Messages as M  # noqa: N817

MOST = 128
"""Operations of one transaction, as etcd has it (--max-txn-ops)."""
ANYTHING = EtcdAllow(kinds=(*sorted(KINDS), "existing"), namespaces=("*",), default_routes=True)
"""What a machine allows is for that machine to say."""
Result = TypeVar("Result")


def configured(wanted: Wanted) -> Config:
    """Return how etcd is reached: as the configuration says, or etcdctl's environment, or the options.

    Raises ConfigError, CommandError.
    """
    path = wanted.options.get("--config")
    etcd = load(Path(path) if path else None).etcd
    env = os.environ
    ca, cert, key = (env.get(f"ETCDCTL_{name}", "") for name in ("CACERT", "CERT", "KEY"))
    etcd = replace(etcd, ca=ca or etcd.ca, cert=cert or etcd.cert, key=key or etcd.key)
    endpoints = wanted.options.get("--endpoints") or env.get("ETCDCTL_ENDPOINTS", "")
    if endpoints:
        etcd = replace(etcd, endpoints=tuple(endpoints.split(",")))
    if not etcd.endpoints:
        raise CommandError("no etcd is configured: give [etcd] endpoints, ETCDCTL_ENDPOINTS or --endpoints")
    return etcd


def keys_of(config: Config, wanted: Wanted) -> Keys:
    """Return the keys of the machine that is meant."""
    return Keys(config.prefix, wanted.options.get("--node") or config.node or os.uname().nodename)


def with_etcd(config: Config, work: Callable[[Etcd], Awaitable[Result]]) -> Result:
    """Do something with the first member that answers. Raises CommandError."""

    async def run() -> Result:
        said: list[str] = []
        secrets = Secrets.of(config)
        if env := os.environ.get("ETCDCTL_USER"):
            user, _, password = env.partition(":")
            return await tried(replace(config, user=user), replace(secrets, password=password), said)
        return await tried(config, secrets, said)

    async def tried(config: Config, secrets: Secrets, said: list[str]) -> Result:
        for endpoint in config.endpoints:
            try:
                async with Etcd(endpoint, config, secrets) as etcd:
                    return await work(etcd)
            except LostError as error:
                said.append(f"{endpoint}: {error}")
                if error.is_answer:
                    break
        raise CommandError("\n".join(said))

    try:
        return asyncio.run(run())
    except LostError as error:
        raise CommandError(str(error)) from None


def told(wanted: Wanted, document: Mapping[str, Any], lines: Sequence[str]) -> int:
    """Print a result as it is wanted. Returns the exit code."""
    if "--quiet" in wanted.options:
        return DONE
    shown = [json.dumps(document)] if "--json" in wanted.options else [terminal_text(line) for line in lines]
    return DONE if say(shown) else REFUSED


def status(wanted: Wanted, answer: Mapping[str, Any]) -> int:
    """Print how it stands with etcd."""
    lines = [f"{'connected to' if answer['connected'] else 'not connected to'} {answer['endpoint']}"]
    lines += [answer["trouble"]] if answer["trouble"] else []
    lines.append(f"{answer['links']} links below {answer['keys']}, at revision {answer['revision']}")
    lines += [f"refused: {name}: {detail}" for name, detail in answer["refused"].items()]
    lines += [f"suspect: {name} ({reason}); failoverctl links accept" for name, reason in answer["suspect"].items()]
    return told(wanted, answer, lines)


def links_of(path: Path, node: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return the links that a file declares, by node, as its tables have them. Raises ConfigError, CommandError."""
    try:
        document = parse(printable_path(path), read_regular(path, LARGEST_TOGETHER, follow=True))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    tree = dict(document.tree)
    found = {node: tree.pop("link", {})}
    for name, body in tree.pop("node", {}).items():
        if not isinstance(body, dict) or body.keys() - {"link"}:
            raise CommandError(f"{path}: [node.{name}] may only have links: [node.{name}.link.NAME]")
        found[name] = {**found.get(name, {}), **body.get("link", {})}
    if tree:
        raise CommandError(f"{path}: [{next(iter(tree))}]: only [link.NAME] and [node.NODE.link.NAME] are declared")
    return {name: links for name, links in found.items() if links}


def _checked(path: Path, node: str, links: Mapping[str, Mapping[str, Any]]) -> dict[str, bytes]:
    """Return the values of a machine's links, by name. Raises CommandError for what that machine could not use."""
    where = f"{path}: node {node}"
    values: dict[str, bytes] = {}
    found: dict[str, tuple[End, ...]] = {}
    for name, body in links.items():
        try:
            values[name] = json.dumps(body).encode()
            found[name] = ends_of(name, values[name], where, ANYTHING)
        except (RefusedError, TypeError) as error:
            raise CommandError(str(error)) from None
    for name, text in contradicting({}, found).items():
        raise CommandError(f"{where}: [link.{name}]: {text}")
    return values


def _put(wanted: Wanted) -> int:
    config = configured(wanted)
    path, own = Path(wanted.arguments[0]), keys_of(config, wanted)
    puts: dict[str, bytes] = {}
    for node, links in links_of(path, own.node).items():
        puts |= {Keys(config.prefix, node).link(name): value for name, value in _checked(path, node, links).items()}
    if not puts:
        raise CommandError(f"{path}: it declares no link")
    if len(puts) > MOST:
        text = f"{path}: {len(puts)} links, and etcd takes {MOST} in one transaction; put them in several files"
        raise CommandError(text)
    requests = [M.RequestOp(request_put=M.PutRequest(key=key.encode(), value=puts[key])) for key in puts]
    answer = with_etcd(config, lambda etcd: etcd.txn([], requests))
    document = {"keys": list(puts), "revision": answer.header.revision}
    return told(wanted, document, [*puts, f"put in one transaction, revision {answer.header.revision}"])


def _get(wanted: Wanted) -> int:
    config = configured(wanted)
    keys = keys_of(config, wanted)
    revision, _, found = with_etcd(config, lambda etcd: etcd.read(keys.links))
    rows = [(kv.key.decode(errors="replace")[len(keys.links) :], kv.value.decode(errors="replace")) for kv in found]
    document = {"node": keys.node, "revision": revision, "links": {name: _tree(value) for name, value in rows}}
    return told(wanted, document, table([], [list(row) for row in rows]) if rows else [f"{keys.links}: none"])


def _tree(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _del(wanted: Wanted) -> int:
    config = configured(wanted)
    keys = keys_of(config, wanted)
    names = [keys.link(name).encode() for name in dict.fromkeys(wanted.arguments)]
    there = [M.Compare(result=GREATER, target=BY_CREATE_REVISION, key=name, create_revision=0) for name in names]
    requests = [M.RequestOp(request_delete_range=M.DeleteRangeRequest(key=name)) for name in names]
    answer = with_etcd(config, lambda etcd: etcd.txn(there, requests))
    if not answer.succeeded:
        raise CommandError(f"not all of these are declared for {keys.node}; failoverctl links get tells which are")
    lines = [f"{name}: withdrawn" for name in wanted.arguments]
    return told(wanted, {"names": list(wanted.arguments), "revision": answer.header.revision}, lines)


TOOLS: Mapping[str, Callable[[Wanted], int]] = {"put": _put, "get": _get, "del": _del}
