"""Displayed equations as every notebook reader knows them: between two dollars, with a tag."""

import re

ROWS = re.compile(r"\\\\|&")
ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL)
OWN = re.compile(r"^\$\$\n(?P<body>.*?)\n\$\$$", re.MULTILINE | re.DOTALL)


def displayed(body: str, number: str = "") -> str:
    """`$$ ... \\tag{8.3} $$`. Bare rows get `aligned`, as the built pages give it to them."""
    body = re.sub(r"\n\s*\n", r" \\\\\n", body.strip())
    bare = ENVIRONMENT.sub("", body)
    if ROWS.search(bare):
        body = f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"
    tag = f"\n\\tag{{{number}}}" if number else ""
    return f"$$\n{body}{tag}\n$$"


def on_one_line(text: str) -> str:
    """Each displayed equation on one line: in a quote a line begins with a sign of its own."""
    return OWN.sub(lambda match: "$$ " + re.sub(r"\s*\n\s*", " ", match["body"]) + " $$", text)
