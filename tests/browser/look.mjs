// Opens pages in one Chromium and writes down what went wrong on each.
//
// node look.mjs PLAN.json REPORT.json, where the plan is
// {"modules": folder, "chromium": program, "root": folder,
//  "looks": [{"page": "intro.html", "width": 390, "theme": "light", "by": "file" or "http"}]}
// and the report is a list: each look with its findings.
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import { browser, library } from "./chromium.mjs";
import { serve } from "./serve.mjs";

const [planned, reported] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(planned, "utf8"));
const AXE = library(plan).axe;
const MEASURE = readFileSync(new URL("measure.js", import.meta.url), "utf8");
const HEIGHT = 844;

const complaint = (message) => `${message.text()} (${message.location().url})`;

// What the page asks for and what it complains of, from its first byte to its last.
function listen(page, base) {
  const heard = { console: [], foreign: [], failed: [] };
  const local = (url) => url.startsWith(base) || /^(data|blob|about):/.test(url);
  page.on("console", (m) => m.type() === "error" && heard.console.push(complaint(m)));
  page.on("pageerror", (e) => heard.console.push(String(e)));
  page.on("request", (r) => local(r.url()) || heard.foreign.push(r.url()));
  page.on("requestfailed", (r) => heard.failed.push(`${r.url()}: ${r.failure()?.errorText}`));
  page.on("response", (r) => r.status() >= 400 && heard.failed.push(`${r.url()}: ${r.status()}`));
  return heard;
}

// Each slider gets one press of a key; at its end it goes the other way.
async function slide(page) {
  const handle = await page.evaluateHandle("look.sliders()");
  const sliders = [...(await handle.getProperties()).values()];
  const stuck = [];
  for (const slider of sliders) {
    if (!(await moves(page, slider))) stuck.push(await slider.evaluate((s) => look.named(s)));
  }
  return { count: sliders.length, stuck };
}

async function moves(page, slider) {
  for (const key of ["ArrowRight", "ArrowLeft"]) {
    await slider.evaluate((s) => look.remember(s));
    await page.keyboard.press(key);
    if (await slider.evaluate((s) => look.moved(s))) return true;
  }
  return false;
}

// Widgets are drawn after the page has loaded.
async function widgets(page) {
  const drawn = () => {
    const wanted = document.querySelectorAll("script[type$='widget-view+json']").length;
    return document.querySelectorAll(".widget-subarea > *").length >= wanted;
  };
  await page.waitForFunction(drawn, null, { timeout: 10_000 });
}

async function judge(page, look, base) {
  const heard = listen(page, base);
  await page.goto(new URL(look.page, base).href, { waitUntil: "load" });
  await page.evaluate(MEASURE + "; window.look = look;");
  await widgets(page);
  await page.evaluate("look.settle().then(look.unfold).then(look.settle)");
  const measured = await page.evaluate("look.measure()");
  const sliders = await slide(page);
  await page.evaluate(AXE);
  const axe = await page.evaluate("look.thin(); look.axeFindings()");
  return { ...measured, sliders, axe, ...heard };
}

async function open(chromium, look, bases) {
  const start = performance.now();
  const viewport = { width: look.width, height: HEIGHT };
  const screen = { viewport, colorScheme: look.theme, reducedMotion: "reduce" };
  const page = await chromium.newPage(screen);
  try {
    const found = await judge(page, look, bases[look.by]);
    return { look, ...found, seconds: (performance.now() - start) / 1000 };
  } catch (error) {
    return { look, broken: String(error) };
  } finally {
    await page.close();
  }
}

// A few pages at a time; while one loads, another is measured.
async function openAll(chromium, looks, bases) {
  const queue = looks.entries();
  const report = [];
  const work = async () => {
    for (const [i, look] of queue) report[i] = await open(chromium, look, bases);
  };
  await Promise.all(Array.from({ length: Math.min(4, 1 + availableParallelism()) }, work));
  return report;
}

const server = await serve(plan.root);
const chromium = await browser(plan);
const bases = { file: pathToFileURL(plan.root + "/").href, http: server.base };
writeFileSync(reported, JSON.stringify(await openAll(chromium, plan.looks, bases), null, 1));
await chromium.close();
server.close();
