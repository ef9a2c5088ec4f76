// A module in CommonJS, which has no other way in than require().

const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const core = require("cellist");
const rvc = require("cellist/rvc");

const file = new Uint8Array(readFileSync(join(__dirname, "vectors.npy")));
void import("./searches.mjs").then(async ({ runSearches }) => {
  console.log(JSON.stringify(await runSearches({ ...core, ...rvc }, file)));
});
