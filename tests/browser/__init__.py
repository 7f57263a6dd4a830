"""What opens pages in Chromium, which pages are opened how, and what is wrong on a page."""
