"""What leads out of the page: the notebook to download, and the way to the book's public home.

The download button gives the notebook that is made for readers. `repository: url` of `_config.yml`
is the one setting of the public home. It is empty by default, and then no page has a link to it.
"""

from html import escape
from pathlib import Path

from sphinx.util.osutil import ensuredir

from tools.notebooks import Book, launch_links, reader_notebooks

LICENCE = "MIT licence"
PLACES = {  # below the address of the repository
    "Repository": "",
    "licence": "/blob/main/LICENSE",
    "how to cite": "/blob/main/CITATION.cff",
    "report a mistake": "/issues",
}


def address(app):
    """The repository's address, without a slash at its end; empty where none is set."""
    return app.config.html_theme_options.get("repository_url", "").rstrip("/")


def show_buttons(app, config):
    """The theme's own buttons need an address."""
    told = bool(address(app))
    for button in ("use_repository_button", "use_issues_button"):
        config.html_theme_options[button] = told


def add_links(app, pagename, templatename, context, doctree):
    """Write the links of the foot, and those that run a chapter."""
    context["theme_extra_footer"] = foot(address(app))
    page = app.fsps_pages.get(pagename)
    links = launch_links(address(app), page) if page else None
    if links:
        context["header_buttons"].append(launch_buttons(links))


def launch_buttons(links):
    """The theme's group of buttons for one notebook of the branch that the workflow publishes."""
    places = {"Colab": links.colab, "Binder": links.binder, "GitHub": links.view}
    told = {"type": "link", "icon": "fas fa-play"}
    buttons = [
        {**told, "text": name, "tooltip": f"Open this chapter on {name}", "url": url}
        for name, url in places.items()
    ]
    group = {"type": "group", "icon": "fas fa-rocket", "label": "launch-buttons"}
    return {**group, "tooltip": "Run this chapter", "buttons": buttons}


def foot(repository):
    """The last line of each page, as HTML."""
    links = [
        f'<a href="{escape(repository + path)}">{name}</a>'
        for name, path in PLACES.items()
        if repository
    ]
    return f"<p>{' · '.join([LICENCE, *links])}</p>"


def give_notebooks(app, exception):
    """Put the readers' notebooks where the download buttons lead."""
    if exception or app.builder.name != "html":
        return
    texts = reader_notebooks(solutions=True, repository=address(app))
    for page in app.fsps_pages.values():
        path = Path(app.outdir, "_sources", f"{page.place}.ipynb")
        ensuredir(path.parent)
        path.write_text(texts[page.notebook], encoding="utf-8")


def setup(app):
    app.fsps_pages = {page.place: page for page in Book().chapters}
    app.connect("config-inited", show_buttons)
    app.connect("html-page-context", add_links, priority=900)  # after the theme made its buttons
    app.connect("build-finished", give_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
