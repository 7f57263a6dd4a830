// What a reader can do with a table of results: node tables.mjs PLAN.json REPORT.json, where the plan
// is {"modules", "chromium", "url"}. Keys alone are used, as by one who has no mouse.
import { readFileSync, writeFileSync } from "node:fs";
import { browser } from "./chromium.mjs";

const [planned, reported] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(planned, "utf8"));
const chromium = await browser(plan);
const page = await chromium.newPage();
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
await page.goto(plan.url, { waitUntil: "load" });

const state = () =>
  page.evaluate(() => ({
    rows: [...document.querySelectorAll("table.results tbody tr")]
      .filter((row) => row.checkVisibility())
      .map((row) => row.cells[0].textContent),
    sorted: [...document.querySelectorAll("thead th")].map((head) => head.ariaSort),
    focus: document.activeElement.textContent.trim(),
  }));

const report = { before: await state(), presses: {}, boxes: {}, errors };
const heads = await page.locator("table.results thead button").all();
for (const head of heads) {
  const name = await head.textContent();
  await head.focus();
  report.presses[name] = [];
  for (const key of ["Enter", "Space"]) {
    await page.keyboard.press(key);
    report.presses[name].push(await state());
  }
}
for (const box of await page.locator(".results-kinds input").all()) {
  await box.focus();
  const name = (await box.evaluate((input) => input.parentElement.textContent)).trim();
  await page.keyboard.press("Space");
  report.boxes[name] = (await state()).rows;
  await page.keyboard.press("Space");
}
report.after = await state();
await page.evaluate(() => (location.hash = "#second"));
await page.waitForTimeout(100);
report.open = await page.evaluate(() =>
  [...document.querySelectorAll("details.report")].map((fold) => fold.open));
writeFileSync(reported, JSON.stringify(report));
await chromium.close();
