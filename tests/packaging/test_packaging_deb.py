"""The Debian packages: what is in them, and what lintian says. Built on Debian only."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MISSING = [name for name in ("dh_python3", "dpkg-buildpackage", "dpkg-deb", "lintian") if not shutil.which(name)]
UNITS = [path.name for pattern in ("*.service", "*.socket") for path in (ROOT / "units").glob(pattern)]

needs_debian = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def run(*command: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def package() -> str:
    """The package of the tree as it is; its path."""
    return run("tools/deb.sh").splitlines()[-1]


@pytest.fixture(scope="module")
def paths(package: str) -> set[str]:
    """What is in it."""
    return {line.split()[5].removeprefix(".") for line in run("dpkg-deb", "--contents", package).splitlines()}


@pytest.fixture(scope="module")
def cni() -> str:
    """The CNI plugin's package; its path."""
    return run("tools/deb.sh").splitlines()[-2]


@pytest.fixture(scope="module")
def etcd() -> str:
    """failoverd-etcd's package; its path."""
    return run("tools/deb.sh").splitlines()[-3]


@needs_debian
def test_lintian_finds_nothing_but_what_is_meant(package: str, cni: str, etcd: str) -> None:
    """Info and pedantry included. There are no scripts for other init systems; the hooks' service has a socket."""
    said = run("lintian", "--allow-root", "--display-info", "--pedantic", package, cni, etcd)
    meant = {"package-supports-alternative-init-but-no-init.d-script", "systemd-service-file-missing-install-key"}
    found = [line for line in said.splitlines() if not line.startswith(("N:", "O:"))]
    assert [line for line in found if line.split()[2] not in meant] == []


@needs_debian
def test_everything_has_its_place(paths: set[str]) -> None:
    modules = "/usr/lib/python3/dist-packages/failoverd"
    programs = ("failoverd", "failoverctl", "failoverd-hooks", "failoverd-libvirt", "failoverd-netns")
    assert {f"/usr/lib/systemd/system/{name}" for name in UNITS} <= paths
    drop_ins = {path.split("/")[5] for path in paths if path.endswith(".service.d/failoverd.conf")}
    assert drop_ins == {f"cloud-init{part}.service.d" for part in ("", "-local", "-main", "-network")}
    roles = {f"/usr/lib/systemd/network/00-0-failoverd-{role}.network" for role in ("primary", "standby")}
    assert roles <= paths
    assert "/usr/share/failoverd/cloud-init/sitecustomize.py" in paths
    assert {
        *(f"/usr/bin/{program}" for program in programs),
        f"{modules}/cli/daemon.py",
        *("/usr/lib/sysusers.d/failoverd.conf", "/usr/share/dbus-1/system.d/org.failoverd1.conf"),
        *("/usr/lib/udev/rules.d/70-failoverd.rules", "/usr/lib/systemd/catalog/failoverd.catalog"),
        *(f"/usr/share/man/man8/{page}.8.gz" for page in programs),
        "/usr/share/man/man5/failoverd.toml.5.gz",
        "/usr/share/bash-completion/completions/failoverctl",
        "/usr/share/zsh/vendor-completions/_failoverctl",
        *("/etc/failoverd/failoverd.toml.d/", "/etc/failoverd/hooks.d/"),
    } <= paths
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "failoverd").rglob("*.py") if "share" not in path.parts}
    packages = "/usr/lib/python3/dist-packages/"
    found = {path.removeprefix(packages) for path in paths if path.startswith(packages) and path.endswith(".py")}
    assert found == ours
    assert not {path for path in paths if re.search(r"failoverd[-_]lab|/lab[/.]|scenarios", path)}
    assert {path.split("/")[1] for path in paths} == {"", "etc", "usr"}, "Debian 13 wants no file in /lib"


