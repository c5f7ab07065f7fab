"""Those who keep a record of what happens: the journal, the history, the metrics.

They are told by daemon.tellers like everybody else. Beyond that the history says when the daemon began its work and
when it ended it, and no metrics are left of a daemon that has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from failoverd.daemon import journald
from failoverd.daemon.behind import Behind
from failoverd.daemon.history import History
from failoverd.daemon.metrics import Metrics
from failoverd.daemon.places import Places
from failoverd.daemon.tellers import Teller

log = logging.getLogger("failoverd")


class Observers:
    """The tellers that keep records; `dropped` counts the signals that no teller heard of."""

    def __init__(self, places: Places, dropped: Callable[[], int], behind: Behind) -> None:
        self._journald = journald.Journald(journald.find())
        self._history = History(places.history, behind)
        self._metrics = Metrics(places.metrics, dropped)
        self.tellers: Sequence[Teller] = (self._journald, self._history, self._metrics)
        self._history.started()

    def stopped(self, reason: str) -> None:
        """The daemon has told all and ends in good order. Nothing is done behind it any more."""
        self._journald.close()
        self._history.stopped(reason)
        try:
            self._metrics.close()
        except OSError as error:
            log.warning("%s; what it says is of a daemon that has ended", error)
