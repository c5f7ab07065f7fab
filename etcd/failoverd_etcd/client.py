"""etcd's calls, by gRPC. One connection to one endpoint at a time; a call that fails says why in LostError.

gRPC's own keep-alive is not relied on: 1.51 ends a silent connection as told, and 1.85 lets it stand. `Watch` asks etcd
itself, by a progress request, and an answer is an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

# gRPC's C core writes a line of its own for each failed handshake. It is told here what is wrong, and once.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import grpc.aio

from failoverd.config.regular import read_regular
from failoverd.config.spec import Etcd as Config
from failoverd.dataclass import dataclass
from failoverd_etcd import trouble
from failoverd_etcd.keys import end_of
from failoverd_etcd.messages import Messages as M  # noqa: N817

PATIENCE = 5.0
"""Seconds for one call. A member that has no leader answers after five, or never."""
PAGE = 32
"""Keys of one answer: a value may have 1.5 MiB, and more where etcd was told so."""
MOST_KEYS = 4096
"""More are not read: four times as many as there may be links."""
LARGEST_MESSAGE = 64 << 20
"""Bytes of one answer."""
LARGEST_FILE = 1 << 20
"""Bytes of a certificate, a key or a password."""
SYSTEM_CA = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


class LostError(Exception):
    """etcd cannot be reached, or refuses; the text says why and what to do.

    `is_answer`: it was etcd itself that refused, and not the way to it.
    """

    def __init__(self, text: str, *, is_answer: bool = False, is_token: bool = False) -> None:
        super().__init__(text)
        self.is_answer, self.is_token = is_answer, is_token


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a connection needs from files."""

    ca: bytes | None
    cert: bytes | None
    key: bytes | None
    password: str

    @classmethod
    def of(cls, config: Config) -> Secrets:
        """Read the files; blocks. Raises LostError."""
        ca = _file("ca", config.ca)
        for path in SYSTEM_CA if ca is None else ():
            ca = Path(path).read_bytes() if ca is None and Path(path).exists() else ca
        password = (_file("password_file", config.password_file) or b"").decode(errors="replace").partition("\n")[0]
        return cls(ca, _file("cert", config.cert), _file("key", config.key), password)


def _file(key: str, path: str) -> bytes | None:
    if not path:
        return None
    try:
        return read_regular(path, LARGEST_FILE, follow=True)
    except OSError as error:
        advice = "make it readable for the user that failoverd-etcd runs as"
        raise LostError(f"[etcd] {key}: {path} cannot be read: {error.strerror}; {advice}") from None


