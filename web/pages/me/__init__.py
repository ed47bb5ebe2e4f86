"""One's own settings: password, language, theme, sessions."""
