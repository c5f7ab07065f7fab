"""The names that can be in an XML document. The kernel takes any bytes but NUL, white space, `/` and `:`."""

from __future__ import annotations

from failoverd.model.text import printable


def xml_obstacle(name: str) -> str:
    """Return why a name cannot be in an XML document (XML 1.0, 2.2), in words; "" if it can."""
    if all(_is_character(c) for c in name):
        return ""
    is_text = not any("\ud800" <= c <= "\udfff" for c in name)
    why = "has a character that XML does not allow" if is_text else "is no UTF-8"
    return f"the name {printable(name)} {why}, so there is no XML of it; failoverctl interfaces --json has it"


def _is_character(c: str) -> bool:
    return " " <= c < "\ud800" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000"
