// A picture of one page: node shot.mjs PLAN.json, where the plan is
// {"modules", "chromium", "url", "width", "height", "theme", "full": the whole page, not the first
//  screen, "at": a CSS selector to scroll to, or "", "out": the file to write}.
import { readFileSync } from "node:fs";
import { browser } from "./chromium.mjs";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const MEASURE = readFileSync(new URL("measure.js", import.meta.url), "utf8");
const chromium = await browser(plan);
const viewport = { width: plan.width, height: plan.height };
const page = await chromium.newPage({ viewport, colorScheme: plan.theme, reducedMotion: "reduce" });
await page.goto(plan.url, { waitUntil: "load" });
await page.waitForURL(/^(?!.*\/index\.html$)/, { timeout: 1000 }).catch(() => {}); // it leads on
await page.evaluate(MEASURE + "; look.settle()");
if (plan.at) await page.evaluate((at) => document.querySelector(at)?.scrollIntoView(), plan.at);
await page.waitForTimeout(500); // widgets and live figures
await page.screenshot({ path: plan.out, fullPage: plan.full });
await chromium.close();
