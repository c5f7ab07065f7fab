"""Introspection: an object's interfaces in the XML that every D-Bus tool reads, with failoverd's documentation in it.

The annotations are those that GLib's tools write and read: org.gtk.GDBus.DocString for prose, and the specification's
EmitsChangedSignal for properties.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from dbus_next import introspection as intr

from failoverd.bus.interfaces import Arg, Interface, Method
from failoverd.bus.tree import OBJECT_MANAGER, Tree

DOC = "org.gtk.GDBus.DocString"
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    '"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)


def introspect(tree: Tree, path: str) -> str:
    """Return the XML for this path, which is an object's or leads to one."""
    node = ET.Element("node")
    for interface in intr.Node.default().interfaces:
        if interface.name != OBJECT_MANAGER or path == tree.root:
            node.append(interface.to_xml())
    for name in tree.objects.get(path, {}):
        node.append(_interface(tree.interfaces[name]))
    for child in tree.children(path):
        ET.SubElement(node, "node", name=child)
    ET.indent(node)
    return DOCTYPE + ET.tostring(node, encoding="unicode") + "\n"


def _interface(interface: Interface) -> ET.Element:
    element = ET.Element("interface", name=interface.name)
    _annotate(element, DOC, interface.doc)
    for method in interface.methods:
        inner = ET.SubElement(element, "method", name=method.name)
        _annotate(inner, DOC, _told(interface, method))
        _args(inner, method.takes, direction="in")
        _args(inner, method.gives, direction="out")
    for found in interface.properties:
        inner = ET.SubElement(element, "property", name=found.name, type=found.signature, access="read")
        _annotate(inner, DOC, found.doc)
        _annotate(inner, EMITS, found.emits)
    for signal in interface.signals:
        inner = ET.SubElement(element, "signal", name=signal.name)
        _annotate(inner, DOC, signal.doc)
        _args(inner, signal.args)
    return element


def _told(interface: Interface, method: Method) -> str:
    """Return a method's documentation, with what D-Bus cannot express: the users who may call it, and its errors. These
    are named beside the interfaces."""
    told = f"{method.doc} {method.whose}"
    if not method.errors:
        return told
    return f"{told} Errors, below {interface.name.rpartition('.')[0]}.Error: {', '.join(method.errors)}."


def _args(element: ET.Element, args: tuple[Arg, ...], **more: str) -> None:
    for arg in args:
        _annotate(ET.SubElement(element, "arg", {"name": arg.name, "type": arg.signature, **more}), DOC, arg.doc)


def _annotate(element: ET.Element, name: str, value: str) -> None:
    ET.SubElement(element, "annotation", name=name, value=value)
