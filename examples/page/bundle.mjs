import { fileURLToPath } from "node:url";

/** How the page's scripts are bundled, for esbuild. */
export const OPTIONS = {
  absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  // Node's part of the resampler's glue.
  external: ["module"],
  legalComments: "none",
  logLevel: "warning",
  // The resampler's glue looks for its own address, which a classic script has not; its bytes are given instead.
  logOverride: { "empty-import-meta": "silent", "ignored-bare-import": "silent" },
  write: false,
};
