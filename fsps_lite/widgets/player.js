// Pictures that Python computed, one for each place of the sliders; drawn here, as vectors.
// The numbers stand beside the picture as JSON: fsps_lite/widgets/frames.py says what they mean.
(function () {
  "use strict";
  const HEIGHT = [190, 330], FONT = 13.5, GAP = 14; // pixels; 13.5 of them are 10 points
  const NONE = 255; // the shade of a cell without a number
  const SVG = "http://www.w3.org/2000/svg";

  function make(tag, attributes, ...children) {
    const vector = /^(svg|g|path|rect|line|text|image)$/.test(tag);
    const node = vector ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== "") node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  // Where a value lies between the ends of an axis: 0 at its first, 1 at its last.
  function share(axis) {
    const scale = axis.log ? Math.log10 : v => v, [first, last] = axis.limits.map(scale);
    return v => (scale(v) - first) / (last - first);
  }

  const colour = hex => `var(--live-${hex.slice(1)},${hex})`; // a dark page may name another
  const stroke = look => `stroke:${colour(look.colour)};stroke-width:${look.width};` +
    `stroke-dasharray:${look.dash || "none"};stroke-opacity:${look.alpha};fill:none;` +
    "stroke-linejoin:round";
  const filling = look => `fill:${colour(look.colour)};fill-opacity:${look.alpha}`;
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));

  function way(x, y) { // a path; null lifts the pen
    let out = "", pen = "M";
    x.forEach((v, i) => {
      if (v === null || y[i] === null) { pen = "M"; return; }
      out += pen + v.toFixed(1) + " " + y[i].toFixed(1);
      pen = "L";
    });
    return out;
  }

  // One function for each kind of mark: what it is on the page, at the places X and Y.
  const MARKS = {
    line: (m, get, X, Y) => make("path", { d: way(get(m.x).map(X), get(m.y).map(Y)), style: stroke(m) }),
    points: (m, get, X, Y) => { // a dot is a line of no length with a round end
      const x = get(m.x), y = get(m.y);
      const d = x.map((v, i) => v === null || y[i] === null ? "" :
        `M${X(v).toFixed(1)} ${Y(y[i]).toFixed(1)}h0`).join("");
      return make("path", { d, style: stroke({ ...m, dash: "" }) + ";stroke-linecap:round" });
    },
    band: (m, get, X, Y) => {
      const x = get(m.x).map(X), low = get(m.low).map(Y), high = get(m.high).map(Y);
      const d = way([...x, ...x.slice().reverse()], [...low, ...high.reverse()]) + "Z";
      return make("path", { d, style: filling(m) });
    },
    bars: (m, get, X, Y) => {
      const [left, right, low, high] = [m.left, m.right, m.low, m.high].map(get);
      const d = left.map((v, i) => `M${X(v)} ${Y(low[i])}H${X(right[i])}V${Y(high[i])}H${X(v)}Z`);
      return make("path", { d: d.join(""), style: filling(m) });
    },
    rule: (m, get, X, Y, w, h) => {
      const ends = m.across ? { x1: 0, x2: w, y1: Y(m.at), y2: Y(m.at) } :
        { x1: X(m.at), x2: X(m.at), y1: 0, y2: h };
      return make("line", { ...ends, style: stroke(m) });
    },
    text: (m, get, X, Y) => make("text", { x: X(m.x), y: Y(m.y), "text-anchor": m.anchor, "dominant-baseline": "middle" }, m.text),
    map: (m, get, X, Y, w, h, spec) => {
      const sharp = Math.min(2, window.devicePixelRatio || 1);
      const canvas = make("canvas", { width: Math.round(w * sharp), height: Math.round(h * sharp) });
      const columns = spots(get(m.x).map(v => X(v) * sharp), canvas.width, m.smooth);
      const rows = spots(get(m.y).map(v => Y(v) * sharp), canvas.height, m.smooth);
      shade(canvas, bytes(m.cells), bytes(spec.scales[m.scale].colours), columns, rows, get(m.x).length - 1);
      return make("image", { href: canvas.toDataURL(), width: w, height: h, preserveAspectRatio: "none" });
    },
  };

  // For each pixel the cells on both sides of its middle, and how far it is on its way between
  // them; one cell alone, if the map is not smooth; nothing, outside.
  function spots(edges, pixels, smooth) {
    const ends = [edges[0], edges[edges.length - 1]].sort((a, b) => a - b), rising = edges[0] < edges[1];
    const middles = edges.slice(1).map((v, k) => (v + edges[k]) / 2), last = middles.length - 1;
    const beyond = (v, at) => rising ? v <= at : v >= at;
    return Array.from({ length: pixels }, (_, p) => {
      const at = p + 0.5;
      if (at < ends[0] || at > ends[1]) return null;
      if (!smooth) return [Math.max(0, edges.findLastIndex(v => beyond(v, at)))].map(k => Math.min(k, last)).flatMap(k => [k, k, 0]);
      const k = middles.findLastIndex(v => beyond(v, at));
      if (k < 0 || k === last) return [Math.max(0, k), Math.max(0, k), 0];
      return [k, k + 1, (at - middles[k]) / (middles[k + 1] - middles[k])];
    });
  }

  function shade(canvas, data, lut, columns, rows, across) {
    const pen = canvas.getContext("2d"), picture = pen.createImageData(canvas.width, canvas.height);
    rows.forEach((row, i) => columns.forEach((column, j) => {
      if (!row || !column) return; // no cell: the paper is seen
      const [top, bottom, down] = row, [left, right, along] = column;
      const four = [data[top * across + left], data[top * across + right], data[bottom * across + left], data[bottom * across + right]];
      const mixed = (1 - down) * ((1 - along) * four[0] + along * four[1]) + down * ((1 - along) * four[2] + along * four[3]);
      const c = 3 * (four.includes(NONE) ? four[0] : Math.round(mixed)), at = 4 * (i * canvas.width + j);
      picture.data.set([lut[c], lut[c + 1], lut[c + 2], 255], at);
    }));
    pen.putImageData(picture, 0, 0);
  }

  // Every second tick, or third, ..., so that no two labels touch.
  function thinned(ticks, place, room) {
    for (let step = 1; ; step++) {
      const kept = ticks.filter((_, i) => i % step === 0);
      const free = kept.every(([v, text], i) => i === 0 ||
        Math.abs(place(v) - place(kept[i - 1][0])) > (room(text) + room(kept[i - 1][1])) / 2);
      if (free || kept.length < 2) return kept;
    }
  }

  function draw(svg, panel, marks, get, spec) {
    const W = Math.max(30, svg.clientWidth), wordy = text => 0.56 * FONT * text.length;
    const long = Math.max(0, ...panel.y.ticks.map(([, text]) => wordy(text)));
    const left = panel.bare ? 1 : (panel.y.label ? 24 : 4) + long + 6;
    const below = panel.bare ? 1 : panel.x.label ? 42 : 24, top = panel.bare ? 1 : 8;
    const right = panel.bare ? 1 : 12, w = Math.max(10, W - left - right);
    const h = panel.bare ? w * panel.ratio :
      Math.min(HEIGHT[1], Math.max(HEIGHT[0], w * panel.ratio));
    const x = share(panel.x), y = share(panel.y);
    const X = v => x(v) * w, Y = v => (1 - y(v)) * h, H = h + top + below;
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
    svg.style.height = H + "px";
    const inner = make("svg", { x: left, y: top, width: w, height: h, overflow: "hidden" },
      ...marks.map(m => MARKS[m.kind](m, get, X, Y, w, h, spec)));
    const outer = panel.bare ? [] : axes(panel, X, Y, left, top, w, h, wordy);
    svg.replaceChildren(inner, ...outer);
  }

  function axes(panel, X, Y, left, top, w, h, wordy) {
    const out = [make("path", { d: `M${left} ${top}V${top + h}H${left + w}`, class: "axis" })];
    for (const [v, text] of thinned(panel.x.ticks, X, t => wordy(t) + 8)) {
      out.push(make("path", { d: `M${left + X(v)} ${top + h}v4`, class: "axis" }));
      const end = X(v) + wordy(text) / 2 > w + 10;
      out.push(make("text", { x: left + (end ? w + 10 : X(v)), y: top + h + 18, "text-anchor": end ? "end" : "middle" }, text));
    }
    for (const [v, text] of thinned(panel.y.ticks, Y, () => FONT + 3)) {
      out.push(make("path", { d: `M${left} ${top + Y(v)}h-4`, class: "axis" }));
      out.push(make("text", { x: left - 7, y: top + Y(v) + 4.5, "text-anchor": "end" }, text));
    }
    out.push(make("text", { x: left + w / 2, y: top + h + 36, "text-anchor": "middle" }, panel.x.label));
    const turn = `translate(13 ${top + h / 2}) rotate(-90)`;
    out.push(make("text", { transform: turn, "text-anchor": "middle" }, panel.y.label));
    return out;
  }

  function legend(spec) {
    const named = spec.legend.map(item => {
      const swatch = make("svg", { width: 30, height: 12, viewBox: "0 0 30 12" });
      const d = item.kind === "points" ? "M15 6h0" : "M1 6H29";
      const width = item.kind === "area" ? 10 : item.kind === "points" ? 7 : item.width;
      swatch.append(make("path", { d, style: stroke({ ...item, width }) + (item.kind === "points" ? ";stroke-linecap:round" : "") }));
      return make("span", {}, swatch, item.name);
    });
    const scales = spec.scales.filter(scale => scale.label).map(scale => {
      const lut = bytes(scale.colours), stops = [];
      for (let k = 0; k < 255; k += 15) stops.push(`rgb(${lut.slice(3 * k, 3 * k + 3).join(" ")})`);
      const bar = make("i", { style: `background:linear-gradient(90deg,${stops})` });
      return make("span", {}, `${scale.label} ${scale.ends[0]}`, bar, scale.ends[1]);
    });
    return make("p", { class: "legend" }, ...named, ...scales);
  }

  function control(spec, changed) {
    const last = spec.labels.length - 1, value = make("span", { "aria-hidden": "true" });
    const input = spec.menu ? make("select", {}, ...spec.labels.map((text, i) => make("option", { value: i }, text))) :
      make("input", { type: "range", min: 0, max: last, step: 1 });
    input.value = spec.start;
    input.addEventListener("input", changed);
    const label = make("label", {}, make("b", {}, spec.name), input, ...(spec.menu ? [] : [value]));
    if (last < 1) input.disabled = true;
    value.style.minWidth = Math.max(...spec.labels.map(text => text.length)) + "ch";
    const show = () => {
      value.textContent = spec.labels[+input.value];
      if (!spec.menu) input.setAttribute("aria-valuetext", spec.labels[+input.value]);
    };
    return { label, input, show, text: () => `${spec.name} = ${spec.labels[+input.value]}` };
  }

  function player(input, changed) { // a button that walks along the slider
    const button = make("button", { type: "button" }, "Play");
    let clock = 0;
    const stop = () => { clearInterval(clock); clock = 0; button.textContent = "Play"; };
    const step = () => {
      if (!button.isConnected || +input.value >= +input.max) return stop();
      input.value = +input.value + 1;
      changed();
    };
    button.addEventListener("click", () => {
      if (clock) return stop();
      if (+input.value >= +input.max) input.value = 0;
      changed();
      button.textContent = "Pause";
      clock = setInterval(step, 500);
    });
    input.addEventListener("input", () => clock && stop());
    return button;
  }

  function mount(root) {
    const spec = JSON.parse(root.querySelector("script").textContent);
    const alt = root.getAttribute("aria-label"), get = i => spec.arrays[i];
    let width = 0;
    const controls = spec.controls.map(c => control(c, () => paint()));
    const form = make("form", {}, ...controls.map(c => c.label));
    form.addEventListener("submit", event => event.preventDefault());
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (controls.length === 1 && !spec.controls[0].menu && spec.frames.length > 3 && !still) {
      form.append(player(controls[0].input, () => paint()));
    }
    const say = make("p", { class: "say", "aria-live": "polite" });
    const panels = spec.panels.map(panel => {
      const title = make("div", { class: "title" }), svg = make("svg", {});
      const row = panel.row ? [make("div", { class: "row" })] : [];
      return { panel, title, svg, row, figure: make("div", { class: "panel" }, title, svg) };
    });
    const picture = make("div", { class: "panels", role: "img" }, ...panels.flatMap(p => [...p.row, p.figure]));
    const bare = spec.panels.every(panel => panel.bare), count = spec.columns;

    function paint() {
      controls.forEach(c => c.show());
      const at = controls.reduce((sum, c, i) => sum * spec.controls[i].labels.length + +c.input.value, 0);
      const frame = spec.frames[at];
      say.textContent = frame.say;
      say.hidden = !frame.say;
      picture.setAttribute("aria-label", [alt, ...controls.map(c => c.text()), frame.say].filter(v => v).join("; "));
      panels.forEach((p, i) => {
        p.title.textContent = frame.panels[i].title;
        p.title.hidden = !spec.titled;
        p.row.forEach(node => { node.textContent = frame.panels[i].row; });
        draw(p.svg, p.panel, frame.panels[i].marks.map(k => spec.marks[k]), get, spec);
      });
    }

    function fit() { // as many panels beside each other as there is room for, in even rows
      if (root.clientWidth === width || !root.clientWidth) return;
      width = root.clientWidth;
      const least = bare ? 46 : 205 + GAP, fits = Math.floor((picture.clientWidth + GAP) / least);
      const room = Math.max(1, Math.min(count, fits));
      picture.style.gridTemplateColumns = `repeat(${Math.ceil(count / Math.ceil(count / room))},minmax(0,1fr))`;
      picture.style.maxWidth = bare ? count * 96 + "px" : "";
      paint();
    }

    // A notebook takes the arrows for its own; here they belong to the slider that has the focus.
    root.addEventListener("keydown", event => event.key !== "Escape" && event.stopPropagation());
    root.replaceChildren(form, say, picture, legend(spec));
    new ResizeObserver(() => requestAnimationFrame(fit)).observe(root);
    fit();
  }

  document.querySelectorAll(".fsps-live[data-live=player]:not([data-ready])").forEach(root => {
    root.dataset.ready = "yes";
    mount(root);
  });
})();
