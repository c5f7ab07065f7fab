"""How long do failoverctl interfaces and interface-xml take on a machine with many links, beside iproute2?

In a network namespace of its own with so many links (pairs of veths, one in two of them up, each with an address), a
daemon is started and asked. A round runs every command once, so that whatever else the machine does falls on all of
them; a command's time is the median from fork to exit. Told beside: the first answer's time, the daemon's memory before
the first question and after the last, and the CPU time that another task of its loop waits for while answers are made,
anew from a dump and again from what is kept. virsh (libvirt-clients) asks failoverd-libvirt, and by turns libvirt's own
daemon where that is installed (raw/libvirtd.py); nmcli asks a NetworkManager that manages nothing
(raw/networkmanager.py), and networkctl the kernel.

The rows are those of failoverctl interfaces as a whole process, and of List on D-Bus, the call alone over a private
dbus-daemon on an open connection, beside `ip -j -d link` (1,000 and 5,000 links); with --rows nothing else is measured.

    python bench/interfaces.py [--links 300 1000 5000] [--runs 7]
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench
from raw import dbuscall, libvirtd, networkmanager
from raw.build import CANNOT, CannotMeasureError

from failoverd.daemon.picture import open_picture
from failoverd.netlink.transport import KernelSocket

ROOT = Path(__file__).parents[1]
PYTHON = shutil.which("python3", path="/usr/bin") or sys.executable
IP = shutil.which("ip") or "/usr/sbin/ip"
UNSHARE = shutil.which("unshare") or "/usr/bin/unshare"
ACTIVATE = shutil.which("systemd-socket-activate") or "/usr/bin/systemd-socket-activate"
SERVE = "from failoverd.cli.libvirt import main; raise SystemExit(main(['--idle', '600']))"
PATIENCE = 120.0
SHIPPED = (ROOT / "bin" / "failoverctl").read_text()
BASE, WHOLE, LIST = "ip -j -d link", "failoverctl interfaces", "List on D-Bus, the call alone"
QUESTIONS = (("interfaces", "table"), ("interfaces", "json"), ("every-interface-xml",))


def make_links(links: int) -> None:
    """Pairs of veths, all made by one process."""
    lines = []
    for number in range(links // 2):
        lines += [
            f"link add p{number} type veth peer name q{number}",
            f"link set p{number} up",
            f"link set q{number} up",
            f"addr add 10.{number >> 8}.{number & 255}.1/24 dev p{number}",
        ]
    subprocess.run([IP, "-batch", "-"], input="\n".join(lines), text=True, check=True)


def resident(pid: int) -> float:
    """MB of memory it has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def took(command: list[str], environment: dict[str, str]) -> float:
    """Seconds from fork to exit. Without a timeout: for one, subprocess looks only now and then whether that is so."""
    begun = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program; it is ended at the end."""
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def commands_of(
    ctl: str, where: Path, theirs: Path | None, nmcli: networkmanager.Client | None
) -> dict[str, list[str]]:
    """Return what is compared as whole processes."""
    found = {
        "python3 -c pass": [PYTHON, "-c", "pass"],
        "ip -br link": [IP, "-br", "link"],
        BASE: [IP, "-j", "-d", "link"],
        "ip -j -d addr": [IP, "-j", "-d", "addr"],
        WHOLE: [ctl, "interfaces"],
        "failoverctl interfaces --json": [ctl, "interfaces", "--json"],
        "failoverctl interface-xml p7": [ctl, "interface-xml", "p7"],
        "failoverctl interface-xml --all": [ctl, "interface-xml", "--all"],
    }
    if shutil.which("virsh"):
        for whose, socket in (("", where / "virt"), (" (libvirtd)", theirs)):
            if socket is not None:
                virsh = ["virsh", "-c", f"interface:///system?socket={socket}"]
                found[f"virsh iface-list --all{whose}"] = [*virsh, "iface-list", "--all"]
                found[f"virsh iface-dumpxml p7{whose}"] = [*virsh, "iface-dumpxml", "p7"]
    if shutil.which("networkctl"):
        found["networkctl list"] = ["networkctl", "list", "--no-pager"]
    if nmcli is not None:
        found["nmcli device"] = nmcli.command
    return found


def measure(links: int, options: argparse.Namespace) -> None:
    """Tell all about so many links, in this process's network namespace."""
    bench = Bench()
    libvirtd.own_sysfs()
    make_links(links)
    with tempfile.TemporaryDirectory() as folder, dbuscall.bus(Path(folder, "bus")):
        where = Path(folder)
        ctl = where / "failoverctl"
        ctl.write_text(SHIPPED.replace("import sys\n", f"import sys\nsys.path.append({str(ROOT)!r})\n"))
        ctl.chmod(0o755)
        run = {"RUNTIME_DIRECTORY": f"{where}/run", "STATE_DIRECTORY": f"{where}/state"}
        run |= {"FAILOVERD_CONTROL": f"{where}/run/control", "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={where}/bus"}
        environment = os.environ | run
        serve = [ACTIVATE, f"--listen={where}/virt", "--setenv=FAILOVERD_CONTROL", sys.executable, "-c", SERVE]
        with (
            running([sys.executable, "-m", "failoverd"], environment, where / "log") as daemon,
            running(serve, environment, where / "virt.log") as libvirt,
            libvirtd.running(where / "libvirtd") as theirs,
            networkmanager.running(where / "networkmanager", where / "bus") as nmcli,
        ):
            end = time.monotonic() + PATIENCE
            asked = partial(subprocess.run, [ctl, "-q", "list"], env=environment, capture_output=True, check=False)
            while asked().returncode and time.monotonic() < end:
                time.sleep(0.1)
            before = resident(daemon.pid)
            first = took([str(ctl), "interfaces"], environment)
            commands = commands_of(str(ctl), where, theirs, nmcli)
            others = nmcli.environment if nmcli is not None else {}
            if options.rows:
                commands = {name: commands[name] for name in (BASE, WHOLE)}
            connection = connected(where / "bus")

            async def once(name: str) -> float:
                if name not in commands:
                    return took_list(connection)
                return took(commands[name], environment | (others if name == "nmcli device" else {}))

            sides = {name: partial(once, name) for name in (*commands, LIST)}
            times = trio.run(turns.alternate, sides, options.runs)
            connection.close()
            after, serving = resident(daemon.pid), resident(libvirt.pid)
    memory = f"RSS {before:.1f} MB before, {after:.1f} MB after, of failoverd-libvirt {serving:.1f} MB"
    print(f"\n{links} links: first answer {first * 1e3:.0f} ms; {memory}")
    if not options.rows:
        tell(times)
    names = {f"interfaces, {links:,}": WHOLE, f"interfaces, {links:,}, D-Bus": LIST}
    millis = {name: [one * 1e3 for one in taken] for name, taken in times.items()}
    rows = [bench.row(BY_NAME[row], "ms", millis[side], millis[BASE]) for row, side in names.items() if row in BY_NAME]
    command.tell(rows, options)