@needs_debian
def test_the_cni_plugin_is_a_package_of_its_own(package: str, cni: str, paths: set[str], tmp_path: Path) -> None:
    """It needs Python and nothing else, not even the other package; and that has nothing of it."""
    told = [line.split()[5].removeprefix(".") for line in run("dpkg-deb", "--contents", cni).splitlines()]
    modules = "/usr/lib/python3/dist-packages/failoverd_cni/"
    documents = "/usr/share/doc/failoverd-cni/"
    assert {path for path in told if not path.endswith("/")} == {
        "/usr/lib/cni/failoverd-cni",
        "/usr/share/man/man7/failoverd-cni.7.gz",
        *(f"{documents}{name}" for name in ("changelog.gz", "copyright", "cni.md.gz", "how-to-cni.md.gz")),
        *(f"{modules}{path.name}" for path in (ROOT / "cni" / "failoverd_cni").iterdir() if path.is_file()),
    }
    depends = run("dpkg-deb", "--field", cni, "Depends").strip().split(", ")
    assert {re.split(r"[ :]", word)[0] for word in depends} == {"python3"}
    assert not {path for path in paths if "cni" in path}
    run("dpkg-deb", "--extract", cni, str(tmp_path))
    program = tmp_path / "usr" / "lib" / "cni" / "failoverd-cni"
    assert program.read_text() == (ROOT / "cni" / "bin" / "failoverd-cni").read_text()
    assert program.stat().st_mode & 0o777 == 0o755


@needs_debian
def test_the_cni_plugin_has_a_link_where_other_runtimes_look(cni: str, tmp_path: Path) -> None:
    """It is made where that directory is there, spares what another has put there, and goes with the package."""
    run("dpkg-deb", "--control", cni, str(tmp_path / "control"))
    assert (tmp_path / "control" / "triggers").read_text().split("\n")[0] == "interest-noawait /opt/cni/bin"
    place, plugin = tmp_path / "bin", "/usr/lib/cni/failoverd-cni"

    def maintain(script: str, word: str) -> None:
        text = (tmp_path / "control" / script).read_text().replace("/opt/cni/bin", str(place))
        # py3compile and its like belong to the machine that installs it.
        text = "py3compile() { :; }; py3clean() { :; }\n" + text
        subprocess.run(["sh", "-c", text, script, word], check=True)

    maintain("postinst", "configure")
    assert not place.exists()
    place.mkdir()
    for word in ("triggered", "configure"):
        maintain("postinst", word)
        assert (place / "failoverd-cni").readlink() == Path(plugin)
    maintain("postrm", "upgrade")
    assert (place / "failoverd-cni").is_symlink()
    maintain("postrm", "remove")
    assert not list(place.iterdir())
    (place / "failoverd-cni").write_text("another's")
    maintain("postinst", "configure")
    maintain("postrm", "remove")
    assert (place / "failoverd-cni").read_text() == "another's"


@needs_debian
def test_failoverd_etcd_is_a_package_of_its_own(etcd: str, paths: set[str], tmp_path: Path) -> None:
    """It alone needs gRPC and protobuf; and the daemon's package has nothing of it."""
    told = [line.split()[5].removeprefix(".") for line in run("dpkg-deb", "--contents", etcd).splitlines()]
    modules = "/usr/lib/python3/dist-packages/failoverd_etcd/"
    documents = "/usr/share/doc/failoverd-etcd/"
    assert {path for path in told if not path.endswith("/")} == {
        "/usr/bin/failoverd-etcd",
        "/usr/lib/systemd/system/failoverd-etcd.service",
        "/usr/lib/sysusers.d/failoverd-etcd.conf",
        "/usr/share/man/man8/failoverd-etcd.8.gz",
        *(f"{documents}{name}" for name in ("changelog.gz", "copyright", "how-to-fleet.md.gz")),
        *(f"{modules}{path.name}" for path in (ROOT / "etcd" / "failoverd_etcd").iterdir() if path.is_file()),
    }
    depends = run("dpkg-deb", "--field", etcd, "Depends").strip().split(", ")
    names = {re.split(r"[ :]", word)[0] for word in depends}
    assert names - {"systemd"} == {"failoverd", "python3", "python3-grpcio", "python3-protobuf"}
    assert not {path for path in paths if "failoverd-etcd" in path or "failoverd_etcd" in path}
    run("dpkg-deb", "--extract", etcd, str(tmp_path / "files"))
    program = tmp_path / "files" / "usr" / "bin" / "failoverd-etcd"
    assert program.read_text().splitlines()[0] == "#!/usr/bin/python3 -I"
    run("dpkg-deb", "--control", etcd, str(tmp_path / "control"))
    after = (tmp_path / "control" / "postinst").read_text()
    assert "deb-systemd-helper enable 'failoverd-etcd.service'" in after


