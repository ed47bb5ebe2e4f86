"""The bell: what one is notified of."""
