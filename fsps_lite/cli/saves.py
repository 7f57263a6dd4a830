"""Where reports are saved: checked before a long run, written after it."""

import argparse
import os
import re
from pathlib import Path

from fsps_lite.cli.unknown import Unknown
from fsps_lite.diagnosis import Calibration, Report
from fsps_lite.saving import check_target

FILES = ("report", "json")


def check(options: argparse.Namespace) -> None:
    """Raise, before any work, unless what was asked for can be written; make the folder --out."""
    for name in FILES:
        if (path := vars(options).get(name)) is not None:
            call = f"python -m fsps_lite diagnose DPS --{name} name-of-a-file"
            check_target(f"--{name}", path, call)
    if options.out is not None:
        try:
            Path(options.out).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unknown(f"--out must name a folder: {error}") from error
        if not options.out or not os.access(options.out, os.W_OK):
            raise Unknown(f"--out must name a folder that can be written, got {options.out!r}")


def save(options: argparse.Namespace, *reports: Report | Calibration) -> None:
    """Save each report as was asked for; raises Unknown where a file cannot be written."""
    pages, numbers = vars(options).get("report"), vars(options).get("json")
    try:
        for report in reports:
            if pages is not None:
                report.save_html(pages)
            if numbers is not None:
                report.save_json(numbers)
            if options.out is not None:
                stem = re.sub(r"[^\w.-]+", "-", report.method)  # module:Name is no name of a file
                report.save_html(Path(options.out) / f"{stem}.html")
                report.save_json(Path(options.out) / f"{stem}.json")
    except OSError as error:
        raise Unknown(f"the report could not be saved: {error}") from error
