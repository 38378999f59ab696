"""Hermes itself: where it listens, how it is installed, and as a service."""
