"""Figures of the running program for `/metrics`."""

from __future__ import annotations

from prometheus_client import Gauge

from ami_adapter.link import LinkStatus
from crm.journal import Journal
from cti.daemon.links import Links
from web.live import LiveHub

WAITING = Gauge("ringcard_journal_waiting", "Calls that wait in memory for the journal")
SPOOLED = Gauge("ringcard_journal_spooled_bytes", "Bytes of the journal's spool on disk")
SOCKETS = Gauge("ringcard_live_sockets", "Open live sockets")
LINKS_UP = Gauge("ringcard_links_up", "Links to PBXs that are up")
LINKS = Gauge("ringcard_links", "Links to PBXs that should be up")


def publish_figures(journal: Journal, hub: LiveHub, links: Links) -> None:
    """Read at the moment somebody asks."""
    WAITING.set_function(lambda: journal.waiting)
    SPOOLED.set_function(lambda: journal.spooled_bytes)
    SOCKETS.set_function(hub.count)
    LINKS.set_function(lambda: len(links.states()))
    LINKS_UP.set_function(lambda: sum(state.status is LinkStatus.UP for state in links.states().values()))
