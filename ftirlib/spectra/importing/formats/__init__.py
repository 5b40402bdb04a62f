"""File formats, one module each: from a file to its arrays, each with the part it plays.

`registry.recognise` finds the reader of a file; every reader is (path, wanted names, skip_rows=0) -> `RawFile`.
"""

from ftirlib.spectra.importing.formats.raw import COMMON_NAMES, Pixels, RawFile, as_text
from ftirlib.spectra.importing.formats.registry import FORMATS, READERS, Format, recognise

__all__ = ["COMMON_NAMES", "FORMATS", "READERS", "Format", "Pixels", "RawFile", "as_text", "recognise"]
