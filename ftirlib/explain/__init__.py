"""From class to reasons: LIME, the CRIME autoencoder, contexts and linear models."""
