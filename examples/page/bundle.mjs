/**
 * How the page's scripts are bundled: all of the library, and of Plot what the page draws with.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));

/** What Plot takes of d3 to draw dots, lines, rules and texts over linear and logarithmic axes, and what d3's own scales take. */
const USED = {
  d3: "InternSet ascending create creator curveLinear descending extent group interpolateNumber interpolateRound line max median min \
namespaces pathRound quantile range reverse rollup rollups scaleIdentity scaleLinear scaleLog scalePow select sort sum symbolCircle symbolDiamond \
tickStep ticks".split(" "),
  "d3-interpolate": ["interpolateNumber", "interpolateRound", "interpolateNumber as interpolate"],
};

/** What the page does not draw: maps, facets, dates, tips, markers, other colours than its own, and numbers in other words than its own. */
const UNUSED =
  /node_modules\/(d3-(color|format)\/dist\/.+|@observablehq\/plot\/src\/(marks\/tip|interactions\/pointer|projection|facet|time|marker|scales\/(schemes|diverging|temporal)))\.m?js$/;

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

/** Plot can't be bundled in parts, being one function: with all of d3 in its wake it is 85 KB gzipped, of which the page uses 39. */
const withoutUnused = {
  name: "without-unused",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^d3(-interpolate)?$/ }, ({ path, resolveDir }) => ({
      path,
      namespace: "used",
      pluginData: resolveDir,
    }));
    onLoad({ filter: /.*/, namespace: "used" }, async ({ path, pluginData }) => {
      const names = USED[path].map((name) => name.split(" ").at(-1));
      const others = Object.keys(await import(path)).filter((name) => !names.includes(name));
      const real = JSON.stringify(fileURLToPath(import.meta.resolve(path)));
      return {
        resolveDir: pluginData,
        contents: `export { ${USED[path].join(", ")} } from ${real};\n${nothing(others)}`,
      };
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
