// Runs inside a page and says what a reader would see go wrong. It defines `look` and nothing else.
"use strict";
const look = (() => {
  const SCROLLS = new Set(["auto", "scroll"]);
  const CUTS = new Set(["hidden", "clip"]);
  const PICTURES = "canvas, img, svg";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const text = () => document.querySelector("main") ?? document.body;
  const seen = (element) => element.checkVisibility({ visibilityProperty: true });
  const over = (element) => element.scrollWidth - element.clientWidth;

  // Where an element stands, in a few words: its own text, or that of the nearest label.
  function place(element) {
    const words = element.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
    const labelled = element.closest("[id]");
    return `${labelled ? "#" + labelled.id : element.tagName.toLowerCase()}: ${words}`;
  }

  function ancestors(element) {
    const found = [];
    for (let e = element; e && e !== text().parentElement; e = e.parentElement) found.push(e);
    return found;
  }

  const scroller = (element) =>
    ancestors(element).find((e) => SCROLLS.has(getComputedStyle(e).overflowX) && over(e) > 1);

  // Folded answers, hints and cells are read too.
  function unfold() {
    for (const details of all("details")) details.open = true;
    for (const button of all(".toggle-button-hidden")) button.click();
  }

  async function settle() {
    await window.MathJax?.startup?.promise;
    await document.fonts.ready;
    for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  }

  function wide() {
    const root = document.documentElement;
    const parts = all("*", text()).filter((e) => seen(e) && !e.closest("svg *, mjx-container"));
    const beyond = parts.filter((e) => outside(e) && !scroller(e));
    // Only the innermost: what holds it is too wide because of it.
    const inner = beyond.filter((e) => !beyond.some((other) => e !== other && e.contains(other)));
    return { page: Math.max(0, over(root)), parts: inner.map(place) };
  }

  function outside(element) {
    const { left, right, width } = element.getBoundingClientRect();
    return width > 1 && (right > document.documentElement.clientWidth + 1 || left < -1);
  }

  function equations() {
    const drawn = all("mjx-container > svg", text()).filter(seen);
    // A formula in a table that scrolls is a part of the table.
    const scroll = drawn.filter((e) => scroller(e)?.closest(".math, mjx-container"));
    const leave = drawn.filter((e) => !scroller(e) && leaves(e));
    const named = (e) => place(e.closest(".math") ?? e);
    return { count: drawn.length, scroll: scroll.map(named), leave: leave.map(named) };
  }

  // An equation that nothing lets scroll is drawn over its number, or over the end of its column.
  function leaves(drawn) {
    const box = drawn.getBoundingClientRect();
    const column = drawn.closest("p, li, dd, dt, td, th, h1, h2, h3, div").getBoundingClientRect();
    const number = drawn.closest(".math")?.querySelector(".eqno")?.getBoundingClientRect();
    const hit = number && box.right > number.left && box.left < number.right &&
      box.bottom > number.top && box.top < number.bottom;
    return Boolean(hit) || box.right > column.right + 1 || box.left < column.left - 1;
  }

  function kind(element) {
    if (element.closest(".cell_output")) return "output";
    if (element.closest(".cell_input")) return "code";
    if (element.closest("[class*=highlight-]")) return "listing";
    return element.querySelector("table") ? "table" : "other";
  }

  function blocks() {
    const formula = ".math, mjx-container, svg *";
    const ours = all("*", text()).filter((e) => seen(e) && !e.closest(formula));
    const wider = ours.filter((e) => over(e) > 1 && e.clientWidth > 1);
    const told = (e) => `${kind(e)}, ${over(e)} px: ${place(e)}`;
    const style = (e) => getComputedStyle(e).overflowX;
    return {
      count: ours.filter((e) => e.tagName === "PRE").length,
      scroll: wider.filter((e) => SCROLLS.has(style(e))).map(told),
      cut: wider.filter((e) => CUTS.has(style(e)) && !hidden(e)).map(told),
    };
  }

  // What is there for screen readers alone is cut to a pixel on purpose.
  const hidden = (element) => element.closest("[aria-hidden=true], .visually-hidden, .sr-only");

  const NOT_PROSE = "script, style, code, pre, mjx-container, textarea, .cm-editor";
  const RAW = [/\\\(|\\\[|\$\$|\\begin\{/, /^:::/m, /\{[a-z:]+\}`/];

  function maths() {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const raw = [];
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const skipped = node.parentElement.closest(NOT_PROSE);
      if (!skipped && RAW.some((r) => r.test(node.data))) raw.push(place(node.parentElement));
    }
    const unset = all(".math").filter((e) => !e.querySelector("mjx-container")).map(place);
    const errors = all("mjx-merror, [data-mjx-error], [data-mml-node=merror]").map(place);
    return { count: all("mjx-container").length, raw, unset, errors };
  }

  const sliders = () => all("[role=slider], input[type=range]", text()).filter(seen);

  // The pictures that a slider may move: those in the nearest box that holds any.
  function pictures(slider) {
    const own = slider.closest(".slider-container");
    const of = (box) => all(PICTURES, box).filter((e) => !own?.contains(e));
    return of(ancestors(slider).find((box) => of(box).length) ?? text());
  }

  function looks(picture) {
    const drawn = { CANVAS: () => picture.toDataURL(), IMG: () => picture.currentSrc };
    return `${seen(picture)} ${(drawn[picture.tagName] ?? (() => picture.outerHTML))()}`;
  }

  const frame = (slider) => pictures(slider).map(looks).join("\n");

  async function remember(slider) {
    slider.scrollIntoView({ block: "center" });
    slider.focus();
    for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
    slider.before = frame(slider);
  }

  async function moved(slider, patience = 1000) {
    const end = performance.now() + patience;
    while (frame(slider) === slider.before && performance.now() < end) {
      await new Promise(requestAnimationFrame);
    }
    return frame(slider) !== slider.before;
  }

  const named = (slider) =>
    slider.getAttribute("aria-label") ?? place(slider.closest("div, label") ?? slider);

  // Judge as few elements as say the same: letters of equations are drawings that nobody reads
  // aloud, and of the words of a listing one of each colour stands for the others.
  function thin() {
    const known = new Set();
    const again = all(".highlight pre").flatMap((listing) => repeated(listing, known));
    for (const drawing of all("mjx-container > svg")) drawing.replaceChildren();
    for (const word of again) word.replaceWith(word.textContent); // last: a change costs a layout
  }

  function repeated(listing, known) {
    const under = paper(listing);
    return all("span", listing).filter((word) => {
      const drawn = `${under} ${ink(word)}`;
      return !word.firstElementChild && (known.has(drawn) || !known.add(drawn));
    });
  }

  const backgroundOf = (element) => getComputedStyle(element).backgroundColor;
  const paper = (e) => ancestors(e).map(backgroundOf).find((c) => c !== "rgba(0, 0, 0, 0)");

  function ink(word) {
    const { color, backgroundColor, fontSize, fontWeight } = getComputedStyle(word);
    return [color, backgroundColor, fontSize, fontWeight].join(" ");
  }

  // The rules that can find something critical or serious; the others cost as much time again.
  const GRAVE = () => axe._audit.rules.filter((r) => !["minor", "moderate"].includes(r.impact));

  async function axeFindings() {
    const runOnly = { type: "rule", values: GRAVE().filter((r) => r.enabled).map((r) => r.id) };
    const options = { runOnly, resultTypes: ["violations"], preload: false };
    const { violations } = await axe.run(document, options);
    const short = ({ id, impact, nodes, help }) =>
      ({ id, impact, help, count: nodes.length, targets: nodes.slice(0, 4).map(where) });
    return violations.map(short);
  }

  const where = ({ target, html }) => `${target.join(" ")} ${html.slice(0, 120)}`;

  const measure = () => ({
    theme: document.documentElement.dataset.theme ?? "",
    wide: wide(), equations: equations(), blocks: blocks(), maths: maths(),
  });

  return { unfold, settle, measure, maths, sliders, remember, moved, named, thin, axeFindings };
})();
