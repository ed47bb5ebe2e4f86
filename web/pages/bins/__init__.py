"""«Корзина»: what was deleted of parties, leads and communications, and restoring it."""
