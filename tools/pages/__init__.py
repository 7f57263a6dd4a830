"""The leaderboard and the gallery of samplers, as pages of the book.

`book/_ext/gallery.py` asks for their text when the book is built. Numbers come from the stored
results in `book/gallery` and from `facts`; what no file of the library says stands in `words.yaml`.
"""

from tools.pages.site import Site as Site
from tools.pages.studio import Studio as Studio
