"""hermes-setup: the Hermes dashboard on the internet, behind nginx, a certificate and named users."""

__version__ = "0.1.0"
