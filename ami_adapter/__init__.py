"""Asterisk manager interface: bytes to channel events; nobody else knows its header names."""
