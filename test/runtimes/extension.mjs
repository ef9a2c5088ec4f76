// Makes an extension of Chromium (Manifest V3) whose service worker imports the packed library, by Vite and by esbuild.

import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("extension", import.meta.url));

/** Bundles it into a folder of the project, and returns the folder; `bundlers` take options of esbuild, and a configuration of Vite. */
export async function makeExtension(project, name, { esbuild, vite }) {
  const folder = join(project, `extension-${name}`);
  mkdirSync(folder, { recursive: true });
  cpSync(SOURCE, join(project, "extension"), { recursive: true });
  cpSync(join(SOURCE, "manifest.json"), join(folder, "manifest.json"));
  cpSync(join(project, "vectors.npy"), join(folder, "vectors.npy"));
  const entry = "extension/service-worker.js";
  if (name === "esbuild")
    await esbuild({ entryPoints: [entry], format: "esm", outfile: join(folder, "service-worker.js") });
  else
    await vite({
      build: {
        outDir: folder,
        emptyOutDir: false,
        lib: { entry, formats: ["es"], fileName: "service-worker" },
      },
    });
  return folder;
}

/** What the searches in its service worker give. */
export async function searchInExtension(browser, folder) {
  const id = await browser.installExtension(folder);
  try {
    const worker = await started(browser, id);
    const result = await worker.evaluate(() =>
      self.searches().catch((error) => ({ error: `${error}\n${error.stack}` })),
    );
    if (result.error !== undefined) throw new Error(result.error);
    return result;
  } finally {
    await browser.uninstallExtension(id);
  }
}

/** The service worker, once its script has run: before, it can be found, but not asked. */
async function started(browser, id) {
  const filter = (target) => target.type() === "service_worker" && target.url().includes(id);
  for (let i = 0; i < 50; i++) {
    const target = await browser.waitForTarget(filter, { timeout: 20_000 });
    const worker = await target.worker();
    const ready = await worker?.evaluate(() => typeof self.searches === "function").catch(() => false);
    if (ready) return worker;
    await sleep(200);
  }
  throw new Error("the service worker's script did not run");
}
