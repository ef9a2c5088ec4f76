/**
 * Who the page is for: everybody. axe-core finds nothing to complain about, keys reach everything, and it fits a phone.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import { BROWSERS, file, launch, measured, open, shrunk, voiceFile } from "./harness.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const voice = await voiceFile(6);

/** All that the page can look like: what brings it there, from one to the next. */
const STATES = {
  "nothing is open": () => undefined,
  "something is on its way": (tab) => tab.evaluate(() => (document.getElementById("work").hidden = false)),
  "a wrong file": async (tab) => {
    await tab.setInputFiles("#file", file("a.pth", "a"));
    await tab.waitForSelector("#problem:not(:empty)");
  },
  "a voice, measured": async (tab) => {
    await tab.setInputFiles("#file", voice.path);
    await measured(tab);
  },
  "all that is folded away": (tab) =>
    tab.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true))),
  "all sizes, and the smallest chosen": async (tab) => {
    await shrunk(tab);
    await tab.focus("#size");
    await tab.keyboard.press("End");
  },
  "beside another": async (tab) => {
    await tab.setInputFiles("#compare input", voice.path);
    await tab.waitForSelector("#compare table");
  },
  "beside a wrong file": async (tab) => {
    await tab.setInputFiles("#compare input", file("a.pth", "a"));
    await tab.waitForSelector("#compare [role=alert]:not(:empty)");
  },
  "the sample": async (tab) => {
    await tab.click("#sample");
    await measured(tab, 2);
  },
  "its sound playing": async (tab) => {
    await tab.click("#listen");
    await tab.waitForSelector("#listen[aria-pressed=true]");
  },
  "no sound to play": async (tab) => {
    await tab.setInputFiles("#hear input[type=file]", file("a.wav", "a"));
    await tab.waitForSelector("#hear [role=alert]:not(:empty)");
  },
};

/** Each browser, in both schemes and at both widths. */
const LOOKS = [
  ["chromium", "light", 1280],
  ["chromium", "light", 390],
  ["chromium", "dark", 1280],
  ["chromium", "dark", 390],
  ["firefox", "light", 390],
  ["firefox", "dark", 1280],
];

/** Firefox is told by its preferences what a person prefers, being driven by WebDriver BiDi, which can't. */
function preferring(colorScheme, reducedMotion) {
  return {
    "ui.systemUsesDarkTheme": Number(colorScheme === "dark"),
    "ui.prefersReducedMotion": Number(reducedMotion === "reduce"),
  };
}

describe("access", () => {
  for (const [name, colorScheme, width] of LOOKS) {
    test(`nothing is in the way: ${name}, ${colorScheme}, ${width} pixels`, async () => {
      const browser = await launch(name, { prefs: preferring(colorScheme) });
      const tab = await open(browser, { colorScheme, viewport: { width, height: 850 } });
      assert.ok(
        await tab.evaluate((scheme) => window.matchMedia(`(prefers-color-scheme: ${scheme})`).matches, colorScheme),
      );
      await tab.evaluate(axe);
      for (const [state, reach] of Object.entries(STATES)) {
        await reach(tab);
        await check(tab, state);
      }
      await browser.close();
    });
  }

  for (const name of BROWSERS) {
    test(`keys reach everything, and less motion is less: ${name}`, async () => {
      const browser = await launch(name, { prefs: preferring("light", "reduce") });
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
      const all = [
        "nprobe",
        "size",
        "speak",
        "listen",
        "own",
        "mosaic-k",
        "mosaic-rhythm",
        "save",
        "report",
        "another",
      ];
      for (const id of all) assert.ok(reached.has(id), `${id} is not reached`);
      // The walk is there at once.
      const length = () => tab.evaluate(() => document.querySelector("#cells path")?.getAttribute("d").length);
      const whole = await length();
      await tab.click("text=Follow the words");
      assert.equal(await length(), whole);
      await browser.close();
    });
  }
});

async function check(tab, state) {
  const { violations } = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  assert.deepEqual(found, [], state);
  const [scrolled, shown] = await tab.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(scrolled <= shown, `${state}: ${scrolled} pixels wide in ${shown}`);
}
