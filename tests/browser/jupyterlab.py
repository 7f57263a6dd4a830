"""A JupyterLab of its own: no browser, no network, none of the user's settings."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

TOKEN = "look"
WAYS = ("CONFIG", "DATA", "RUNTIME")
FLAGS = ["--no-browser", "--allow-root", "--expose-app-in-browser", "--LabApp.news_url=None"]
FLAGS += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
FLAGS += ["--LabApp.extension_manager=readonly", f"--IdentityProvider.token={TOKEN}"]
ALL_CELLS = {"windowingMode": "none"}  # else only the cells on the screen are rendered


@contextmanager
def jupyterlab(folder, patience=120):
    """(address, token) of a JupyterLab that shows this folder, while the block runs."""
    own = folder / ".jupyter"
    settings = own / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps(ALL_CELLS))
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", *FLAGS]
    command += [f"--ServerApp.port={port}", f"--ServerApp.root_dir={folder}"]
    with (own / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment(own), stdout=log, stderr=log)
        try:
            base = f"http://127.0.0.1:{port}/"
            wait_for(f"{base}api?token={TOKEN}", server, patience)
            yield base, TOKEN
        finally:
            server.terminate()
            server.wait()


def environment(own):
    ways = {f"JUPYTER_{way}_DIR": str(own / way.lower()) for way in WAYS}
    ways |= {"JUPYTERLAB_SETTINGS_DIR": str(own / "settings")}
    return {**os.environ, **ways, "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces")}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(url, server, patience):
    end = time.monotonic() + patience
    while server.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"JupyterLab did not answer at {url} within {patience} s")
