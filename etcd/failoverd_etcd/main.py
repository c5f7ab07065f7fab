"""The command line of failoverd-etcd."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path


def main() -> int:
    from failoverd_etcd.service import Service

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/failoverd-etcd"
    main = Path(sys.argv[2]) if sys.argv[1:] else None
    asyncio.run(Service(Path(state), main).run())
    return 0
