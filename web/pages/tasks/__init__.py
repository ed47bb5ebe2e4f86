"""Tasks: lists, card, form, the parts of other cards, reminders."""
