"""Pages with one fault each, and a page without any: the tests must see the difference."""

from tests.browser import findings

LONG = "word " * 60
FORMULA = '<svg width="{0}" height="20" role="img" aria-label="x"></svg>'
IN_BOX = '<mjx-container style="display: block; overflow-x: auto">{0}</mjx-container>'
SLIDER = (
    '<figure><label>y <input type="range" max="9" value="{0}"></label>'
    '<svg width="9" height="9" role="img" aria-label="y"><text>0</text></svg></figure>'
)
MOVES = (
    "<script>document.querySelector('input').addEventListener('input', (e) => {"
    "document.querySelector('text').textContent = e.target.value; });</script>"
)


def equation(drawing, number="", style=""):
    return f'<div class="math" style="{style}">{number}{drawing}</div>'


NUMBER = '<span class="eqno" style="position: absolute; right: 0">(1)</span>'
CLEAN = {
    "plain": "<p>A word.</p>",
    "slider": SLIDER.format(3) + MOVES,
    "slider-at-its-end": SLIDER.format(9) + MOVES,
    "equation": equation(IN_BOX.format(FORMULA.format(90))),
    "listing": "<pre><code>x = r'\\(y\\)'</code></pre>",
}
BAD = {
    "console": ("<script>console.error('x')</script>", findings.goes_wrong),
    "throws": ("<script>throw new Error('x')</script>", findings.goes_wrong),
    "foreign": ("<script>fetch('https://example.org/x').catch(() => 0)</script>",)
    + (findings.goes_wrong,),
    "gone": ('<img src="gone.png" alt="A line.">', findings.goes_wrong),
    "wide": ('<div style="width: 2000px">Wide.</div>', findings.too_wide),
    "cut": (f'<p style="overflow: hidden; white-space: nowrap">{LONG}</p>', findings.too_wide),
    "leaves": (
        equation(f"<mjx-container>{FORMULA.format(90)}</mjx-container>", style="width: 50px"),
        findings.equations_that_leave,
    ),
    "over-its-number": (
        equation(
            f"<mjx-container>{FORMULA.format(200)}</mjx-container>",
            NUMBER,
            "width: 200px; position: relative",
        ),
        findings.equations_that_leave,
    ),
    "scrolls": (equation(IN_BOX.format(FORMULA.format(2000))), findings.equations_that_scroll),
    "code": (
        f'<pre tabindex="0" style="overflow-x: auto">{LONG}</pre>',
        findings.blocks_that_scroll,
    ),
    "stuck": (SLIDER.format(3), findings.stuck_sliders),
    "raw": (r"<p>\(x\)</p>", findings.bad_maths),
    "directive": ("<p>See {eq}`eq-one`.</p>", findings.bad_maths),
    "unset": ('<span class="math">x</span>', findings.bad_maths),
    "nameless": ("<button></button>", findings.barriers),
    "pale": ('<p style="color: #bbb; background: #fff">Pale.</p>', findings.barriers),
}


def page(body):
    head = '<meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,">'
    style = "<style>input { width: 50px }</style>"
    return (
        f'<!doctype html><html lang="en"><head>{head}{style}</head>'
        f"<body><main><h1>A page</h1>{body}</main></body></html>"
    )


def write(folder):
    """One file a page."""
    bodies = {**CLEAN, **{name: body for name, (body, _) in BAD.items()}}
    for name, body in bodies.items():
        (folder / f"{name}.html").write_text(page(body), encoding="utf-8")
