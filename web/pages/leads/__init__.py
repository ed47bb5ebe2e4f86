"""Leads: list, board, card, form, conversion."""
