"""The DNS records of the names, and whether they lead to this server."""
