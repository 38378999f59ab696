"""What was there before, and what was agreed to. The machine itself says what is there now."""
