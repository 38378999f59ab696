"""Whether a packet filter of this machine lets visitors in, by its own rules."""
