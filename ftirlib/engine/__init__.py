"""The workflow engine: artefacts made once, whole or absent, by any workers; it knows no spectrum."""
