"""Build the disk that a lab guest boots from: a small Debian, made without root and without mounting anything.

`mmdebstrap` makes a tar of a minimal system, and `mke2fs -d` makes a file system out of the unpacked tar. Without root,
both run in a user namespace, which is all that either needs. The kernel and the initrd are taken out of the tree, so
QEMU boots them directly and the disk needs neither a partition nor a boot loader.

The image is kept small and quick to boot, because the guest's CPU is emulated by default: no manuals, no locales, no
drivers for hardware that QEMU does not have; an initrd with three modules in it; no getty, no timers, no journal on
disk. What udev, systemd and the kernel do with a network device is left exactly as Debian ships it. In particular,
predictable interface names are on, and no network manager runs: a story starts from bare NICs.

The cache key is a hash of the recipe, so a changed recipe makes a new image and an unchanged one never does. Delete the
cache directory to get Debian's newer packages. Rejected: cloud images. They bring cloud-init, a network manager and a
boot loader, differ between releases, and must be downloaded from outside of apt.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from failoverd_lab.host import Progress, cached, call, silent, tool

SIZE = "2G"
"""The file system's size; the file is sparse."""

PACKAGES = """
    systemd systemd-sysv udev dbus python3 linux-image-amd64 qemu-guest-agent iproute2 kmod procps ethtool tcpdump
    libglib2.0-bin nftables
    python3-pyroute2 python3-trio python3-sdnotify python3-dbus-next python3-pytest python3-coverage
""".split()  # noqa: SIM905 - a list of words reads better as words

DRIVERS = "ata bluetooth gpu hwmon iio infiniband input isdn media mtd nfc scsi staging usb"
"""Kernel drivers for hardware that a lab guest never has."""

EXCLUDES = (
    *(f"/usr/share/{what}/*" for what in ("doc", "i18n", "info", "locale", "man")),
    "/lib/modules/*/kernel/sound/*",
    "/lib/modules/*/kernel/drivers/net/wireless/*",
    *(f"/lib/modules/*/kernel/drivers/{what}/*" for what in DRIVERS.split()),
)

EARLY_FILES = {
    "etc/initramfs-tools/conf.d/lab": "MODULES=list\nCOMPRESS=lz4\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
}
"""Files that have to exist when the kernel's package makes its initrd."""

FILES = {
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest\n::1 localhost guest\n",
    "etc/resolv.conf": "",
    # A fixed id: with an empty one systemd takes this for a first boot and spends seconds on presets.
    "etc/machine-id": "6661696c6f7665726467756573743031\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\n",
    "etc/modprobe.d/lab.conf": "".join(f"blacklist {name}\n" for name in ("kvm_amd", "kvm_intel", "iTCO_wdt")),
}

CHROOT = '"$1"'
"""mmdebstrap gives a hook the tree's path as its first argument."""

MASKED = """
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
    e2scrub_reap.service getty@tty1.service serial-getty@ttyS0.service ldconfig.service
    systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-networkd.service
    systemd-networkd.socket systemd-pstore.service systemd-timesyncd.service systemd-update-utmp.service
    systemd-update-utmp-runlevel.service
"""


@dataclass(frozen=True, slots=True)
class Image:
    """A bootable guest. Never write to `disk`: give each guest an overlay. `key` names the recipe."""

    key: str
    disk: Path
    kernel: Path
    initrd: Path


async def image(
    suite: str = "bookworm", *, extra: tuple[str, ...] = (), off: tuple[str, ...] = (), progress: Progress = silent
) -> Image:
    """Return the image for a Debian release, with the packages `extra` installed and the units `off` masked.

    It is built first if the cache does not have it. That takes about a minute and needs Debian's package mirror. Raises
    LabError.
    """
    bootstrap, pack = _bootstrap(suite, extra), _pack(off)
    recipe = json.dumps([bootstrap, pack])
    key = f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"

    async def build(into: Path) -> None:
        for name in ("mmdebstrap", "mke2fs", "qemu-img", "qemu-system-x86_64"):
            tool(name)
        rootless = os.geteuid() != 0
        if rootless:
            tool("newuidmap")
        progress(f"building the {suite} guest image, once, about a minute")
        await call([*bootstrap, "--mode=unshare" if rootless else "--mode=root"], cwd=into)
        progress("making the guest's disk")
        namespace = ["unshare", "--map-root-user", "--map-auto"] if rootless else []
        await call([*namespace, "sh", "-ec", pack], cwd=into)

    made = await cached(f"image-{key}", build, progress)
    return Image(key, made / "disk.raw", made / "vmlinuz", made / "initrd")


def _bootstrap(suite: str, extra: tuple[str, ...]) -> list[str]:
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join((*PACKAGES, *extra))}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDES),
        f"--essential-hook={_write(CHROOT, EARLY_FILES)}",
        suite,
        "root.tar",
    ]


def _pack(off: tuple[str, ...]) -> str:
    """Return a shell script that turns root.tar in the current directory into disk.raw, vmlinuz and initrd."""
    masks = " ".join(f"tree/etc/systemd/system/{unit}" for unit in (*MASKED.split(), *off))
    return f"""mkdir tree
tar -C tree --exclude='./dev/*' -xf root.tar
rm root.tar
{_write("tree", FILES)}
for unit in {masks}; do ln -sf /dev/null "$unit"; done
cp tree/boot/vmlinuz-* vmlinuz
cp tree/boot/initrd.img-* initrd
mke2fs -q -t ext4 -O ^has_journal -d tree disk.raw {SIZE}
rm -rf tree
"""


def _write(root: str, files: Mapping[str, str]) -> str:
    """Return shell commands that write files below `root`, replacing those that exist (a link is not followed)."""
    return "\n".join(
        f"mkdir -p {root}/{Path(path).parent}; rm -f {root}/{path}; printf %s {shlex.quote(text)} >{root}/{path}"
        for path, text in files.items()
    )
