"""Words of a figure for a page: Unicode in place of Matplotlib's simple TeX."""

import re

RAISED = str.maketrans("0123456789-−+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁺")
GREEK = {r"\sigma": "σ", r"\alpha": "α", r"\beta": "β", r"\tau": "τ", r"\mu": "μ", r"\pm": "±"}


def plain(text: str) -> str:
    """``$10^{-2}$`` becomes 10⁻²; text without a formula stays as it is."""
    if "$" not in text:
        return text
    text = re.sub(r"\\(?:mathdefault|mathrm|text){((?:[^{}]|{[^{}]*})*)}", r"\1", text)
    text = re.sub(r"\^{([^{}]*)}", lambda found: found[1].translate(RAISED), text)
    for tex, letter in GREEK.items():
        text = text.replace(tex, letter)
    return text.replace("$", "").replace(r"\times", "×").replace("{", "").replace("}", "")
