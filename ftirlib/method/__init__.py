"""The paper: its settings, and each stage beside the function a worker runs."""
