"""Counterparties and contacts: lists, card, forms."""
