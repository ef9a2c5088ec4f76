/**
 * How the page's scripts are bundled: all of the library, and of Plot what the page draws with.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as d3 from "d3";

const here = fileURLToPath(new URL(".", import.meta.url));

/** What Plot takes of d3 to draw dots, lines, rules and texts over linear and logarithmic axes. */
const USED_OF_D3 =
  "InternSet ascending create creator curveLinear descending extent format group interpolateNumber interpolateRound line max median min \
namespaces pathRound quantile range reverse rollup rollups scaleIdentity scaleLinear scaleLog scalePow select sort sum symbolCircle symbolDiamond \
tickStep ticks".split(" ");

/** What the page does not draw: maps, facets, dates, tips, markers, and other colours than its own. */
const UNUSED =
  /node_modules\/(d3-color\/dist\/.+|@observablehq\/plot\/src\/(marks\/tip|interactions\/pointer|projection|facet|time|marker|scales\/(schemes|diverging|temporal)))\.m?js$/;

/** Legends, of which there are none. */
const LEGENDS = /@observablehq\/plot\/src\/legends\.js$/;

/** Curves that are not drawn, each of which keeps all that it is made of. */
const CURVES = /^(?!Linear\b)\w+\.prototype = \{[^]*?^\};$/gm;

/** A module of functions that make nothing. */
function nothing(names, made = "undefined") {
  return `function none() { return ${made}; }\nexport { ${names.map((name) => `none as ${name}`).join(", ")} };\n`;
}

function exportsOf(path) {
  const text = readFileSync(path, "utf8");
  const listed = /export \{([^}]+)\}/.exec(text)?.[1].split(",") ?? [];
  const declared = Array.from(text.matchAll(/export (?:function|const|class) (\w+)/g), ([, name]) => name);
  return [...listed.map((part) => part.trim().split(" as ").at(-1)), ...declared];
}

/** Plot can't be bundled in parts, being one function: with all of d3 in its wake it is 85 KB gzipped, of which the page uses 40. */
const withoutUnused = {
  name: "without-unused",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^d3$/ }, ({ resolveDir }) => ({ path: resolveDir, namespace: "used-of-d3" }));
    onLoad({ filter: /.*/, namespace: "used-of-d3" }, ({ path }) => {
      const others = Object.keys(d3).filter((name) => !USED_OF_D3.includes(name));
      const real = JSON.stringify(fileURLToPath(import.meta.resolve("d3")));
      return { resolveDir: path, contents: `export { ${USED_OF_D3.join(", ")} } from ${real};\n${nothing(others)}` };
    });
    onLoad({ filter: /d3-shape\.mjs$/ }, ({ path }) => ({ contents: readFileSync(path, "utf8").replace(CURVES, "") }));
    onLoad({ filter: LEGENDS }, ({ path }) => ({ contents: nothing(exportsOf(path), "[]") }));
    onLoad({ filter: UNUSED }, ({ path }) => ({ contents: nothing(exportsOf(path)) }));
  },
};

export const OPTIONS = {
  absWorkingDir: here,
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
  plugins: [withoutUnused],
  write: false,
};
