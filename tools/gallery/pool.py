"""Who does the jobs: processes of this machine, or a Dask cluster."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from joblib import Parallel, delayed

from tools.gallery.jobs import Done, Job, done

MISSING = """\
CLUSTER=address needs Dask: pip install "fsps_lite[cluster]"; without CLUSTER this machine works"""


def here(jobs: Sequence[Job], processes: int, folder: Path) -> Iterator[Done]:
    """Each job when it is done, by so many processes of this machine.

    A job is handed on shortly before its turn, with what ``folder`` then holds.
    """
    yield from Parallel(n_jobs=processes, return_as="generator_unordered", batch_size=1)(
        delayed(done)(job, job.published(folder)) for job in jobs
    )


def there(jobs: Sequence[Job], address: str) -> Iterator[Done]:
    """Each job when it is done, by the workers of a cluster.

    The workers must be started in a checkout of the same text. A job whose worker is lost is given
    to another. Raises ImportError, and says what to install, where Dask is missing.
    """
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError as error:
        raise ImportError(MISSING) from error
    with Client(address) as client:
        futures = client.map(done, list(jobs), pure=False)
        for future in as_completed(futures):
            yield future.result()
