#!/usr/bin/env bash
# Sets up what the commands of the Makefile need: system packages (as root), and .venv with the Python packages.
# Quick and silent when all of it is there. `tools/setup.sh guest` fails unless guests can be built and booted, and
# `tools/setup.sh deb` unless the Debian package can be built (it needs no .venv and makes none); without a word, what
# only those need may be missing: the tiers then say so.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }

# What is missing, by what it would give: a fresh Debian has python3 without venv, and no QEMU.
base=()
python3 -c 'import ensurepip, venv' 2>/dev/null || base+=(python3-venv)
guest=()
has() { command -v "$1" >/dev/null || guest+=("$2"); }
has qemu-system-x86_64 qemu-system-x86
has qemu-img qemu-utils
has mmdebstrap mmdebstrap
has mke2fs e2fsprogs
has ip iproute2
has groff groff-base
has systemd-analyze systemd
has dbus-daemon dbus-daemon
has zsh zsh
has virsh libvirt-clients
/usr/bin/python3 -c 'import libvirt' 2>/dev/null || guest+=(python3-libvirt)
[ -x /usr/lib/cni/host-local ] || guest+=(containernetworking-plugins)
[ "$(id -u)" = 0 ] || has newuidmap uidmap
deb=()
for package in debhelper dh-python dpkg-dev lintian pybuild-plugin-pyproject python3-setuptools; do
    case "$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null)" in
        ii*) ;;
        *) deb+=("$package") ;;
    esac
done

# Run a command with its output in build/NAME.log, which is only shown when the command fails.
logged() {
    local log=build/$1.log
    shift
    mkdir -p build
    if ! "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        say "failed: $* (the whole log is in $log)" >&2
        exit 1
    fi
}

missing=("${base[@]}" "${guest[@]}" "${deb[@]}")
needed=("${base[@]}")
case "${1:-}" in
    guest) needed+=("${guest[@]}") ;;
    deb) missing=("${deb[@]}") needed=("${deb[@]}") ;;
esac
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        logged apt-update apt-get -q -o DPkg::Lock::Timeout=300 update
        logged apt-install apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
    else
        say "missing system packages; as root: apt install ${missing[*]}" >&2
        if [ ${#needed[@]} -gt 0 ]; then exit 1; fi
    fi
fi
if [ "${1:-}" = deb ]; then exit 0; fi

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "python3 is $(python3 -V 2>&1), and Python 3.11 or newer is needed (Debian 12 has it)" >&2
    exit 1
fi

# For the tests alone: with a mirror out of reach, all else works.
if [ -x /usr/bin/apt-get ] && ! tools/etcd.sh; then say "no etcd to test with; tests/etcd fails" >&2; fi

# The stamp is written last, so a set-up that was cut short is done again.
stamp=$({ python3 -VV; pwd; cat pyproject.toml lab/pyproject.toml cni/pyproject.toml etcd/pyproject.toml; } | sha256sum)
if [ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ]; then
    # A .venv that was moved, or made by another Python, still calls the old one.
    if ! grep -qsF "$PWD/.venv/bin/" .venv/bin/pip || [ "$(.venv/bin/python -VV)" != "$(python3 -VV)" ]; then
        say "making .venv"
        logged venv python3 -m venv --clear .venv
    fi
    say "installing the Python packages into .venv"
    logged pip .venv/bin/python -m pip install --disable-pip-version-check --use-pep517 --editable '.[dev]' --editable ./lab --editable ./cni --editable ./etcd
    printf '%s\n' "$stamp" >.venv/stamp
fi

# Not with the others: it is a binary, and not to be had for every Python and machine.
if [ "${1:-}" = fuzz ] && ! .venv/bin/python -c 'import atheris' 2>/dev/null; then
    say "installing atheris into .venv"
    logged pip-fuzz .venv/bin/python -m pip install --disable-pip-version-check --use-pep517 --editable '.[fuzz]'
fi
