#!/usr/bin/env bash
# Builds the Debian packages into build/, from a copy of the tree, so that the tree stays as it is. A tree that is the same
# as at the last build is not built again. Its last lines are the packages' paths: failoverd-etcd, failoverd-cni, and then failoverd.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/build
version=$(dpkg-parsechangelog --show-field Version)
date=$(dpkg-parsechangelog --show-field Date)
packages=("failoverd-etcd_${version}_all.deb" "failoverd-cni_${version}_all.deb" "failoverd_${version}_all.deb")
copy=$out/deb/failoverd

# What belongs to the tree: what git knows and what it would take. Without git (a tarball) all of it does.
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    list() { git ls-files -z --cached --others --exclude-standard; }
else
    list() { find . -path ./build -prune -o -path ./.venv -prune -o ! -type d ! -name '*.pyc' -printf '%P\0'; }
fi

mkdir -p "$out/deb"
exec 9>"$out/deb/lock"
flock 9
rm -rf "$copy"
mkdir "$copy"
# A file that is deleted and not yet committed is in the list, too.
list | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done \
    | tar --null --files-from=- --mtime="$date" --owner=0 --group=0 --sort=name -cf "$out/deb/tree.tar"
stamp=$(sha256sum <"$out/deb/tree.tar")
complete=yes
for package in "${packages[@]}"; do [ -e "$out/$package" ] || complete=; done
if [ ! "$complete" ] || [ "$(cat "$out/deb/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -f "$out/deb/stamp"
    tar -C "$copy" -xf "$out/deb/tree.tar"
    # The user's own umask, language and Python are not the package's.
    if ! (umask 022 && cd "$copy" && env -i HOME="$HOME" LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        dpkg-buildpackage --build=binary --ignore-builtin-builddeps --no-sign) >"$out/deb.log" 2>&1; then
        tail -n 30 "$out/deb.log" >&2
        echo "deb: the build failed; the whole log is in $out/deb.log" >&2
        exit 1
    fi
    for package in "${packages[@]}"; do mv "$out/deb/$package" "$out/$package"; done
    printf '%s\n' "$stamp" >"$out/deb/stamp"
fi
rm -rf "$copy" "$out/deb/tree.tar"
printf '%s\n' "${packages[@]/#/$out/}"
