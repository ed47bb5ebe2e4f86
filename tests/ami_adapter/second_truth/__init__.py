"""What an Asterisk wrote down itself, told as calls."""
