#!/usr/bin/env bash
# Fetches the etcd of Debian 12 and of Debian 13 for the tests, beside the guests' images, and installs neither: an
# installed one would be started. Quick and silent when they are there. Needs no root.
set -euo pipefail
cache=${FAILOVERD_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/failoverd-lab}/etcd
mirror=${FAILOVERD_LAB_MIRROR:-http://deb.debian.org/debian}
for suite in bookworm trixie; do
    into=$cache/$suite
    if [ -x "$into/etcd" ] && [ -x "$into/etcdctl" ]; then continue; fi
    printf 'setup: fetching etcd of %s\n' "$suite"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work"/{lists/partial,archives/partial,debs,root} "$into"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
    cat >"$work/apt.conf" <<EOF
Dir::State "$work";
Dir::State::Status "/dev/null";
Dir::Cache "$work";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Sandbox::User "";
EOF
    APT_CONFIG=$work/apt.conf apt-get -q update >/dev/null
    (cd "$work/debs" && APT_CONFIG=$work/apt.conf apt-get -q download etcd-server etcd-client >/dev/null)
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
    # Renamed last, so that what was cut short is fetched again.
    for command in etcdctl etcd; do mv "$work/root/usr/bin/$command" "$into/$command"; done
    rm -rf "$work"
    trap - EXIT
done
