"""The look-ups: what is asked of whom, in which order, and until when."""

DEADLINE = 4.0  # seconds for all look-ups together
QUICK = 1.5  # the same where the answer is only good to know
