"""What `import fsps_lite` leaves out: all that is slow to import and that few calls need."""

import subprocess
import sys

LATER = ("IPython", "ipywidgets", "joblib", "matplotlib", "pandas", "scipy", "sklearn")
CODE = f"""
import sys
import torch
of_torch = set(sys.modules)
import fsps_lite
early = [name for name in {LATER} if name in set(sys.modules) - of_torch]
assert not early, f"imported too early: {{early}}"
missing = set(fsps_lite.__all__) - set(dir(fsps_lite))
assert not missing, f"dir(fsps_lite) lacks {{missing}}"
for name in fsps_lite.__all__:
    getattr(fsps_lite, name)
assert not hasattr(fsps_lite, "plot")
assert fsps_lite.plots is sys.modules["fsps_lite.plots"]
"""


def test_what_is_slow_is_imported_by_the_call_that_needs_it():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
