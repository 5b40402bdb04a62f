"""Sources: public data sets, from the place that holds them to the library's one layout."""
