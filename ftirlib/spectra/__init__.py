"""What the data are: the layout, readers, simulation, preparation and folds."""
