"""The look-ups: what is asked of whom, in which order, and until when."""
