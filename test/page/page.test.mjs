/**
 * The page as people use it, in Chromium and in Firefox, opened from disk.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { indexFactory, readIndex } from "cellist";
import { measureVoice, readVoice } from "cellist/rvc";
import { BROWSERS, commandLine, file, launch, measured, open, shrunk, SPEECH, voiceFile, zipOf } from "./harness.mjs";

const voice = await voiceFile();
const small = await voiceFile(6);
const slices = join(SPEECH, "3_feature256");

for (const name of BROWSERS) {
  describe(name, () => {
    let browser;
    before(async () => (browser = await launch(name)));

    /** A page of its own for each test. */
    const on = (title, check) =>
      test(title, async (t) => {
        const tab = await open(browser);
        try {
          await check(tab, t);
          assert.deepEqual(tab.complaints, []);
        } finally {
          await tab.context().close();
        }
      });

    /** WebDriver BiDi, by which Firefox is driven, knows no folders: there the files are chosen one by one. */
    const chooseSlices = (tab) => {
      if (name === "chromium") return tab.setInputFiles("#directory", slices);
      return tab.setInputFiles(
        "#file",
        readdirSync(slices).map((slice) => join(slices, slice)),
      );
    };

    on("the sample opens, and all of it is measured", async (tab) => {
      await tab.click("#sample");
      await measured(tab);
      assert.match(await tab.textContent("#card"), /frames6,6\d\d/);
      assert.match(await tab.textContent(".number"), /^4\d%$/);
      assert.equal(await tab.locator("#cells circle").count(), 171 + 2);
      assert.equal(await tab.getAttribute("#hear #speak", "aria-pressed"), "false");
    });

    on("it answers soon", async (tab, t) => {
      const ready = await tab.evaluate(() => performance.getEntriesByName("ready")[0].startTime);
      await tab.evaluate(() => {
        const shown = () => document.querySelector("#card") !== null && (window.shown ??= performance.now());
        new window.MutationObserver(shown).observe(document.body, { subtree: true, childList: true });
        document.querySelector("#file").addEventListener("change", () => (window.chosen = performance.now()), true);
      });
      await tab.setInputFiles("#file", voice.path);
      await tab.waitForFunction(() => window.shown > 0);
      const card = await tab.evaluate(() => window.shown - window.chosen);
      const size = `${(voice.bytes.length / 1e6).toFixed(1)} MB`;
      t.diagnostic(
        `${name}: buttons answer ${ready.toFixed(0)} ms after the page is asked for; a card of ${size} is there in ${card.toFixed(0)} ms`,
      );
    });

    on("a file that is chosen opens; its number is what the library measures", async (tab) => {
      await tab.setInputFiles("#file", voice.path);
      await measured(tab);
      const { recall, error } = await truth(voice.bytes, 1);
      assert.match(await tab.textContent(".number"), new RegExp(`^${Math.round((1 - recall) * 100)}%$`));
      assert.ok((await tab.textContent("[aria-labelledby=missed]")).includes(`blend error ${error.toFixed(3)}`));
      assert.equal(await tab.locator("#hear .spectrogram").count(), 5);
    });

    on("a dropped file opens, and so does a .zip", async (tab) => {
      await drop(tab, "body", small.name, small.bytes);
      await tab.waitForSelector("#card");
      assert.equal(await tab.textContent("#card .file"), small.name);
      const zip = zipOf({ "model/alice.pth": new Uint8Array(9), [`model/${voice.name}`]: voice.bytes });
      await tab.setInputFiles("#file", file("alice.zip", zip));
      await tab.waitForFunction((title) => document.querySelector("#card .file")?.textContent === title, voice.name);
    });

    on("a voice is built of a folder of slices", async (tab) => {
      await chooseSlices(tab);
      await tab.waitForSelector("#card");
      assert.match(await tab.textContent("#card"), /added_IVF181_Flat_nprobe_1_voice_v1\.index.*frames7,065/);
    });

    on("wrong files are answered in words", async (tab) => {
      const answers = [
        ["alice.pth", new Uint8Array(9), "is the model of a voice, not its index"],
        ["alice.wav", new Uint8Array(9), "is sound"],
        ["alice.rar", new Uint8Array(9), "is an archive of a kind that is not opened here"],
        ["notes.zip", zipOf({ "notes.txt": new Uint8Array(3) }), "There is no .index in “notes.zip”"],
        ["broken.zip", new Uint8Array(99), "can't be unpacked"],
        ["half.index", voice.bytes.subarray(0, voice.bytes.length >> 1), "“half.index” could not be opened"],
        [
          "words.index",
          new TextEncoder().encode("not an index at all, but words"),
          "“words.index” could not be opened",
        ],
        ["empty.index", new Uint8Array(0), "“empty.index” could not be opened"],
        ["row.npy", new TextEncoder().encode("not numpy's"), "No voice can be built of these files"],
      ];
      for (const [title, bytes, words] of answers) {
        await tab.setInputFiles("#file", file(title, bytes));
        await tab.waitForFunction((text) => document.querySelector("#problem").textContent.includes(text), words);
        assert.equal(await tab.isVisible("#voice"), false);
        assert.equal(await tab.isVisible("#work"), false);
      }
      // And the page goes on.
      await tab.setInputFiles("#file", small.path);
      await tab.waitForSelector("#card");
      assert.equal(await tab.textContent("#problem"), "");
    });

    on("voices that are hardly any are shown as well", async (tab) => {
      const tiny = await indexFactory(256, "IVF1,Flat");
      const rows = Float32Array.from({ length: 40 * 256 }, (_, i) => Math.sin(i * i));
      await tiny.train(rows);
      await tiny.add(rows);
      await tab.setInputFiles("#file", file("tiny.index", tiny.toBytes()));
      await shrunk(tab);
      assert.match(
        await tab.textContent("#better"),
        /1\/16 of the size can’t be had of this voice. It has too few frames/,
      );
      assert.equal(await tab.getAttribute("#size", "max"), "3");
      const silence = await indexFactory(256, "Flat");
      await silence.add(new Float32Array(500 * 256));
      await tab.setInputFiles("#file", file("silence.index", silence.toBytes()));
      await measured(tab, 2);
      assert.equal(await tab.textContent(".number"), "0%");
      const coded = await indexFactory(256, "PCA16,IVF4,SQ8");
      await coded.train(rows);
      await coded.add(rows);
      await tab.setInputFiles("#file", file("coded.faiss", coded.toBytes()));
      await measured(tab, 3);
      assert.equal(await tab.getAttribute("#nprobe", "max"), "2");
      assert.match(await tab.textContent("#take"), /coded_nprobe_\d\.index/);
    });

    on("the sliders choose, by keys too, and the choice is what is saved", async (tab) => {
      await tab.setInputFiles("#file", small.path);
      await shrunk(tab);
      await tab.focus("#nprobe");
      await tab.keyboard.press("Home");
      assert.match(await tab.textContent(".outcome"), /This is the file as it is/);
      for (let i = 0; i < 3; i++) await tab.keyboard.press("ArrowRight");
      assert.equal(await tab.getAttribute("#nprobe", "aria-valuetext"), "8");

      const same = await saved(tab);
      assert.equal(same.name, small.name.replace("nprobe_1", "nprobe_8"));
      assert.equal(same.bytes.length, small.bytes.length);
      assert.equal(same.bytes.filter((byte, i) => byte !== small.bytes[i]).length, 1);
      const index = await readIndex(same.bytes);
      assert.equal(index.nprobe, 8);

      for (const ratio of [2, 4, 8, 16]) {
        await tab.focus("#size");
        await tab.keyboard.press("ArrowRight");
        const less = await saved(tab);
        // Centroids and ids are not halved.
        assert.ok(
          less.bytes.length <= (small.bytes.length / ratio) * (ratio === 2 ? 1.05 : 1),
          `${less.bytes.length} bytes`,
        );
        const voiceFile = await readVoice(less.bytes);
        assert.equal(voiceFile.description, ratio === 2 ? "IVF39,SQfp16" : "IVF39,Flat");
        assert.equal(voiceFile.nprobe, 8);
        assert.equal(voiceFile.ntotal, index.ntotal);
        const { error } = await truth(small.bytes, 8, voiceFile);
        const told = /Blend error ([\d.]+) %/.exec(await tab.textContent(".outcome"))[1];
        assert.equal(told, (error * 100).toFixed(error < 0.1 ? 1 : 0));
        if (ratio === 16) file(less.name, less.bytes);
      }
      // What was saved can be dropped again.
      const again = small.name.replace("nprobe_1", "nprobe_8").replace(".index", "_sixteenth.voice");
      await tab.setInputFiles("#file", join(small.path, "..", again));
      await measured(tab, 2);
      assert.match(await tab.textContent("#card"), new RegExp(`${again}.*nprobe8`));
      assert.equal(await tab.locator("#cells circle").count(), 39);
      const plain = await saved(tab, "#plain");
      assert.equal(plain.name, again.replace(".voice", ".index"));
      assert.equal((await readIndex(plain.bytes)).description, "IVF39,Flat");
    });

    const once = name === "chromium" ? on : () => undefined;
    once("the words for the command line make the file that is saved", async (tab) => {
      await tab.setInputFiles("#file", small.path);
      await shrunk(tab);
      const words = () => tab.textContent("#take pre[aria-label='Words for the command line'] code");
      await tab.focus("#nprobe");
      await tab.keyboard.press("Home");
      assert.equal(commandLine(await words(), [small]).size, 1);
      await tab.keyboard.press("End");
      for (let size = 0; size < 5; size++) {
        const { name: title, bytes } = await saved(tab);
        const made = commandLine(await words(), [small]).get(title);
        // New cells are found for numbers of 16 bits; all else comes out byte for byte.
        if (title.endsWith("_half.index")) assert.equal((await readIndex(made)).nprobe, 32);
        else assert.deepEqual(made, bytes, title);
        await tab.focus("#size");
        await tab.keyboard.press("ArrowRight");
      }
      // Whatever a file is called.
      const odd = { name: `--it's "$HOME" \`of\` me!.index`, bytes: small.bytes };
      await tab.setInputFiles("#file", file(odd.name, odd.bytes));
      await measured(tab, 2);
      commandLine(await words(), [odd]);
    });

    on("opening can be cancelled, and another dropped meanwhile", async (tab) => {
      await chooseSlices(tab);
      await tab.click("#cancel");
      assert.equal(await tab.isVisible("#work"), false);
      await workersAre(tab, 0);
      await chooseSlices(tab);
      await tab.setInputFiles("#file", small.path);
      await shrunk(tab);
      assert.equal(await tab.textContent("#card .file"), small.name);
      await workersAre(tab, 1);
    });

    on("two files stand side by side", async (tab) => {
      await tab.setInputFiles("#file", voice.path);
      await tab.waitForSelector("#compare");
      await tab.setInputFiles("#compare input", small.path);
      await tab.waitForSelector("#compare table");
      const told = await tab.textContent("#compare table");
      assert.ok(told.includes(voice.name) && told.includes(small.name), told);
      assert.match(told, /frames7,0651,\d\d\d/);
    });

    on("a report is saved that stands alone", async (tab) => {
      await tab.setInputFiles("#file", voice.path);
      await measured(tab);
      const { bytes } = await saved(tab, "#report");
      const report = new TextDecoder().decode(bytes);
      assert.ok(report.includes(voice.name) && report.includes("</svg>"));
      assert.doesNotMatch(report, /NaN|undefined|<script|\bsrc=/);
    });
  });
}