class Etcd:
    """A connection to one endpoint: "https://HOST:PORT", "http://HOST:PORT", or without a scheme."""

    def __init__(self, endpoint: str, config: Config, secrets: Secrets) -> None:
        scheme, _, rest = endpoint.rpartition("://")
        self.endpoint, self.host = endpoint, rest.rstrip("/")
        self.is_tls = scheme == "https" or (not scheme and bool(config.ca or config.cert))
        self._config, self._secrets = config, secrets
        self._token = ""
        options = [
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            # Each is a connection of its own, also where several have one target.
            ("grpc.use_local_subchannel_pool", 1),
            # Waiting between two tries is for the one who calls.
            ("grpc.enable_retries", 0),
        ]
        if self.is_tls:
            credentials = grpc.ssl_channel_credentials(secrets.ca, secrets.key, secrets.cert)
            self._channel = grpc.aio.secure_channel(self.host, credentials, options=options)
        else:
            self._channel = grpc.aio.insecure_channel(self.host, options=options)

    async def __aenter__(self) -> Etcd:
        """Take a token where there is a user."""
        try:
            await self._authenticate()
        except BaseException:
            await self._channel.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _authenticate(self) -> None:
        if self._config.user:
            self._token = ""
            asked = M.AuthenticateRequest(name=self._config.user, password=self._secrets.password)
            answer = await self._once("Auth/Authenticate", asked, M.AuthenticateResponse)
            self._token = answer.token

    async def range(self, **fields: Any) -> Any:
        """Read keys. Raises LostError."""
        return await self.call("KV/Range", M.RangeRequest(**fields), M.RangeResponse)

    async def read(self, prefix: str, most: int = MOST_KEYS) -> tuple[int, int, list[Any]]:
        """Return all keys below a prefix at one revision, with the revision and the raft term.

        Raises LostError, also if there are more than `most`, where that is not 0.
        """
        first = await self.range(key=prefix.encode(), range_end=end_of(prefix), limit=PAGE)
        found, more = list(first.kvs), first.more
        if most and first.count > most:
            text = f"there are {first.count} keys below {prefix}, and {most} are the most; delete some"
            raise LostError(text, is_answer=True)
        while more:
            after = found[-1].key + b"\0"
            at = first.header.revision
            page = await self.range(key=after, range_end=end_of(prefix), limit=PAGE, revision=at)
            found, more = found + list(page.kvs), page.more
        return first.header.revision, first.header.raft_term, found

    async def txn(self, compare: Sequence[Any], success: Sequence[Any]) -> Any:
        """Make a transaction. Raises LostError."""
        return await self.call("KV/Txn", M.TxnRequest(compare=compare, success=success), M.TxnResponse)

    async def call(self, method: str, request: Any, answer: Any) -> Any:
        """Make a call, with another token if the last one has expired. Raises LostError."""
        try:
            return await self._once(method, request, answer)
        except LostError as error:
            if not (error.is_token and self._config.user):
                raise
        await self._authenticate()
        return await self._once(method, request, answer)

    async def _once(self, method: str, request: Any, answer: Any) -> Any:
        make = self._channel.unary_unary(
            f"/etcdserverpb.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        with _closed_is_lost():
            try:
                return await make(request, timeout=PATIENCE, metadata=self._metadata(method))
            except grpc.aio.AioRpcError as error:
                raise await self._lost(error) from None

    async def _lost(self, error: grpc.aio.AioRpcError) -> LostError:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE:
            tls = (self._config.ca, self._config.cert, self._config.key) if self.is_tls else None
            details = await asyncio.to_thread(trouble.on_the_way, self.host, tls, PATIENCE) or details
        return LostError(trouble.told(code.name, details), is_token=trouble.is_token(code.name, details))

    def _metadata(self, method: str) -> tuple[tuple[str, str], ...]:
        """Without a leader, calls are refused and streams are ended; but for the one that asks whether there is one."""
        leader = () if method.startswith("Maintenance/") else (("hasleader", "true"),)
        return (*leader, *((("token", self._token),) if self._token else ()))

    @contextlib.asynccontextmanager
    async def watch(self, prefix: str, start: int) -> AsyncIterator[Watch]:
        """Watch the keys below a prefix from a revision on, until the block ends. Raises LostError."""
        async with self.stream("Watch/Watch", M.WatchRequest, M.WatchResponse) as stream:
            made = M.WatchCreateRequest(
                key=prefix.encode(), range_end=end_of(prefix), start_revision=start, prev_kv=True, fragment=True
            )
            await stream.send(M.WatchRequest(create_request=made))
            yield Watch(stream)

    @contextlib.asynccontextmanager
    async def stream(self, method: str, request: Any, answer: Any) -> AsyncIterator[Stream]:
        """Open a call that goes on both ways, until the block ends."""
        make = self._channel.stream_stream(
            f"/etcdserverpb.{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )
        with _closed_is_lost():
            call = make(metadata=self._metadata(method))
        stream = Stream(call, self._lost)
        reader = asyncio.create_task(stream.pump())
        try:
            yield stream
        finally:
            call.cancel()
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader


@contextlib.contextmanager
def _closed_is_lost() -> Iterator[None]:
    """Turn what comes of a connection that another task has closed into LostError: gRPC then cancels the calls that are
    under way, which looks as if their task were cancelled, and refuses new ones."""
    try:
        yield
    except grpc.aio.UsageError:
        raise LostError("the connection has been closed") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise LostError("the connection has been closed") from None


class Stream:
    """A call that goes on both ways. What comes is read in a task: a read that is cancelled would end the call."""

    def __init__(self, call: Any, lost: Callable[[grpc.aio.AioRpcError], Any]) -> None:
        self._call, self._lost = call, lost
        self._came: asyncio.Queue[Any] = asyncio.Queue(16)

    async def pump(self) -> None:
        """Read until the end."""
        try:
            with _closed_is_lost():
                while (message := await self._call.read()) is not grpc.aio.EOF:
                    await self._came.put(message)
            await self._came.put(LostError("etcd has ended the call"))
        except grpc.aio.AioRpcError as error:
            await self._came.put(await self._lost(error))
        except LostError as error:
            await self._came.put(error)

    async def send(self, message: Any) -> None:
        """Send a message. Raises LostError."""
        try:
            with _closed_is_lost():
                async with asyncio.timeout(PATIENCE):
                    await self._call.write(message)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            lost = await self._lost(error) if isinstance(error, grpc.aio.AioRpcError) else LostError("etcd is gone")
            raise lost from None
        except TimeoutError:
            raise LostError("etcd takes nothing in") from None

    async def receive(self, seconds: float) -> Any | None:
        """Return the next message; None if there is none for so long. Raises LostError."""
        try:
            async with asyncio.timeout(seconds):
                message = await self._came.get()
        except TimeoutError:
            return None
        if isinstance(message, LostError):
            raise message
        return message

    @property
    def has_more(self) -> bool:
        """Whether another message is there already."""
        return not self._came.empty()


class Watch:
    """A watch: its messages, whole revisions each."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def ask(self) -> None:
        """Ask how far it is. Raises LostError."""
        await self._stream.send(M.WatchRequest(progress_request=M.WatchProgressRequest()))

    async def receive(self, seconds: float) -> Any | None:
        """Return the next message, put together from its fragments. Raises LostError."""
        message = await self._stream.receive(seconds)
        parts: list[Any] = []
        while message is not None and message.fragment:
            parts += message.events
            message = await self._stream.receive(PATIENCE)
            if message is None:
                raise LostError("etcd has sent half of a change")
        if parts and message is not None:
            rest = list(message.events)
            del message.events[:]
            message.events.extend([*parts, *rest])
        return message

    @property
    def has_more(self) -> bool:
        """Whether another message is there already."""
        return self._stream.has_more
