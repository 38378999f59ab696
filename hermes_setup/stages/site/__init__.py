"""The nginx site that passes visitors on to Hermes."""
