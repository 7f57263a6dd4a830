"""The chapters as notebooks that any reader shows well: plain Markdown, made from the twins.

`reader_notebooks(solutions)` makes them, `plain_text` turns one text of MyST into plain Markdown,
and `addresses` says where the public home shows them. Nothing that is made here is stored in git.
"""

from tools.notebooks.addresses import launch_links
from tools.notebooks.book import Book
from tools.notebooks.errors import Unreadable
from tools.notebooks.labels import Numbers, book_numbers, local_numbers
from tools.notebooks.markdown import plain_text
from tools.notebooks.reader import reader_notebooks

__all__ = [
    "Book",
    "Numbers",
    "Unreadable",
    "book_numbers",
    "launch_links",
    "local_numbers",
    "plain_text",
    "reader_notebooks",
]
