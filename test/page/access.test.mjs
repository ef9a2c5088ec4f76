/**
 * Who the page is for: everybody. axe-core finds nothing to complain about, keys reach everything, and it fits a phone.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { before, describe, test } from "node:test";
import { launch, measured, open, shrunk, voiceFile } from "./harness.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const voice = await voiceFile(6);
const SIZES = [
  { width: 1280, height: 900 },
  { width: 390, height: 844 },
];

describe("access", () => {
  let browser;
  before(async () => (browser = await launch("chromium")));

  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of SIZES) {
      test(`nothing is in the way: ${colorScheme}, ${viewport.width} pixels`, async () => {
        const tab = await open(browser, { colorScheme, viewport });
        await tab.evaluate(axe);
        await check(tab);
        await tab.setInputFiles("#file", { name: "a.pth", mimeType: "", buffer: Buffer.from("a") });
        await tab.waitForSelector("#problem:not(:empty)");
        await check(tab);
        await tab.setInputFiles("#file", voice.path);
        await measured(tab);
        await tab.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
        await check(tab);
        await tab.setInputFiles("#compare input", voice.path);
        await tab.waitForSelector("#compare table");
        await tab.click("#sample");
        await measured(tab, 2);
        await check(tab);
        await tab.context().close();
      });
    }
  }

  test("keys reach everything, and less motion is less", async () => {
    const tab = await open(browser, { reducedMotion: "reduce" });
    await tab.keyboard.press("Tab");
    assert.equal(await tab.evaluate(() => document.activeElement.className), "skip");
    await tab.focus("#sample");
    await tab.keyboard.press("Enter");
    await shrunk(tab);
    const reached = new Set();
    for (let i = 0; i < 40; i++) {
      await tab.keyboard.press("Tab");
      reached.add(await tab.evaluate(() => document.activeElement.id || document.activeElement.textContent));
    }
    for (const id of ["nprobe", "size", "speak", "listen", "mosaic-k", "mosaic-rhythm", "save", "report", "another"]) {
      assert.ok(reached.has(id), `${id} is not reached`);
    }
    // The walk is there at once.
    const length = () => tab.evaluate(() => document.querySelector("#cells path")?.getAttribute("d").length);
    const whole = await length();
    await tab.click("text=Follow the words");
    assert.equal(await length(), whole);
    await tab.context().close();
  });
});

async function check(tab) {
  const { violations } = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  assert.deepEqual(found, []);
  const [scrolled, shown] = await tab.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(scrolled <= shown, `${scrolled} pixels wide in ${shown}`);
}
