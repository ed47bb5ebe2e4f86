"""The sub-commands of `ringcard`, a module per subject."""
