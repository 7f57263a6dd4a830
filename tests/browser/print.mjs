// Prints one file: node print.mjs PLAN.json REPORT.json, where the plan is
// {"modules", "chromium", "url", "out": the PDF to write, "width": pixels between the margins,
//  "pages": {name: page}: what the contents say, "tagged": with bookmarks, and to be read aloud}
// and the report is a list of one: what a reader of the paper would see go wrong.
import { readFileSync, writeFileSync } from "node:fs";
import { browser } from "./chromium.mjs";

const [planned, reported] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(planned, "utf8"));
const MEASURE = readFileSync(new URL("measure.js", import.meta.url), "utf8");
const PATIENCE = { waitUntil: "load", timeout: 120_000 };

// A number takes its place also where it is not known yet, so that the pages stay where they are.
function count(pages) {
  for (const number of document.querySelectorAll(".page-number")) {
    number.textContent = pages[number.dataset.of] ?? "000";
  }
}

// MathJax asks again and again how wide a line may be, and each time the browser lays out all that is
// seen. So one leaf of the book is seen at a time.
async function typeset() {
  const leaves = [...document.querySelectorAll("body > *")];
  const show = (chosen) => leaves.forEach((leaf) => { leaf.hidden = !chosen.includes(leaf); });
  await MathJax.startup.promise;
  await document.fonts.ready;
  for (const leaf of leaves) {
    show([leaf]);
    await MathJax.typesetPromise([leaf]);
    MathJax.typesetClear();
  }
  show(leaves);
}

// What reaches over the margins; the letters of a formula are within its drawing.
function beyond() {
  const edge = document.documentElement.clientWidth + 1;
  const parts = [...document.querySelectorAll("body *:not(svg *, mjx-assistive-mml, mjx-assistive-mml *)")];
  const over = (e) => e.getBoundingClientRect().right > edge || e.scrollWidth > e.clientWidth + 1;
  const boxes = parts.filter((e) => getComputedStyle(e).display !== "inline" && over(e));
  return boxes.map((e) => `${e.closest("[id]")?.id} ${e.tagName}: ${e.textContent.trim().slice(0, 60)}`);
}

const chromium = await browser(plan);
const page = await chromium.newPage({ viewport: { width: plan.width, height: 900 } });
page.setDefaultTimeout(PATIENCE.timeout);
const failed = [];
page.on("requestfailed", (r) => failed.push(`${r.url()}: ${r.failure()?.errorText}`));
page.on("pageerror", (e) => failed.push(String(e)));
await page.emulateMedia({ media: "print" }); // before MathJax looks how wide a line may be
await page.goto(plan.url, PATIENCE);
await page.evaluate(MEASURE + "; window.look = look;");
await page.evaluate(typeset);
await page.evaluate("look.settle()");
await page.evaluate(count, plan.pages);
const seen = { maths: await page.evaluate("look.maths()"), beyond: await page.evaluate(beyond) };
const { out: path, tagged } = plan;
await page.pdf({ path, tagged, outline: tagged, preferCSSPageSize: true, printBackground: true });
writeFileSync(reported, JSON.stringify([{ ...seen, failed }], null, 1));
await chromium.close();
