"""Every kind of request there is."""

from __future__ import annotations

from failoverd.model import requests
from failoverd.model.requests import OfDevice, Request

EVERY = {found for name in requests.__all__ if isinstance(found := getattr(requests, name), type)}
EVERY = {kind for kind in EVERY if issubclass(kind, Request) and kind not in (Request, OfDevice)}
