// Opens notebooks in a running JupyterLab: node lab.mjs PLAN.json REPORT.json, where the plan is
// {"modules", "chromium", "base": address, "token", "notebooks": [paths], "pictures": folder}
// and the report says of each: its rendered cells, formulas, and what stands there raw.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { browser } from "./chromium.mjs";

const [planned, reported] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(planned, "utf8"));
const MEASURE = readFileSync(new URL("measure.js", import.meta.url), "utf8");
const PATIENCE = { timeout: 120_000 };

function cells() {
  const count = (selector) => document.querySelectorAll(selector).length;
  return { all: count(".jp-MarkdownCell"), rendered: count(".jp-MarkdownCell.jp-mod-rendered") };
}

async function open(page, name) {
  await page.goto(`${plan.base}lab/tree/${name}?token=${plan.token}&reset`, PATIENCE);
  await page.waitForSelector(".jp-Notebook .jp-RenderedMarkdown h1", PATIENCE);
  await page.evaluate("window.jupyterapp?.commands.execute('notebook:expand-all-headings')");
  await page.waitForSelector("mjx-container", { ...PATIENCE, state: "attached" });
  await page.waitForTimeout(3000); // the other cells are rendered one by one
}

async function judge(page, name) {
  await open(page, name);
  await page.screenshot({ path: join(plan.pictures, name.replace(/\W+/g, "-") + ".png") });
  await page.evaluate(MEASURE + "; window.look = look;");
  const maths = await page.evaluate("look.maths()");
  return { notebook: name, cells: await page.evaluate(cells), maths };
}

const chromium = await browser(plan);
const report = [];
for (const name of plan.notebooks) {
  const page = await chromium.newPage({ viewport: { width: 1280, height: 1000 } });
  report.push(await judge(page, name));
  await page.close();
}
writeFileSync(reported, JSON.stringify(report, null, 1));
await chromium.close();
