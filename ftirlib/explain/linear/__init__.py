"""The linear cosine model made of contexts, its card, and names of its bands."""
