"""From raw absorbance to the spectra that models see."""
