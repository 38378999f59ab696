"""nginx: its files as it reads them, templates filled in, a new configuration tested on a copy, and the running processes."""
