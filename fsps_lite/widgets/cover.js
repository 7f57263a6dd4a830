// Two atoms at -1 and +1, and a measurement y = x + noise: what the truth and three samplers make
// of it, computed on this page. The formulas are the book's; its tests run this file in Node.
(function () {
  "use strict";
  const N = 600, STEPS = 150, SHOWN = 60, NEAR = 0.1; // particles, steps, paths drawn; at an atom

  // The measure p_guess^-2 dM from -1 to 1, by the tanh-sinh rule on [0, 1].
  const GRID = Array.from({ length: 141 }, (_, i) => (i - 70) / 25);
  const NODES = GRID.map(u => 1 / (1 + Math.exp(-Math.PI * Math.sinh(u))));
  const SHARES = GRID.map((u, i) => Math.PI * Math.cosh(u) * NODES[i] * (1 - NODES[i]) / 25);

  function logIntegral(low, high, y, s) { // of exp((M - y)^2 / s^2)
    const logs = NODES.map(u => ((low + (high - low) * u - y) / s) ** 2), top = Math.max(...logs);
    return top + Math.log(logs.reduce((sum, v, i) => sum + SHARES[i] * Math.exp(v - top), 0));
  }

  // The probability h(M, tau) of ending at -1 for PiGDM, whose spread V = 1 / (1 + tau) knows the
  // clock: dh/dtau + C^2 (pull dh/dM + d2h/dM2 / 2) = 0 with C = 1 - M^2, solved backwards from
  // where V has vanished. In u = atanh(M) the noise is even, and in log(tau) the steps are.
  const CELLS = 144, CLOCK = 60, EDGE = Array.from({ length: CELLS }, (_, i) => i);

  function pigdmWeight(y, s) {
    const reach = 6 + Math.log1p(2.5 / (s * s)) / 2, du = 2 * reach / CELLS;
    const M = EDGE.map(i => Math.tanh(-reach + (i + 0.5) * du)), drift = new Float64Array(CELLS);
    const last = Math.log(1e3 / Math.min(1, s) ** 2), first = Math.log(1e-3 * s * s);
    const pull = tau => { // outwards by itself, and towards y by the guidance
      const V = 1 / (1 + tau);
      for (let i = 0; i < CELLS; i++) drift[i] = 2 * du * (M[i] + (1 - M[i] * M[i]) * (y - M[i]) / (s * s + V));
    };
    pull(Math.exp(last));
    let h = standing(drift);
    for (let k = 0; k < CLOCK; k++) {
      const tau = Math.exp(last + (first - last) * (k + 0.5) / CLOCK);
      pull(tau);
      h = earlier(h, drift, tau * (last - first) / CLOCK / (2 * du * du), k < 4 ? 1 : 0.5);
    }
    return h[CELLS / 2];
  }

  function standing(drift) { // h where the pull does not change any more
    const logs = [0], h = [0];
    for (let i = 1; i < CELLS; i++) logs.push(logs[i - 1] - (drift[i - 1] + drift[i]) / 2);
    const top = Math.max(...logs);
    for (let i = CELLS - 1; i >= 0; i--) h.unshift(h[0] + Math.exp(logs[i] - top));
    return Float64Array.from(h, v => v / h[0]);
  }

  // One step back in time: a tridiagonal system by Thomas's algorithm. How often M moves up and
  // down across an edge is exact where the pull stands still (Scharfetter and Gummel).
  const ratio = new Float64Array(CELLS), known = new Float64Array(CELLS);
  function earlier(h, drift, rate, share) {
    const next = h.slice(), often = d => rate * (Math.abs(d) < 1e-9 ? 1 : d / -Math.expm1(-d));
    known[0] = h[0];
    ratio[0] = 0;
    for (let i = 1; i < CELLS; i++) {
      const up = often(drift[i]), down = often(-drift[i - 1]);
      const flow = up * (h[i + 1] - h[i]) - down * (h[i] - h[i - 1]);
      const pivot = 1 + share * (up + down - down * ratio[i - 1]);
      ratio[i] = share * up / pivot;
      known[i] = (h[i] + (1 - share) * flow + share * down * known[i - 1]) / pivot;
    }
    for (let i = CELLS - 1; i > 0; i--) next[i] = known[i] + ratio[i] * next[i + 1];
    return next;
  }

  // Each with its spread V, what it believes of C = Var[x_0 | x_t], and the weight that it gives to
  // the atom at -1 in the limit of small steps.
  const METHODS = [
    { name: "truth", weight: (y, s) => 1 / (1 + Math.exp(2 * y / (s * s))) },
    { name: "DPS", spread: () => 0,
      weight: (y, s) => 1 / (1 + Math.exp(logIntegral(-1, 0, y, s) - logIntegral(0, 1, y, s))) },
    { name: "PiGDM", spread: (C, tau) => 1 / (1 + tau),
      weight: pigdmWeight },
    { name: "TMPD", spread: C => C,
      weight: (y, s) => { const b = Math.hypot(1, s); return 1 / (1 + Math.exp(2 * y / b * Math.log((b + 1) / s))); } },
  ];

  // The schedule VP(0.01, 20) and its times, even in log-SNR from t = 1 to t = 1e-3.
  const logAlphaBar = t => -0.01 * t - 19.99 * t * t / 2;
  const logSnr = t => logAlphaBar(t) - Math.log(-Math.expm1(logAlphaBar(t)));
  const GRID_T = Array.from({ length: STEPS + 1 }, (_, k) => {
    const rise = logSnr(1) + (logSnr(1e-3) - logSnr(1)) * k / STEPS, loss = Math.log1p(Math.exp(-rise));
    const t = 2 * loss / (0.01 + Math.sqrt(1e-4 + 2 * 19.99 * loss));
    return { t, alpha: Math.exp(-loss / 2), variance: -Math.expm1(-loss), tau: Math.exp(rise) };
  });

  // E[x_0 | x_t, y] as a sampler believes it: exact for the truth, otherwise a Kalman update.
  function guided(method, x, now, y, s) {
    const place = now.alpha * x / now.variance;
    if (!method.spread) return Math.tanh(place + y / (s * s));
    const m = Math.tanh(place), C = 1 - m * m;
    return m + C * (y - m) / (method.spread(C, now.tau) + s * s);
  }

  function run(method, y, s, z) { // ancestral steps; every sampler gets the same noise z
    const x = new Float64Array(N), paths = new Float32Array(SHOWN * (STEPS + 1));
    for (let i = 0; i < N; i++) x[i] = Math.sqrt(GRID_T[0].variance) * z[i];
    for (let i = 0; i < SHOWN; i++) paths[i] = x[i];
    for (let k = 0; k < STEPS; k++) {
      const now = GRID_T[k], then = GRID_T[k + 1], fresh = then.variance * (1 - now.tau / then.tau);
      const kept = Math.sqrt((then.variance - fresh) / now.variance), root = Math.sqrt(fresh);
      for (let i = 0; i < N; i++) {
        const m = guided(method, x[i], now, y, s);
        x[i] = then.alpha * m + kept * (x[i] - now.alpha * m) + root * z[(k + 1) * N + i];
      }
      for (let i = 0; i < SHOWN; i++) paths[(k + 1) * SHOWN + i] = x[i];
    }
    return { x, paths, left: x.filter(v => v < 0).length / N, stray: stray(x) };
  }

  // How many ended at no atom: between them, or nowhere, if a sampler diverged.
  const stray = x => x.filter(v => !(Math.abs(Math.abs(v) - 1) < NEAR)).length;

  function normals(count, seed) { // mulberry32, then Box and Muller
    let a = seed >>> 0;
    const uniform = () => {
      a = a + 0x6D2B79F5 | 0;
      let t = Math.imul(a ^ a >>> 15, 1 | a);
      t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
      return ((t ^ t >>> 14) >>> 0) / 4294967296;
    };
    const out = new Float64Array(count);
    for (let i = 0; i < count; i += 2) {
      const r = Math.sqrt(-2 * Math.log(1 - uniform())), angle = 2 * Math.PI * uniform();
      out[i] = r * Math.cos(angle);
      if (i + 1 < count) out[i + 1] = r * Math.sin(angle);
    }
    return out;
  }

  if (typeof document === "undefined") { // a test in Node
    module.exports = { METHODS, GRID_T, N, STEPS, guided, run, stray, normals };
    return;
  }

  // Those of the methods in all figures (looks.py), and those of the two atoms.
  const COLOURS = ["000000", "d55e00", "0072b2", "009e73"], DASHES = ["", "7 4", "9 3 2 3", ""], ATOMS = ["e69f00", "56b4e9"];
  const line = i => `stroke="var(--live-${COLOURS[i]},#${COLOURS[i]})" stroke-width="${i ? 2.2 : 3}" stroke-dasharray="${DASHES[i]}" fill="none"`;
  const percent = v => (100 * v).toFixed(v > 0.0995 && v < 0.9005 ? 0 : 1) + " %";
  const signed = v => v.toFixed(2).replace("-", "−");

  const PAGE = `<form>
    <label><b>measurement y</b><input type="range" min="-1.5" max="1.5" step="0.05"><span aria-hidden="true"></span></label>
    <label><b>noise_std</b><input type="range" min="0.1" max="1.5" step="0.05"><span aria-hidden="true"></span></label>
    <span><button type="button">Run</button> <button type="button">Other particles</button></span></form>
    <div class="panels" style="grid-template-columns:repeat(auto-fit,minmax(min(100%,19rem),1fr))">
    <div class="panel"><div class="title">The weight of the atom at −1, for each y</div><svg role="img"></svg></div>
    <div class="panels" style="grid-template-columns:1fr 1fr">${METHODS.map((m, i) => `<figure class="panel">
    <div class="title"><svg width="30" height="12" style="display:inline-block;width:30px;height:12px" aria-hidden="true"><path d="M1 6H29" ${line(i)}/></svg> ${m.name} <span></span></div>
    <canvas role="img" style="display:block;width:100%;height:118px"></canvas></figure>`).join("")}</div></div>
    <p class="say" aria-live="polite" style="min-height:4.3em"></p>`;

  function mount(root) {
    const spec = JSON.parse(root.querySelector("script").textContent);
    root.innerHTML = PAGE;
    const find = (q, i = 0) => root.querySelectorAll(q)[i], form = find("form"), svg = find("svg");
    const [ys, ss] = root.querySelectorAll("input"), [play, again] = root.querySelectorAll("button");
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const FROM = 45; // before this step there is only noise to see
    let seed = spec.seed, z = normals(N * (STEPS + 1), seed), runs = [], weights = [], clock = 0, asked = false;
    ys.value = spec.y;
    ss.value = spec.noise_std;
    play.hidden = still;

    let noise = 0, lines = [];
    const HALF = Array.from({ length: 21 }, (_, i) => i * 0.075); // the other half mirrors it
    function curves(s) {
      if (noise !== s) lines = METHODS.map(m => HALF.map(v => m.weight(v, s)));
      noise = s;
      return lines.map(w => [...w.slice(1).reverse().map(v => 1 - v), ...w]);
    }

    function chart(y, s) {
      const W = Math.max(240, svg.clientWidth), H = 262, X = v => 48 + (v + 1.5) / 3 * (W - 60), Y = w => 216 - w * 206;
      const all = curves(s);
      let out = `<path class="axis" d="M48 10V216H${W - 12}"/>`;
      for (const w of [0, 0.5, 1]) out += `<text x="42" y="${Y(w) + 5}" text-anchor="end">${100 * w} %</text>`;
      for (const v of [-1, 0, 1]) out += `<text x="${X(v)}" y="234" text-anchor="middle">${String(v).replace("-", "−")}</text>`;
      out += `<text x="${X(0)}" y="254" text-anchor="middle">y</text><path class="axis" stroke-dasharray="3 3" d="M${X(y)} 10V216"/>`;
      METHODS.forEach((_, i) => {
        const points = all[i].map((w, k) => `${X(k * 0.075 - 1.5).toFixed(1)},${Y(w).toFixed(1)}`).join(" ");
        out += `<polyline points="${points}" ${line(i)}/><circle cx="${X(y)}" cy="${Y(weights[i])}" r="4.5" style="fill:var(--live-${COLOURS[i]},#${COLOURS[i]})"/>`;
      });
      svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
      svg.style.height = H + "px";
      svg.innerHTML = out;
    }

    function panel(canvas, run, weight, upTo) {
      const sharp = window.devicePixelRatio || 1, W = canvas.clientWidth, H = canvas.clientHeight;
      const pen = canvas.getContext("2d"), style = getComputedStyle(root);
      const shade = i => style.getPropertyValue(`--live-${ATOMS[i]}`).trim() || "#" + ATOMS[i];
      canvas.width = W * sharp;
      canvas.height = H * sharp;
      pen.scale(sharp, sharp);
      const Y = v => H / 2 - Math.max(-2.6, Math.min(2.6, v)) * H / 5.4, X = k => (W - 62) * (k - FROM) / (STEPS - FROM);
      pen.globalAlpha = 0.45;
      pen.lineWidth = 0.9;
      for (let i = 0; i < SHOWN; i++) {
        pen.strokeStyle = shade(run.paths[STEPS * SHOWN + i] < 0 ? 1 : 0);
        pen.beginPath();
        for (let k = FROM; k <= upTo; k++) pen.lineTo(X(k), Y(run.paths[k * SHOWN + i]));
        pen.stroke();
      }
      pen.globalAlpha = 1;
      pen.font = "13.5px system-ui,sans-serif";
      for (const [v, share] of [[1, 1 - weight], [-1, weight]]) { // the particles' weights as bars
        pen.fillStyle = style.color;
        pen.fillText(v < 0 ? "−1" : "+1", W - 58, Y(v) - 10);
        pen.fillStyle = shade(v < 0 ? 1 : 0);
        pen.fillRect(W - 58, Y(v) - 6, Math.max(1, 57 * share), 12);
      }
    }

    const paint = upTo => root.querySelectorAll("canvas").forEach((canvas, i) => panel(canvas, runs[i], runs[i].left, upTo));

    function judged(i) {
      const odds = w => Math.log(Math.max(w, 1e-9) / Math.max(1 - w, 1e-9)), off = odds(weights[i]) - odds(weights[0]);
      return Math.abs(weights[i] - weights[0]) < 0.01 && Math.abs(off) < 0.25 || Math.abs(off) < 0.1 ? "about right" : off > 0 ? "too much" : "too little";
    }

    function said() {
      const one = (m, i) => `${m.name} says ${percent(weights[i])} (${judged(i)})`;
      const lost = METHODS.map((m, i) => runs[i].stray ? `${runs[i].stray} of ${m.name}'s ${N}` : "").filter(v => v);
      return `The truth: ${percent(weights[0])} that the signal was −1. ` + METHODS.map(one).slice(1).join(", ") + "." +
        (lost.length ? ` Not at an atom ended ${lost.join(", ")}: there is no signal there, and more steps would bring them home.` : "");
    }

    function update() {
      asked = false;
      stop();
      const began = performance.now(), y = +ys.value, s = +ss.value;
      weights = METHODS.map(m => m.weight(y, s));
      runs = METHODS.map(m => run(m, y, s, z));
      [ys, ss].forEach((input, i) => {
        find("label span", i).textContent = signed(+input.value);
        input.setAttribute("aria-valuetext", signed(+input.value));
      });
      chart(y, s);
      paint(STEPS);
      METHODS.forEach((m, i) => {
        find(".title span", i).textContent = percent(weights[i]);
        find("canvas", i).setAttribute("aria-label", `${m.name}: of ${N} particles ${percent(runs[i].left)} end at −1, for ever smaller steps ${percent(weights[i])}`);
      });
      svg.setAttribute("aria-label", "The weight of the atom at −1 against y; here " + METHODS.map((m, i) => `${m.name} ${percent(weights[i])}`).join(", "));
      find(".say").textContent = said();
      root.dataset.took = Math.round(performance.now() - began);
    }

    const later = () => { if (!asked) { asked = true; requestAnimationFrame(update); } };
    function stop() { cancelAnimationFrame(clock); clock = 0; }
    function walk() {
      stop();
      const began = performance.now(), tick = now => {
        const k = Math.min(STEPS, FROM + Math.round((now - began) / 2500 * (STEPS - FROM)));
        paint(k);
        clock = k < STEPS && root.isConnected ? requestAnimationFrame(tick) : 0;
      };
      clock = requestAnimationFrame(tick);
    }

    // A notebook takes the arrows for its own; here they belong to the slider that has the focus.
    root.addEventListener("keydown", event => event.key !== "Escape" && event.stopPropagation());
    form.addEventListener("input", later);
    form.addEventListener("submit", event => event.preventDefault());
    play.addEventListener("click", walk);
    again.addEventListener("click", () => { seed += 1; z = normals(N * (STEPS + 1), seed); later(); });
    const theme = new MutationObserver(later), attributeFilter = ["data-theme", "data-jp-theme-light"];
    [document.documentElement, document.body].forEach(node => theme.observe(node, { attributeFilter }));
    let width = 0;
    new ResizeObserver(() => { if (root.clientWidth && root.clientWidth !== width) { width = root.clientWidth; later(); } }).observe(root);
    update();
  }

  document.querySelectorAll(".fsps-live[data-live=cover]:not([data-ready])").forEach(root => {
    root.dataset.ready = "yes";
    mount(root);
  });
})();
