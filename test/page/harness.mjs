/**
 * What the tests of the page share: the page, built anew; voices to drop on it; the browsers.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildVoiceIndex } from "cellist/rvc";
import { zipSync } from "fflate";
import { chromium, firefox } from "playwright-core";
import { buildPage } from "../../examples/page/build.mjs";
import { serve } from "../../examples/page/serve.mjs";
import { CHROMIUM, CHROMIUM_FLAGS, FIREFOX, installDebian } from "../browsers.mjs";

/** A page is open, measured, or wrong, within this: it takes seconds, and the machine may be busy. */
export const PATIENCE = 60_000;
/** All is closed within this, in ms, after the tests: it takes a second. */
const GRACE = 30_000;

export const page = await buildPage();
/** The page as it is opened from disk. */
export const ADDRESS = pathToFileURL(page).href;
const CELLIST = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
export const SPEECH = fileURLToPath(new URL("../../bench/speech/", import.meta.url));

const folder = mkdtempSync(join(tmpdir(), "cellist-page-"));
/** What is undone at the end of all tests of a file, the last thing first. A hook that a test registers would end with that test. */
const closers = [() => rmSync(folder, { recursive: true, force: true })];
after(async () => {
  // What does not close, or is not closed, would keep this process for good, and with it whoever waits for it. With the process
  // Playwright's browsers end.
  setTimeout(() => {
    console.error("The tests are over, and something is still open: a browser that does not close, or a server.");
    process.exit(1);
  }, GRACE).unref();
  for (const close of closers.reverse()) await close();
});

/** Writes a file to drop. */
export function file(name, bytes) {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

/** The voice of bench/speech, or a part of it, as a file that RVC would have written. */
export async function voiceFile(slices = 27) {
  const from = join(SPEECH, "3_feature256");
  const data = readdirSync(from)
    .slice(0, slices)
    .map((name) => ({ name, data: readFileSync(join(from, name)) }));
  const { index, fileName } = await buildVoiceIndex(data, { name: `alice${slices}`, version: "v1", seed: 1 });
  const bytes = index.toBytes();
  index.dispose();
  return { name: fileName, bytes, path: file(fileName, bytes) };
}

/** Runs what the page prints for a shell in a folder with these files alone; returns all that is there afterwards, by name. */
export function commandLine(words, files) {
  const place = mkdtempSync(join(folder, "shell-"));
  for (const { name, bytes } of files) writeFileSync(join(place, name), bytes);
  const script = `set -e\nnpx() { shift; "${process.execPath}" "${CELLIST}" "$@"; }\n${words}\n`;
  execFileSync("bash", ["-c", script], { cwd: place, stdio: "pipe", timeout: PATIENCE });
  return new Map(readdirSync(place).map((name) => [name, new Uint8Array(readFileSync(join(place, name)))]));
}

export function zipOf(entries) {
  return zipSync(entries);
}

/** Firefox wants something to play on; a machine without it gets a server that plays to nobody. */
function playToNobody() {
  installDebian("pulseaudio");
  const runtime = mkdtempSync(join(tmpdir(), "cellist-sound-"));
  const env = { ...process.env, XDG_RUNTIME_DIR: runtime, HOME: runtime };
  const modules = ["module-null-sink", "module-native-protocol-unix"].flatMap((name) => ["-L", name]);
  const options = { env, stdio: "ignore", timeout: GRACE, killSignal: "SIGKILL" };
  execFileSync("pulseaudio", ["-n", "--daemonize=yes", "--exit-idle-time=60", ...modules], options);
  closers.push(() => {
    // It may have ended by itself, nothing having been played for a minute.
    spawnSync("pulseaudio", ["--kill"], options);
    rmSync(runtime, { recursive: true, force: true });
  });
  return env;
}

const launchers = {
  async chromium(options = {}) {
    installDebian("chromium");
    const args = [...CHROMIUM_FLAGS, ...(options.args ?? [])];
    return chromium.launch({ executablePath: CHROMIUM, args, timeout: PATIENCE });
  },
  // Debian's Firefox is not Playwright's own build: it is driven by WebDriver BiDi, which Playwright 1.62 speaks as this ESR does.
  async firefox({ prefs } = {}) {
    installDebian("firefox-esr");
    return firefox.launch({
      channel: "moz-firefox",
      executablePath: FIREFOX,
      timeout: PATIENCE,
      env: playToNobody(),
      firefoxUserPrefs: { "media.autoplay.default": 0, ...prefs },
    });
  },
};

export const BROWSERS = Object.keys(launchers);

/** Starts a browser, to be closed after the tests. */
export async function launch(name, options) {
  const browser = await launchers[name](options);
  closers.push(() => browser.close());
  return browser;
}

/** Serves the page until the tests have ended; returns its address. */
export async function served() {
  const { address, close } = await serve(page, 0);
  closers.push(close);
  return address;
}

/** Opens the page; whatever it complains about fails the test. */
export async function open(browser, { address = ADDRESS, ...options } = {}) {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  const tab = await context.newPage();
  tab.setDefaultTimeout(PATIENCE);
  tab.complaints = [];
  tab.on("pageerror", (error) => tab.complaints.push(String(error.stack)));
  tab.on("console", (message) => message.type() === "error" && tab.complaints.push(message.text()));
  await tab.addInitScript(() => {
    window.measured = 0;
    window.levels = [];
    window.shrunk = 0;
    document.addEventListener("measured", () => window.measured++);
    document.addEventListener("shrunk", () => window.shrunk++);
    document.addEventListener("levels", ({ detail }) => window.levels.push(detail));
  });
  await tab.goto(address);
  return tab;
}

/** Waits until a voice was made smaller, too: four times, which is most of what the page does. */
export function shrunk(tab) {
  return tab.waitForFunction(() => window.shrunk > 0, undefined, { timeout: 3 * PATIENCE });
}

/** Waits until so many voices are measured. */
export function measured(tab, voices = 1) {
  return tab.waitForFunction((count) => window.measured >= count, voices);
}
