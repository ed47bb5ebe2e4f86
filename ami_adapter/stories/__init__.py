"""What a connection heard of each call, kept for some days: why did this pop, or not; and a capture to replay."""
