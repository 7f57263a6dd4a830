"""Published packages, in and out: their samplers on our problems, our priors in their samplers.

``pip install "fsps_lite[peers]"`` installs the versions that were compared. Nothing here is needed
by the rest of the library, and nothing of theirs is imported before it is called.
"""
