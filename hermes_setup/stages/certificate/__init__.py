"""The certificate: what is there, which one is served, how one is asked for."""
