"""Which addresses the dashboard opens to."""
