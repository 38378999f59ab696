"""What the checks say of one name, a file for each subject."""
