"""The receivers that keep records: the journal, the history, the metrics.

daemon.fanout passes events to them as to every receiver. Beyond that, the history has the daemon's start and orderly
end, and an orderly end removes the metrics.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from failoverd.daemon import journald
from failoverd.daemon.disk_writer import DiskWriter
from failoverd.daemon.fanout import Receiver
from failoverd.daemon.history import History
from failoverd.daemon.metrics import Metrics
from failoverd.daemon.paths import Paths
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.linkstatus import LinkStatus

log = logging.getLogger("failoverd")


class Records:
    """The receivers that keep records; `dropped` returns how many signals reached no receiver, `links` the status of
    each end of a declared link, `etcd` how it stands with etcd."""

    def __init__(
        self,
        paths: Paths,
        dropped: Callable[[], int],
        disk_writer: DiskWriter,
        links: Callable[[], Iterable[LinkStatus]] = tuple,
        etcd: Callable[[], EtcdContact | None] = lambda: None,
    ) -> None:
        self._journald = journald.Journald(journald.find())
        self._history = History(paths.history, disk_writer)
        self._metrics = Metrics(paths.metrics, dropped, links=links, etcd=etcd)
        self.receivers: Sequence[Receiver] = (self._journald, self._history, self._metrics)
        self._history.started()

    def stopped(self, reason: str) -> None:
        """The daemon has distributed everything and ends in good order. Nothing is queued for the disk afterwards."""
        self._journald.close()
        self._history.stopped(reason)
        try:
            self._metrics.close()
        except OSError as error:
            log.warning("%s; what it says is of a daemon that has ended", error)
