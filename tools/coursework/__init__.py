"""Coursework: student versions from masters, and grades from a folder of submissions.

`master` reads an assignment, `release` makes what students get, `sandbox` runs a submission in a
process of its own, `grade` asks that process and compares, `report` writes what teachers and
students read. All that a submission's process can see of this package is the folder `child`.
"""
