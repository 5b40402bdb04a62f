"""CRIME: the M2 autoencoder, its contexts, and their controls."""
