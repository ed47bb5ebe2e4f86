"""Figures of the running program for `/metrics`."""

from __future__ import annotations

import math

from prometheus_client import Gauge

from ami_adapter.link import LinkStatus
from crm.journal import Journal
from cti.daemon.links import Links
from cti.daemon.switchboard import Switchboard
from web.live import LiveHub
from web.pop_delay import pop_delay

WAITING = Gauge("ringcard_journal_waiting", "Calls that wait in memory for the journal")
KNOWN = Gauge("ringcard_calls_known", "Calls that go on, or of which is not known yet who called")
SPOOLED = Gauge("ringcard_journal_spooled_bytes", "Bytes of the journal's spool on disk")
SOCKETS = Gauge("ringcard_live_sockets", "Open live sockets")
LINKS_UP = Gauge("ringcard_links_up", "Links to PBXs that are up")
POP_SECONDS = Gauge(
    "ringcard_pop_drawn_seconds", "From the event to the drawn window, as browsers measured it", ["quantile"]
)
LINKS = Gauge("ringcard_links", "Links to PBXs that should be up")


def publish_figures(journal: Journal, hub: LiveHub, links: Links, switchboard: Switchboard) -> None:
    """Read at the moment somebody asks."""
    WAITING.set_function(lambda: journal.waiting)
    KNOWN.set_function(lambda: switchboard.calls_known)
    SPOOLED.set_function(lambda: journal.spooled_bytes)
    SOCKETS.set_function(hub.count)
    POP_SECONDS.labels("0.5").set_function(lambda: _pop_seconds(hub, "median_ms"))
    POP_SECONDS.labels("0.99").set_function(lambda: _pop_seconds(hub, "p99_ms"))
    LINKS.set_function(lambda: len(links.states()))
    LINKS_UP.set_function(lambda: sum(state.status is LinkStatus.UP for state in links.states().values()))


def _pop_seconds(hub: LiveHub, figure: str) -> float:
    """NaN while no window was drawn."""
    delay = pop_delay(hub.drawn_ms)
    return getattr(delay, figure) / 1000 if delay else math.nan
