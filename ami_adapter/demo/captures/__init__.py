"""Streams of real Asterisk 16, 22 and FreePBX 16 managers, as bytes with their timing; invented numbers and people."""
