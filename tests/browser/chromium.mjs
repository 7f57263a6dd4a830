// One headless Chromium that reaches nothing but this machine.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const FLAGS = [
  "--no-sandbox", // the pages are our own, and a root user gets no other
  "--disable-gpu",
  "--disable-background-networking",
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
];

// `modules` is the folder into which `make browser` installs.
export function library({ modules }) {
  const require = createRequire(modules + "/");
  const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  return { chromium: require("playwright-core").chromium, axe };
}

export function browser(plan) {
  return library(plan).chromium.launch({ executablePath: plan.chromium, args: FLAGS });
}
