"""How averages over atoms and Gaussians are computed. Priors use it, and nobody else."""
