"""The roof: settings, wiring, start and stop, health, the `ringcard` command; imports anything, nobody imports it."""
