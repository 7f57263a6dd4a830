"""Diagnose a sampler from the shell.

python -m fsps_lite list
python -m fsps_lite diagnose mymodule:MyMethod --problem trimodal --report out.html
python -m fsps_lite compare DPS TMPD --problem two_atoms
python -m fsps_lite calibrate TMPD --problem two_atoms
python -m fsps_lite samples cloud.npy --problem mymodule:make
"""

import sys

from fsps_lite.cli import main

if __name__ == "__main__":
    sys.exit(main())
