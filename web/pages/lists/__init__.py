"""The frame that lists share: columns, saved views, filters in the address; and their routes."""