describe("memory", () => {
  test("it stays flat over 50 drops", async () => {
    const tab = await open(await launch("chromium"));
    const session = await tab.context().newCDPSession(tab);
    await session.send("Performance.enable");
    const held = async () => {
      await session.send("HeapProfiler.collectGarbage");
      const { metrics } = await session.send("Performance.getMetrics");
      return Object.fromEntries(metrics.map((metric) => [metric.name, metric.value]));
    };
    let early;
    for (let drop = 1; drop <= 50; drop++) {
      await tab.setInputFiles("#file", small.path);
      await tab.waitForSelector(".number");
      if (drop === 10) early = await held();
    }
    const late = await held();
    // One for the voice, and one that makes it smaller.
    assert.ok(tab.workers().length <= 2, `${tab.workers().length} workers`);
    assert.ok(
      late.JSHeapUsedSize < early.JSHeapUsedSize + 4e6,
      `${early.JSHeapUsedSize} -> ${late.JSHeapUsedSize} bytes`,
    );
    assert.ok(late.Nodes < early.Nodes * 1.5 + 1000, `${early.Nodes} -> ${late.Nodes} nodes`);
    await tab.context().close();
  });
});

/** What the library measures of a voice, or of a smaller one made of it. */
async function truth(bytes, nprobe, smaller) {
  const index = await readIndex(bytes);
  const { settings } = await measureVoice(smaller ?? index, { truth: index, nprobe: [nprobe] });
  return settings[0];
}

