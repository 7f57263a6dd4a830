"""`make gallery`: every method on every problem, the rows of the book's leaderboard.

    python -m tools.gallery                      goes on where it was stopped
    python -m tools.gallery --jobs 2             two processes of one thread each, the default
    python -m tools.gallery --only DPS TMPD --on two_atoms
    python -m tools.gallery --peers              azula and deepinv, in their environment
    CLUSTER=tcp://host:8786 python -m tools.gallery      a Dask cluster does the work

The workers of a cluster are started in a checkout of the same text, by
`python -m distributed.cli.dask_worker tcp://host:8786 --nthreads 1`; they write nothing, and what a
lost worker had is given to another. `pip install "fsps_lite[cluster]"` installs Dask.

What is stored for the present text of a method, its settings and this version of the library is not
run again. Each file is written as a whole, so that a stop at any time loses only what was under
way. The numbers follow from seeds; only the seconds do not.

Three kinds of files, each at most 5 kB, lie in `book/gallery`:

- `cells/PROBLEM/METHOD.json`: a row of the leaderboard, in the format of
  `fsps_lite/diagnosis/cell_files.py`. A tuned method is a row of its own, `METHOD_tuned.json`, and
  its entry "tuned" says how: {"told": the number by which it was chosen, "seed" and "measurements"
  of the y on which it was, "grid": the parameters tried, "errors": [error, its standard error] at
  each, "published": index of the published ones, "chosen": index of the best}. The error on the
  ranked y is that of the row itself.
- `maps/METHOD.json`: {"format": 1, "method", "package", "version", "of",
  "path": {"problem", "y", "t": 24 times, "x": [low, high], "n", "counts": 24 lists of 41 integers}
  or null, with "reason"; "failure": {PROBLEM: {"by": "law" or "cloud", "y": [...], "p": [p(y)...],
  "tv": [...], "null": [...] or null, "expected": the mean over p(y)} or null}}. By law, the total
  variation is that of densities, without Monte-Carlo error, through ancestral steps. By a cloud it
  is that of counts in the bins of the map, and "null" is that of as many exact draws.
- `maps/truth.json`: the path of the exact law on the same bins, as expected counts.
"""
