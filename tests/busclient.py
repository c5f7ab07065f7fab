"""dbus-next's own asyncio client, in a process of its own: whatever ours makes of D-Bus, this one is not ours.

busclient.py ADDRESS call DESTINATION PATH INTERFACE MEMBER [SIGNATURE JSON]
                                                             prints {"error": ..., "body": ...}
busclient.py ADDRESS hear SENDER MEMBER                      prints "ready", then signals, up to this one
busclient.py ADDRESS deaf SENDER                             asks for all signals, prints "ready", reads none
busclient.py ADDRESS mischief DESTINATION ROUNDS             prints how often each error was the answer
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

from dbus_next import Message, MessageType, Variant
from dbus_next.aio import MessageBus

ROOT, MANAGER, PROPERTIES = "/org/failoverd1", "org.failoverd1.Manager", "org.freedesktop.DBus.Properties"

MISTAKES: list[tuple[str, str | None, str, str, list[Any]]] = [
    (ROOT, MANAGER, "Explode", "", []),
    (ROOT, MANAGER, "Explain", "u", [1]),
    (ROOT, MANAGER, "Explain", "s", ["x" * 5000]),
    (ROOT, MANAGER, "Explain", "s", ["no such device"]),
    (ROOT, "org.example.Nothing", "Explain", "s", [""]),
    (ROOT, None, "Nothing", "", []),
    ("/nowhere", MANAGER, "Explain", "s", [""]),
    (ROOT, PROPERTIES, "Get", "s", [MANAGER]),
    (ROOT, PROPERTIES, "Get", "ss", [MANAGER, "Nothing"]),
    (ROOT, PROPERTIES, "GetAll", "s", ["org.example.Nothing"]),
    (ROOT, PROPERTIES, "Set", "ssv", [MANAGER, "Version", Variant("s", "2")]),
    ("/nowhere", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "", []),
    ("/nowhere", "org.freedesktop.DBus.Introspectable", "Introspect", "", []),
]


def plain(value: Any) -> Any:
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


async def main(address: str, what: str, *rest: str) -> None:
    bus = await MessageBus(bus_address=address).connect()
    if what == "call":
        destination, path, interface, member, signature, body = (*rest, "", "[]")[:6]
        message = Message(destination, path, interface or None, member, signature=signature, body=json.loads(body))
        reply = await asyncio.wait_for(bus.call(message), 20)
        print(json.dumps({"error": reply.error_name, "body": plain(reply.body)}), flush=True)
        return
    if what == "mischief":
        replies = []
        for _ in range(int(rest[1])):
            calls = [Message(rest[0], *place, signature=sig, body=body) for *place, sig, body in MISTAKES]
            replies += await asyncio.gather(*(bus.call(call) for call in calls))
        print(json.dumps(Counter(reply.error_name for reply in replies)), flush=True)
        return
    sender = rest[0]
    done = asyncio.Event()

    def on_message(message: Message) -> None:
        if message.message_type == MessageType.SIGNAL and message.path.startswith("/org/failoverd1"):
            print(json.dumps([message.path, message.interface, message.member, plain(message.body)]), flush=True)
            if message.member == rest[1]:
                done.set()

    if what == "hear":
        bus.add_message_handler(on_message)
    rule = f"type='signal',sender='{sender}'"
    bus_itself = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
    await bus.call(Message(*bus_itself, "AddMatch", signature="s", body=[rule]))
    print("ready", flush=True)
    if what == "deaf":
        time.sleep(600)
    await asyncio.wait_for(done.wait(), 60)


asyncio.run(main(*sys.argv[1:]))
