"""The tests of the adapters are run by `make test-peers`, where the packages are installed."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("azula") else ["test_*.py"]


def pytest_addoption(parser):
    parser.addoption("--store", action="store_true", help="write figures.json anew")
