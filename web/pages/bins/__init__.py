"""«Корзина»: what was deleted of parties and of leads, and restoring it."""
