"""Priors p(x_0): families that stay families when noise is added and when y is observed."""

from fsps_lite.priors.classes import fit_classes
from fsps_lite.priors.denoiser import Denoiser
from fsps_lite.priors.empirical import Empirical
from fsps_lite.priors.gaussian_mixture import GaussianMixture
from fsps_lite.priors.sharded import ShardedEmpirical
from fsps_lite.priors.smoothed import Smoothed
