"""For those who have failoverd from pip: the wheel in a virtual environment, and install-service, in a real guest."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
import wheelbuild
from debguest import PLACES, places
from pairguest import PairGuest, pair_guest, run

from failoverd.cli import service

pytestmark = [pytest.mark.vm, pytest.mark.more]

ENVIRONMENT = """
python3 -m venv --without-pip --system-site-packages /opt/failoverd
cp -r /run/wheel/* "$(/opt/failoverd/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
for name in daemon:failoverd ctl:failoverctl hooks:failoverd-hooks libvirt:failoverd-libvirt netns:failoverd-netns; do
    file=/opt/failoverd/bin/${name#*:}
    printf '#!/opt/failoverd/bin/python\\nimport sys\\n' >"$file"
    printf 'from failoverd.cli.%s import main\\nsys.exit(main())\\n' "${name%:*}" >>"$file"
    chmod 755 "$file"
done
ln -s /opt/failoverd/bin/failoverctl /usr/local/bin
/opt/failoverd/bin/python -m compileall -q /opt/failoverd/lib
"""
"""What `pip install` does; the modules that failoverd needs are Debian's."""

CLOUD_INIT_SEES = """
eval "export $(sed -n s/^Environment=//p /etc/systemd/system/cloud-init-local.service.d/failoverd.conf)"
python3 -c 'import sitecustomize; print(sitecustomize.pairs())'
"""
"""What the module for cloud-init finds out of failoverd; it leaves its bytecode beside it."""


def archive(wheel: Path) -> bytes:
    """A wheel as a tar, which a guest can unpack."""
    stream = io.BytesIO()
    with zipfile.ZipFile(wheel) as source, tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        for name in source.namelist():
            info = tarfile.TarInfo(name)
            info.size = len(source.read(name))
            tar.addfile(info, io.BytesIO(source.read(name)))
    return stream.getvalue()


async def install_service(pair: PairGuest, *words: str) -> None:
    """The command, and then what it says is next: each must succeed, but where there is no systemd-networkd to tell."""
    said = await pair.shell('/opt/failoverd/bin/failoverctl install-service "$@"', *words)
    for line in said.splitlines():
        await pair.shell(f"{line} || true" if "&&" in line else line)


def test_a_service_by_pip_comes_and_goes_whole(tmp_path: Path) -> None:
    wheel = archive(wheelbuild.build(tmp_path))

    async def test() -> None:
        async with pair_guest(install_it=False) as pair:
            await pair.guest.unpack(wheel, "/run/wheel")
            await pair.shell(ENVIRONMENT)
            before = places(await pair.shell(PLACES))
            await install_service(pair)
            await pair.accelerated()
            running = await pair.shell("systemctl show --property=ExecStart,User,UnitFileState failoverd.service")
            assert "path=/opt/failoverd/bin/failoverd " in running
            assert {"User=failoverd", "UnitFileState=enabled"} <= set(running.splitlines())
            unmanaged = await pair.shell("grep -l Unmanaged=yes /etc/systemd/network/00-0-failoverd-*.network")
            assert len(unmanaged.split()) == 2
            assert pair.name in await pair.shell(CLOUD_INIT_SEES)
            await install_service(pair)
            await pair.accelerated()
            await pair.shell(service.STOP)
            await install_service(pair, "--remove")
            assert places(await pair.shell(PLACES)) == before
            assert "bond" in await pair.shell("ip -d link show $1", pair.name)

    run(test)
