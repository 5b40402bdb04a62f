"""From anyone's files to a data set."""
