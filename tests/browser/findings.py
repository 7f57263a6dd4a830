"""What is wrong on a page: each law that the tests hold answers with a list of lines."""

GRAVE = ("critical", "serious")


def goes_wrong(found):
    """What failed on the way: the page, its scripts, its files, a request to another host."""
    told = [found["broken"]] if "broken" in found else []
    for kind in ("console", "foreign", "failed"):
        told += [f"{kind}: {line}" for line in found.get(kind, [])]
    return told


def too_wide(found):
    """What reaches beyond the screen, or is cut off at the edge of its box."""
    page = found["wide"]["page"]
    told = [f"the page is {page} px wider than the screen"] if page else []
    return told + found["wide"]["parts"] + [f"cut: {line}" for line in found["blocks"]["cut"]]


def equations_that_leave(found):
    return found["equations"]["leave"]


def equations_that_scroll(found):
    return found["equations"]["scroll"]


def blocks_that_scroll(found):
    return found["blocks"]["scroll"]


def stuck_sliders(found):
    return found["sliders"]["stuck"]


def bad_maths(found):
    """Formulas that are not set, or that MathJax could not read."""
    maths = found["maths"]
    return [f"{kind}: {line}" for kind in ("raw", "unset", "errors") for line in maths[kind]]


def barriers(found):
    """What axe-core calls critical or serious."""
    grave = [rule for rule in found["axe"] if rule["impact"] in GRAVE]
    return [f"{r['id']} ({r['impact']}, {r['count']}): {'; '.join(r['targets'])}" for r in grave]


LAWS = [goes_wrong, too_wide, equations_that_leave, equations_that_scroll, blocks_that_scroll]
LAWS += [stuck_sliders, bad_maths, barriers]
