"""Who can sign in: passwords and cookies."""
