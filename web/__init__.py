"""HTTP and the browser."""
