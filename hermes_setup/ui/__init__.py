"""The terminal: `ask` puts questions, `show` draws what happens, `terminal` knows what this terminal can do."""