def tell(times: dict[str, list[float]]) -> None:
    """Print what each command took, and how long another task waits."""
    medians = {name: turns.median(row) for name, row in times.items()}
    print("| command | median, ms | least, ms | / ip -br link | / python3 -c pass |\n|---|---|---|---|---|")
    for name, row in times.items():
        ratios = [medians[name] / medians[base] for base in ("ip -br link", "python3 -c pass")]
        print(f"| {name} | {medians[name] * 1e3:.1f} | {min(row) * 1e3:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    for what, is_anew in (("anew from a dump", True), ("from what is kept", False)):
        waits = sorted(trio.run(waits_of, is_anew))
        said = ", ".join(f"{part} % {turns.percentile(waits, part) * 1e3:.2f}" for part in (50, 99))
        print(f"waits of another task, {what}: {len(waits)}; {said}, longest {waits[-1] * 1e3:.2f} ms of CPU")


def connected(path: Path) -> dbuscall.Connection:
    """Return a connection to the bus on which failoverd answers. Raises ConnectionError where it does not."""
    connection, end = dbuscall.Connection(path), time.monotonic() + PATIENCE
    while True:
        try:
            took_list(connection)
        except ConnectionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return connection


def took_list(connection: dbuscall.Connection) -> float:
    """Return the seconds of one call of List."""
    begun = time.perf_counter()
    connection.call("org.failoverd1", "/org/failoverd1", "org.failoverd1.Inventory", "List", "u", 0)
    return time.perf_counter() - begun


async def waits_of(is_anew: bool) -> list[float]:
    """The CPU time between two turns of another task, while each question is asked five times."""
    picture = await open_picture(partial(KernelSocket.open, strict=True))
    gc.freeze()  # as the daemon does when it is ready
    waits: list[float] = []

    async def ask() -> None:
        for _ in range(5):
            for question, *arguments in QUESTIONS:
                if is_anew:
                    picture.stock.doubt_everything()
                    for entry in picture.stock.entries.values():
                        entry.line = entry.row = entry.document = None
                    picture.stock.generation += 1
                await picture.answer(question, arguments, {})

    async def wait() -> None:
        before = time.thread_time()
        while True:
            await trio.lowlevel.checkpoint()
            now = time.thread_time()
            waits.append(now - before)
            before = now

    if not is_anew:
        for question, *arguments in QUESTIONS:
            await picture.answer(question, arguments, {})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await ask()
        nursery.cancel_scope.cancel()
    picture.close()
    return waits


def main() -> int:
    """Measure each number of links in a namespace of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", type=int, nargs="+", default=[300, 1000, 5000], help="how many (300 1000 5000)")
    command.add_options(parser)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        try:
            measure(options.links[0], options)
        except CannotMeasureError as error:
            print(f"bench/interfaces.py: {error}", file=sys.stderr)
            return CANNOT
        return 0
    unshare = [UNSHARE, "--net", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    for links in options.links:
        more = [f"--links={links}", f"--runs={options.runs}", "--inside"]
        more += [f"--rows={options.rows}"] if options.rows else []
        code = subprocess.run([*unshare, sys.executable, sys.argv[0], *more], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
