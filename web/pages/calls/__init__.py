"""The journal of calls and the card of one call."""
