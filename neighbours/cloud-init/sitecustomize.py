"""Shows cloud-init a pair as the one NIC it is: its master.

cloud-init tells NICs by their MAC, and two with one MAC are an error to it ("duplicate mac found!", its issues 4043 and
6782), which ends its network stage. It knows three kinds of pairs (hv_netvsc, net_failover, some switches) by driver
names in its code, and has no setting and no plug-in for others. And what it writes for a NIC that was matched by MAC,
netplan turns into a match that hits both slaves and never the master.

So its processes, and no others, get this module by their units (failoverd.conf beside it sets PYTHONPATH; Python
imports `sitecustomize` at its start), and it changes two functions of cloud-init:

- `cloudinit.net.get_interfaces` lists, in place of a pair's slaves, their master with the pair's MAC;
- `Distro.apply_network_config` gets a configuration that names a master where the original matched its MAC; and a
  paravirtual NIC that has no VF yet, where the original names it (`set-name`): its name is one that can go over to a
  master, its permanent MAC is not. cloud-init gives it that name at every boot.

Which pairs there are is asked of failoverd, which is ready by then. Where it does not answer, or where cloud-init is
built in another way than in Debian 12 and 13, nothing is changed, and cloud-init is as it was.

cloud-init is patched where it runs, not on disk. Rejected: a datasource of our own (it would have to be every
datasource), diverting its files (every upgrade would fight), hiding the VF from it (in another namespace it is not the
guest's).
"""

import json
import os
import subprocess
import sys

FAILOVERCTL = "/usr/bin/failoverctl"


def status():
    """What failoverd says; nothing where it says nothing.

    Its exit code tells how the pairs are, which is no matter here: at a boot the master is down until cloud-init has
    done its part.
    """
    try:
        done = subprocess.run([FAILOVERCTL, "--json", "status"], capture_output=True, timeout=30, check=False)
        found = json.loads(done.stdout)
        return {"masters": found["masters"], "nics": found["nics"]}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return {"masters": [], "nics": []}


def pairs():
    """Of each pair: its master's name, its MAC, the slaves' names."""
    found = []
    for master in status()["masters"]:
        slaves = [master[role]["name"] for role in ("primary", "standby") if master[role]]
        found.append((master["name"], master["mac"], [name for name in slaves if name != master["name"]]))
    return found


def alone():
    """The names of paravirtual NICs that have no VF, by their MAC."""
    rows = status()["nics"]
    return {row["mac"]: row["name"] for row in rows if row["verdict"] == "alone" and row["bus"] not in ("", "pci")}


def showing_masters(get_interfaces):
    """`get_interfaces`, whose rows are (name, MAC, driver, device id)."""

    def patched(*args, **kwargs):
        rows = list(get_interfaces(*args, **kwargs))
        for master, mac, slaves in pairs():
            hidden = [row for row in rows if row[0] in slaves]
            rows = [row for row in rows if row[0] not in slaves]
            if hidden and master not in [row[0] for row in rows]:
                rows.append((master, mac, *hidden[0][2:]))
        return rows

    return patched


def by_name(config):
    """The configuration, with a pair's master named where its MAC was matched."""
    masters = {mac: name for name, mac, _ in pairs()}
    named = {**alone(), **masters}
    if config.get("version") == 1:
        rows = [_named(row, named.get(str(row.get("mac_address", "")).lower())) for row in config.get("config", [])]
        return {**config, "config": rows}
    ethernets = {}
    for key, row in (config.get("ethernets") or {}).items():
        name = (named if "set-name" in row else masters).get(str(row.get("match", {}).get("macaddress", "")).lower())
        if name is None:
            ethernets[key] = row
            continue
        row = {what: value for what, value in row.items() if what not in ("match", "set-name")}
        # What else is configured may refer to it by its key.
        ethernets[key] = row if key == name else {**row, "match": {"name": name}}
    return {**config, "ethernets": ethernets} if ethernets else config


def _named(row, name):
    if name is None or row.get("type") != "physical":
        return row
    return {**{what: value for what, value in row.items() if what != "mac_address"}, "name": name}


def patch():
    """Change the two functions."""
    from cloudinit import distros, net

    net.get_interfaces = showing_masters(net.get_interfaces)
    apply = distros.Distro.apply_network_config

    def apply_network_config(self, netconfig, *args, **kwargs):
        return apply(self, by_name(netconfig), *args, **kwargs)

    distros.Distro.apply_network_config = apply_network_config


if any(word.endswith(("/cloud-init", "cloudinit.cmd.main")) for word in sys.orig_argv[1:3]):
    # What cloud-init starts is not meant.
    os.environ.pop("PYTHONPATH", None)
    try:
        patch()
    except Exception as error:
        sys.stderr.write(f"failoverd: cloud-init is not as known, and will see a pair as two NICs: {error!r}\n")