@needs_debian
def test_units_are_started_and_stopped_from_where_they_are(package: str, tmp_path: Path) -> None:
    """debhelper passes over a unit that it does not find, and says nothing."""
    run("dpkg-deb", "--control", package, str(tmp_path))
    after, before = (tmp_path / "postinst").read_text(), (tmp_path / "prerm").read_text()
    for name in ("failoverd.service", "failoverd-hooks.socket", "failoverd-netns.socket"):
        assert f"deb-systemd-helper enable '{name}'" in after
        assert re.search(rf"deb-systemd-invoke (start|restart|\$_dh_action) .*'{name}'", after)
        assert re.search(rf"deb-systemd-invoke stop .*'{name}'", before)
    for name in ("failoverd-libvirt.socket", "failoverd-libvirt-ro.socket"):
        enable = re.compile(rf"was-enabled '{name}'; then\s+(#.*\s+)?deb-systemd-helper enable '{name}'")
        assert len(re.findall(rf"enable '{name}'", after)) == len(enable.findall(after)) == 1, "off until turned on"
        assert not re.search(rf"deb-systemd-invoke .*{name}", after)
        assert re.search(rf"deb-systemd-invoke stop .*{name}", before)


@needs_debian
def test_programs_obey_no_environment_of_pythons(package: str, tmp_path: Path) -> None:
    """Of what is shipped the tree's own script is the pattern, and what bench/ctl.py measures."""
    run("dpkg-deb", "--extract", package, str(tmp_path))
    first = (ROOT / "bin" / "failoverctl").read_text().splitlines()[0]
    assert first == "#!/usr/bin/python3 -IS"
    programs = sorted((tmp_path / "usr" / "bin").iterdir())
    others = ["failoverd", "failoverd-hooks", "failoverd-libvirt", "failoverd-netns"]
    assert [path.name for path in programs] == ["failoverctl", *others]
    expected = [first, *["#!/usr/bin/python3 -I"] * len(others)]
    assert [path.read_text().splitlines()[0] for path in programs] == expected


@needs_debian
def test_nothing_in_it_needs_what_is_left_out(package: str, tmp_path: Path) -> None:
    run("dpkg-deb", "--extract", package, str(tmp_path))
    modules = list(tmp_path.rglob("*.py"))
    assert len(modules) > 50
    lost = re.compile(r"^\s*(from|import) failoverd(_lab|\.share)\b", re.MULTILINE)
    assert [str(path) for path in modules if lost.search(path.read_text())] == []


@needs_debian
def test_the_package_needs_debians_own_modules_and_nobody_elses(package: str) -> None:
    depends = run("dpkg-deb", "--field", package, "Depends")
    names = {re.split(r"[ :]", word)[0] for word in depends.strip().split(", ")}
    wanted = {"python3-dbus-next", "python3-pyroute2", "python3-sdnotify", "python3-trio", "python3", "systemd"}
    assert names == wanted, depends


@needs_debian
def test_a_second_build_is_none_and_the_tree_stays_clean(package: str) -> None:
    before, status = Path(package).stat().st_mtime_ns, run("git", "status", "--porcelain")
    assert run("tools/deb.sh").splitlines()[-1] == package
    assert Path(package).stat().st_mtime_ns == before
    assert run("git", "status", "--porcelain") == status


def test_the_package_has_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (ROOT / "debian" / "changelog").read_text().startswith(f"failoverd ({project['version']}) ")