/** Waits until so many workers are left: of an end the browser tells when it comes to it. */
async function workersAre(tab, count) {
  for (let tries = 0; tab.workers().length !== count; tries++) {
    assert.ok(tries < 100, `${tab.workers().length} workers, not ${count}`);
    await tab.waitForTimeout(100);
  }
}

async function drop(tab, selector, title, bytes) {
  const transfer = await tab.evaluateHandle(
    ([fileName, data]) => {
      const made = new DataTransfer();
      made.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], fileName));
      return made;
    },
    [title, Buffer.from(bytes).toString("base64")],
  );
  await tab.dispatchEvent(selector, "drop", { dataTransfer: transfer });
}

/** What a button saves. Playwright is told of downloads by Chromium alone: in Firefox the link that is followed tells. */
async function saved(tab, button = "#save") {
  if (tab.context().browser().browserType().name() === "chromium") {
    const [download] = await Promise.all([tab.waitForEvent("download"), tab.click(button)]);
    return { name: download.suggestedFilename(), bytes: new Uint8Array(readFileSync(await download.path())) };
  }
  await tab.evaluate(() => {
    HTMLAnchorElement.prototype.click = async function () {
      const bytes = new Uint8Array(await (await fetch(this.href)).arrayBuffer());
      window.saved = { name: this.download, bytes: Array.from(bytes, (byte) => String.fromCharCode(byte)).join("") };
    };
    window.saved = undefined;
  });
  await tab.click(button);
  await tab.waitForFunction(() => window.saved !== undefined);
  const { name, bytes } = await tab.evaluate(() => ({ name: window.saved.name, bytes: btoa(window.saved.bytes) }));
  return { name, bytes: new Uint8Array(Buffer.from(bytes, "base64")) };
}
