"""What is asked, and in which order. Pure: no screen, no keyboard, no machine."""
