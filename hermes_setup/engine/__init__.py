"""One loop for every mode, and the values it works with: findings, changes, stages, events."""
