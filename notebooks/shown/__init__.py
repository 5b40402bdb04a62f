"""What the chapters show: one file a chapter."""
