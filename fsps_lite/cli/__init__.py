"""The commands of the shell: names become problems and methods, files become samples."""

from fsps_lite.cli.commands import main
