"""The check of a data set: what it is fit for, as text and as a page."""
