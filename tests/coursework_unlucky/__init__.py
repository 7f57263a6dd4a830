"""Notebooks of honest students who were unlucky: `test_unlucky.py` holds the grader to them.

A variant is the reference's student notebook after some deeds: lines before or after an answer,
cells that were added, lost or moved, and what became of the file on its way. The YAML files hold
the deeds, `deeds.py` does them, `ways.py` packs the file, `play.py` runs a notebook as a student
does, and `law.py` asks the grader.
"""
