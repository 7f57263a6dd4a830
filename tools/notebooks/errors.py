"""What is said when a text holds something for which no plain Markdown is known."""


class Unreadable(ValueError):
    """A text of the book cannot become plain Markdown; the message names file and line."""

    def __init__(self, path: str, line: int, why: str) -> None:
        super().__init__(f"{path}, line {line}: {why}")
