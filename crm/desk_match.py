"""What the first picture of a window needs of who calls."""

from __future__ import annotations

from crm.matching import MatchResult
from cti.desk import Match, MatchParty


def for_desk(result: MatchResult) -> Match:
    return Match(
        outcome=result.outcome.value,
        reasons=tuple(reason.code for reason in result.reasons),
        parties=tuple(
            MatchParty(
                id=party.id,
                name=party.name,
                kinds=party.kinds,
                contact_id=party.contact_id,
                contact_name=party.contact_name,
                position=party.position,
                is_primary=party.is_primary,
            )
            for party in result.parties
        ),
    )
