"""dbus-next's own asyncio client, in a process of its own: whatever ours makes of D-Bus, this one is not ours.

    busclient.py ADDRESS call DESTINATION PATH INTERFACE MEMBER [SIGNATURE JSON]   prints {"error": ..., "body": ...}
    busclient.py ADDRESS hear SENDER COUNT                                        prints "ready", then COUNT signals
    busclient.py ADDRESS deaf SENDER                                              asks for all signals, reads none
"""

import asyncio
import json
import sys

from dbus_next import Message, MessageType, Variant
from dbus_next.aio import MessageBus


def plain(value):
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


async def main(address, what, *rest):
    bus = await MessageBus(bus_address=address).connect()
    if what == "call":
        destination, path, interface, member, signature, body = (*rest, "", "[]")[:6]
        message = Message(
            destination, path, interface or None, member, signature=signature, body=json.loads(body)
        )
        reply = await asyncio.wait_for(bus.call(message), 20)
        print(json.dumps({"error": reply.error_name, "body": plain(reply.body)}), flush=True)
        return
    sender, count = rest[0], int(rest[1]) if what == "hear" else 0
    done = asyncio.Event()

    def on_message(message):
        nonlocal count
        if message.message_type == MessageType.SIGNAL and message.path.startswith("/org/failoverd1"):
            print(json.dumps([message.path, message.interface, message.member, plain(message.body)]), flush=True)
            count -= 1
            if count == 0:
                done.set()

    if what == "hear":
        bus.add_message_handler(on_message)
    rule = f"type='signal',sender='{sender}'"
    await bus.call(Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch",
                           signature="s", body=[rule]))
    print("ready", flush=True)
    if what == "deaf":
        import time

        time.sleep(600)
    await asyncio.wait_for(done.wait(), 60)


asyncio.run(main(*sys.argv[1:]))
