"""The DNS records of the names, and whether they point to this server."""
