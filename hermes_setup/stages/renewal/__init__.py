"""Whether the certificate renews itself, and nginx gets to know."""
