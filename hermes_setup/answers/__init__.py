"""What the user wants: parsed once, at the door."""
