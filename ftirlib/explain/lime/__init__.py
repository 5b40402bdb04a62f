"""LIME of spectra: exact, batched, and its limit."""
