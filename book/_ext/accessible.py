"""Names and roles that the theme leaves out, for those who hear a page or use its keys."""

SCRIPT = """
(() => {
  const all = (selector) => document.querySelectorAll(selector);
  const tidy = () => {
    for (const button of all("button.copybtn:not([aria-label])"))
      button.setAttribute("aria-label", button.dataset.tooltip || "Copy");
    for (const icon of all("[aria-label] > svg, [aria-label] > i, [aria-label] > span > svg")) {
      icon.querySelector("title")?.remove();
      icon.removeAttribute("title");
      icon.setAttribute("aria-hidden", "true");
    }
    for (const list of all(".citation-list[role=list]")) list.removeAttribute("role");
    for (const entry of all(".citation[role=doc-biblioentry]")) entry.removeAttribute("role");
    for (const fold of all(".bd-sidebar-primary summary:not([aria-label])"))
      fold.setAttribute("aria-label", "Pages of this part");
    // Panels side by side would be too small on a telephone: there they scroll inside their box
    // (`wide` in book.css), and a tap opens the figure at its own size.
    for (const figure of all(":is(.cell_output img, figure > img):not(.fsps-live img, a img)")) {
      const link = document.createElement("a");
      link.href = figure.src;
      link.setAttribute("aria-label", "The figure at its full size: " + figure.alt);
      const wide = () => figure.naturalWidth > 1.9 * figure.naturalHeight;
      figure.decode().then(() => link.classList.toggle("wide", wide()), () => {});
      figure.replaceWith(link);
      link.append(figure);
    }
    for (const box of all("pre[tabindex='-1'], .output[tabindex='-1']"))
      box.setAttribute("tabindex", "0");
    // Who speaks what is written on a button must find it.
    for (const named of all("button[aria-label], summary[aria-label], a[aria-label]")) {
      const shown = named.textContent.replace(/\\s+/g, " ").trim();
      const name = named.getAttribute("aria-label");
      if (shown && !name.toLowerCase().includes(shown.toLowerCase()))
        named.setAttribute("aria-label", shown + ": " + name);
    }
  };
  document.addEventListener("DOMContentLoaded", tidy);
  // The theme and its icons change buttons once more after that.
  addEventListener("load", () => [0, 300, 1000].forEach((later) => setTimeout(tidy, later)));
})();
"""


def setup(app):
    app.add_js_file(None, body=SCRIPT)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
