"""The addresses that may open the dashboard, or send webhooks."""
