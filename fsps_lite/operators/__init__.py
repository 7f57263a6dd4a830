"""Forward operators A: what a measurement does to a signal before noise is added.

An operator is called on a cloud ``(*batch, d)`` and answers ``(*batch, m)``. An image is stored as
a row of d = C x H x W numbers.
"""

from fsps_lite.operators.convolution import blur
from fsps_lite.operators.detectors import saturation
from fsps_lite.operators.fourier import fourier_magnitude, fourier_samples
from fsps_lite.operators.frequencies import fourier_mask
from fsps_lite.operators.images import downsample, mask
from fsps_lite.operators.linear import Linear
from fsps_lite.operators.motion import motion_blur
from fsps_lite.operators.nonlinear import Nonlinear
from fsps_lite.operators.tomography import projections
