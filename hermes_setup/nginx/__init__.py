"""nginx's files as it reads them, rendered, tried on a copy; and the nginx that runs."""
