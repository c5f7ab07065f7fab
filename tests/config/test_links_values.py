"""Each kind of value that only links have takes what it should, refuses the rest, and says why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.kinds import InvalidValueError, ValueKind
from failoverd.config.links.addresses import Addresses, Gateway, Prefix
from failoverd.config.links.namespaces import AbsolutePath, Container, NamespaceName
from failoverd.config.links.read import KEYS
from failoverd.config.links.values import DeviceName, LinkRef, Mac, Mtu, Reference, References
from failoverd.model.declared import DeviceRef, NamespaceRef

SURROGATE = "a\udc80"


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        (DeviceName(), "eth1.120", "eth1.120"),
        (DeviceName(), "ünïcödé", "ünïcödé"),
        (LinkRef(), "a.b-c_0", "a.b-c_0"),
        (LinkRef(), "a" * 63 + ".peer", "a" * 63 + ".peer"),
        (Mac(), "52-54-00-AA-BB-CC", "52:54:00:aa:bb:cc"),
        (Mtu(), 0, 0),
        (Mtu(), 68, 68),
        (Mtu(), 65_535, 65_535),
        (Reference(), "master:ens3", DeviceRef("master", "ens3")),
        (Reference(), "master:52:54:00:AA:bb:cc", DeviceRef("master", "52:54:00:aa:bb:cc")),
        (Reference(), "link:a.peer", DeviceRef("link", "a.peer")),
        (Reference(), "device:eth7", DeviceRef("device", "eth7")),
        (References(), [], ()),
        (Addresses(), [], ()),
        (Addresses(), ["10.0.0.0/31", "FE80::0001/64", "127.0.0.1/8"], ("10.0.0.0/31", "fe80::1/64", "127.0.0.1/8")),
        (Prefix(), "10.0.0.0/8", "10.0.0.0/8"),
        (Prefix(), "0::0/0", "::/0"),
        (Prefix(), "224.0.0.0/4", "224.0.0.0/4"),
        (Gateway(), "FE80::1", "fe80::1"),
        (NamespaceName(), "a b ö", "a b ö"),
        (NamespaceName(), "x" * 255, "x" * 255),
        (AbsolutePath(), "/proc/7/ns/net", "/proc/7/ns/net"),
        (Container(), "label:org.example.role=web=x", "label:org.example.role=web=x"),
        (Container(), "label:key=", "label:key="),
        (Container(), "env:A=b c", "env:A=b c"),
        (Container(), "name:/web", "name:/web"),
        (Container(), "id:0123abcd", "id:0123abcd"),
        (Container(), "pod:shop/web", "pod:shop/web"),
        (Container(), "machine:m1", "machine:m1"),
        (KEYS["namespace"].kind, {"pid": 1}, NamespaceRef("pid", "1")),
        (KEYS["namespace"].kind, {"name": "red", "create": True}, NamespaceRef("name", "red", create=True)),
    ],
)
def test_taken(kind: ValueKind, value: object, taken: object) -> None:
    assert kind.take(value) == taken


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (DeviceName(), 1, "1 is a whole number"),
        (DeviceName(), "", '"" is empty'),
        (DeviceName(), "a\0", r'"a\u0000" holds "\u0000"'),
        (DeviceName(), SURROGATE, r'"a\udc80" holds "\udc80"'),
        (DeviceName(), "a/b", '"a/b" holds "/", which no device name may'),
        (DeviceName(), "eth%d", '"eth%d" holds "%", which no device name may'),
        (DeviceName(), "a b", '"a b" holds " ", which no device name may'),
        (DeviceName(), "ö" * 8, r'"\u00f6\u00f6\u00f6\u00f6\u00f6\u00f6\u00f6\u00f6" has 16 bytes'),
        (DeviceName(), "..", 'the kernel has no device ".."'),
        (DeviceName(), "default", 'the kernel has no device "default"'),
        (DeviceName(), "failoverd-x", '"failoverd-x" is a name that failoverd keeps for itself'),
        (DeviceName(), "fo525400aabbcc", '"fo525400aabbcc" is a name that failoverd keeps for itself'),
        (LinkRef(), "A", '"A" is no name of a link'),
        (LinkRef(), "a" * 64, f'"{"a" * 56}... is no name of a link'),
        (LinkRef(), "a\n", r'"a\n" holds "\n"'),
        (LinkRef(), {}, "it is a table"),
        (Mac(), "52:54:00:aa:bb", '"52:54:00:aa:bb" is no MAC'),
        (Mac(), "01:00:5e:00:00:01", '"01:00:5e:00:00:01" is a multicast MAC'),
        (Mac(), "ff:ff:ff:ff:ff:ff", '"ff:ff:ff:ff:ff:ff" is a multicast MAC'),
        (Mac(), "00:00:00:00:00:00", '"00:00:00:00:00:00" is no device\'s'),
        (Mtu(), True, "true is a boolean"),
        (Mtu(), 1.5, "1.5 is a fractional number"),
        (Mtu(), 67, "67 is too small"),
        (Mtu(), -1, "-1 is too small"),
        (Mtu(), 65_536, "65536 is too large"),
        (Reference(), "ens3", '"ens3" does not say what it is'),
        (Reference(), "mastr:ens3", '"mastr:" is not known, did you mean "master:"?'),
        (Reference(), "x:ens3", '"x:" is not known, it may be "master:", "link:", "device:"'),
        (Reference(), "master:", '"" is empty'),
        (Reference(), "device:a/b", '"a/b" holds "/", which no device name may'),
        (Reference(), "link:A", '"A" is no name of a link'),
        (References(), "link:a", '"link:a" is a text'),
        (References(), ["link:a", "device:a", "link:a"], '"link:a" is given twice'),
        (Addresses(), "10.0.0.1/8", '"10.0.0.1/8" is a text'),
        (Addresses(), [1], "1 is a whole number"),
        (Addresses(), ["10.0.0.1"], '"10.0.0.1" is no address with a prefix length'),
        (Addresses(), ["10.0.0.1/255.0.0.0"], '"10.0.0.1/255.0.0.0" is no address with a prefix length'),
        (Addresses(), ["fe80::1%eth0/64"], '"fe80::1%eth0/64" is no address with a prefix length'),
        (Addresses(), ["10.0.0.1/33"], '"10.0.0.1/33" is no address'),
        (Addresses(), ["224.0.0.1/4"], '"224.0.0.1/4" is a multicast address'),
        (Addresses(), ["::/0"], '"::/0" is no device\'s address'),
        (Addresses(), ["fd00::1/64", "FD00:0::1/64"], '"fd00::1/64" is given twice'),
        (Prefix(), "default", '"default" is no address with a prefix length'),
        (Prefix(), "10.0.0.0/33", '"10.0.0.0/33" is no prefix'),
        (Prefix(), "10.1.2.3/8", '"10.1.2.3/8" has bits behind its prefix, which is 10.0.0.0/8'),
        (Gateway(), "gw", '"gw" is no address'),
        (Gateway(), "10.0.0.1/8", '"10.0.0.1/8" is no address'),
        (Gateway(), "fe80::1%eth0", '"fe80::1%eth0" names a device, and a route is through its own'),
        (Gateway(), "ff02::1", '"ff02::1" is a multicast address'),
        (Gateway(), "0.0.0.0", '"0.0.0.0" is no device\'s address'),
        (NamespaceName(), "a/b", '"a/b" is no name of a file'),
        (NamespaceName(), "..", '".." is no name of a file'),
        (NamespaceName(), "x" * 256, f'"{"x" * 56}... has 256 bytes'),
        (NamespaceName(), SURROGATE, r'"a\udc80" holds "\udc80"'),
        (AbsolutePath(), "run/x", '"run/x" does not begin with a slash'),
        (AbsolutePath(5), "/run/x", '"/run/x" has 6 bytes'),
        (Container(), "web", '"web" does not say how the container is known'),
        (Container(), "name:", '"name:" does not say how the container is known'),
        (Container(), "lable:a=b", '"lable:" is not known, did you mean "label:"?'),
        (Container(), "label:a", '"label:a" is not of the form label:KEY=VALUE'),
        (Container(), "env:=a", '"env:=a" is not of the form env:NAME=VALUE'),
        (Container(), "pod:web", '"pod:web" is not of the form pod:NAMESPACE/NAME'),
        (Container(), "pod:shop/", '"pod:shop/" is not of the form pod:NAMESPACE/NAME'),
        (Container(), "pod:a/b/c", '"pod:a/b/c" names no container'),
        (Container(), "name:a b", '"name:a b" names no container'),
        (KEYS["namespace"].kind, "red", '"red" is a text'),
        (KEYS["routes"].kind, {}, "it is a table"),
        (KEYS["routes"].kind, ["x"], '"x" is a text; give a table with `to`, and a `via` of the same family if any'),
    ],
)
def test_refused(kind: ValueKind, value: object, why: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        kind.take(value)
    assert str(error.value) == why


@given(st.sampled_from([DeviceName(), LinkRef(), Mac(), Reference(), Prefix(), Gateway(), Container()]), st.data())
def test_what_is_taken_can_be_said_to_the_kernel(kind: ValueKind, data: st.DataObject) -> None:
    letters = data.draw(st.text("abf0189.:/=%- lnkdevicmastr\0\n\udc80ö", max_size=20))
    try:
        taken = kind.take(letters)
    except InvalidValueError:
        return
    assert str(taken).encode().isascii() or "ö" in str(taken)
    assert "\0" not in str(taken)
