"""Everything, repeatably: settings, results on disk, stages, workers, the book and the command line."""
