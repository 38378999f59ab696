"""Who on this server can reach Hermes's dashboard without nginx, and with that without a password."""
