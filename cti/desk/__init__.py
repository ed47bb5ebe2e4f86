"""What an agent sees now: present calls, snapshots, messages; no sockets, no SQL."""
