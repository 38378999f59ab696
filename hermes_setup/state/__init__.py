"""What was there before, and what was wished for. The machine itself says what is there now."""
