"""The one family of errors a user is meant to read: what is wrong, where, and what to do."""


class FtirlibError(Exception):
    """Base of every error that ftirlib raises on purpose; the command line prints it as one line."""


class DataError(FtirlibError, ValueError):
    """Spectra, labels or files that cannot be used as they are."""


class SettingsError(FtirlibError, ValueError):
    """A parameter that is unknown or out of its range."""


class ModelError(FtirlibError, ValueError):
    """A model that does not fit the data it is given, or cannot do what is asked of it."""


class StoreError(FtirlibError, RuntimeError):
    """A result on disk that is missing, torn, or made from something else."""
