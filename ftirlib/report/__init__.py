"""From numbers to pages: scores with their uncertainty, and figures."""
