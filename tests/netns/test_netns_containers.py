"""Which container a reference means, from what runtimes and control groups say."""

from __future__ import annotations

from typing import Any

import pytest

from failoverd.netns.containers import (
    POD_NAME,
    POD_NAMESPACE,
    Container,
    Wanted,
    group_of,
    is_meant,
    parse,
    read_container,
    read_event,
    read_list,
)

ID = "0123456789abcdef" * 4
UID = "6f1d3c0e-75ab-4c1e-9f0a-3d2b1c0e9f8a"
"""A pod's."""
BURSTABLE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
"""Its control group as the kubelet calls it with systemd's driver, which is the usual one."""
FULL: dict[str, Any] = {
    "Id": ID,
    "Name": "/shop-web",
    "State": {"Status": "running", "Running": True, "Pid": 4711},
    "Config": {"Labels": {"role": "web", POD_NAMESPACE: "shop", POD_NAME: "cart-0"}, "Env": ["A=b=c", "EMPTY="]},
    "HostConfig": {"NetworkMode": "default"},
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("label:role=web", Wanted("label", "role", "web")),
        ("label:role=", Wanted("label", "role", "")),
        ("env:A=b=c", Wanted("env", "A", "b=c")),
        ("name:shop-web", Wanted("name", "", "shop-web")),
        (f"id:{ID[:12]}", Wanted("id", "", ID[:12])),
        ("pod:shop/cart-0", Wanted("pod", "shop", "cart-0")),
        ("machine:m:1", Wanted("machine", "", "m:1")),
    ],
)
def test_references_that_are_right(text: str, wanted: Wanted) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        *("", "web", "label:role", "label:=web", "env:A", "name:", "machine:", "id:", "id:01234567890"),
        *("id:0123456789AB", "pod:shop", "pod:/cart", "pod:shop/", "image:web", f"id:{ID}0"),
    ],
)
def test_references_that_are_wrong_say_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"^'.*': (say|an id)"):
        parse(text)


def meant(text: str, document: dict[str, Any]) -> bool:
    container = read_container(document)
    assert container is not None
    return is_meant(parse(text), container)


def test_each_way_to_mean_it() -> None:
    for text in ("label:role=web", "env:A=b=c", "env:EMPTY=", "name:shop-web", f"id:{ID[:12]}", "pod:shop/cart-0"):
        assert meant(text, FULL), text
    for text in ("label:role=we", "label:also=web", "env:A=b", "name:web", "name:/shop-web", "id:abcdefabcdef"):
        assert not meant(text, FULL), text
    for text in ("pod:shop/cart", "pod:hop/cart-0", "machine:shop-web"):
        assert not meant(text, FULL), text
    machine = Container("machine:m", 1, names=("machine:m",))
    assert is_meant(parse("machine:m"), machine)
    assert not is_meant(parse("name:m"), machine)


def test_a_description_has_what_it_has() -> None:
    found = read_container(FULL)
    assert found is not None
    assert (found.pid, found.names, found.on_host_network) == (4711, ("shop-web",), False)
    assert read_container(FULL | {"HostConfig": {"NetworkMode": "host"}}).on_host_network  # type: ignore[union-attr]
    bare = {"Id": ID, "State": {"Running": True, "Pid": 1}, "Name": 7, "Config": {"Labels": None, "Env": None}}
    assert read_container(bare) == Container(ID, 1)
    strange = FULL | {"Config": {"Labels": {"a": 1, "b": "c"}, "Env": [1, "D=e"]}, "HostConfig": []}
    found = read_container(strange)
    assert found is not None
    assert (found.labels, found.environment) == ({"b": "c"}, ("D=e",))


def test_what_does_not_run_is_none() -> None:
    assert read_container(FULL | {"State": {"Running": False, "Pid": 0}}) is None
    assert read_container(FULL | {"State": {"Running": True, "Pid": 0}}) is None


@pytest.mark.parametrize("document", [None, [], {}, {"Id": ID}, FULL | {"Id": "../x"}, FULL | {"State": {"Pid": 1}}])
def test_what_is_no_description_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="no state"):
        read_container(document)


def test_a_list_is_its_ids() -> None:
    assert read_list([{"Id": ID, "Names": ["/x"]}]) == [ID]
    assert read_list([]) == []
    with pytest.raises(ValueError, match="no list"):
        read_list({})
    for row in ({}, {"Id": 1}, {"Id": "../x"}, None):
        with pytest.raises(ValueError, match="no id"):
            read_list([row])


@pytest.mark.parametrize(
    ("event", "known"),
    [
        ({"Action": "start", "Actor": {"ID": ID}}, ID),
        ({"Action": "die", "Actor": {"ID": ID, "Attributes": {}}}, ID),
        ({"status": "died", "id": ID}, ID),
        ({"Action": "stop", "Actor": {"ID": ID}}, ""),
        ({"Action": "exec_die", "Actor": {"ID": ID}}, ""),
        ({"Action": "die", "Actor": {"ID": "../x"}}, ""),
        ({"Action": "die"}, ""),
        ([], ""),
    ],
)
def test_events_name_a_container_or_say_nothing(event: Any, known: str) -> None:
    assert read_event(event) == known


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"0::/system.slice/docker-{ID}.scope\n", (ID, "")),
        (f"12:cpu:/docker/{ID}\n0::/\n", (ID, "")),
        (f"0::/machine.slice/libpod-{ID}.scope/container\n", (ID, "")),
        (f"0::/kubepods.slice/x/cri-containerd-{ID}.scope", (ID, "")),
        (f"0::/kubepods.slice/x/crio-{ID}.scope", (ID, "")),
        (f"0::{BURSTABLE}/cri-containerd-{ID}.scope", (ID, "")),
        (f"12:pids:{BURSTABLE}/cri-containerd-{ID}.scope\n0::/\n", (ID, "")),
        (f"0::{BURSTABLE}/crio-{ID}.scope/container", (ID, "")),
        (f"0::{BURSTABLE}/crio-conmon-{ID}.scope", ("", "")),
        (f"0::/kubepods/burstable/pod{UID}/{ID}", (ID, "")),
        (f"0::/kubepods/pod{UID}/{ID}/init.scope", (ID, "")),
        (f"0::/kubepods/besteffort/pod{UID}/crio-{ID}", (ID, "")),
        (f"0::/kubepods/besteffort/pod{'5' * 32}/{ID}", (ID, "")),
        (f"0::/system.slice/containerd.service/kubepods-pod{UID}.slice:cri-containerd:{ID}", (ID, "")),
        (f"0::/docker/{'9' * 64}/kubelet/kubepods/burstable/pod{UID}/{ID}", (ID, "")),
        (f"0::/system.slice/nerdctl-{ID}.scope", (ID, "")),
        (f"0::/default/{ID}", (ID, "")),
        (f"0::/user.slice/{ID}", ("", "")),
        (f"0::/kubepods/burstable/pod{UID}", ("", "")),
        (f"0::/machine.slice/libpod-conmon-{ID}.scope", ("", "")),
        ("0::/machine.slice/systemd-nspawn@web.service/payload", ("", "web")),
        ("0::/machine.slice/systemd-nspawn@web.service/supervisor", ("", "")),
        (r"0::/machine.slice/machine-lxc\x2d7\x2dweb.scope", ("", "lxc-7-web")),
        ("0::/user.slice", ("", "")),
        ("", ("", "")),
    ],
)
def test_control_groups_name_a_container_or_a_machine(text: str, found: tuple[str, str]) -> None:
    assert group_of(text) == found
