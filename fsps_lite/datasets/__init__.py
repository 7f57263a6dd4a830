"""Data that priors are made of."""
