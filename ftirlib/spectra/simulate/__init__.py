"""Simulated spectra whose truth is known: a colon cohort, and complexes."""
