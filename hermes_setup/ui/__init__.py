"""The terminal: `ask` puts questions, `screen` draws what happens, `talk` says plain lines, `terminal` knows what this one can do."""
