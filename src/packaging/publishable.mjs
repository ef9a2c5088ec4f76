// What only who publishes can know is filled in, and all say the same version: `npm publish` asks this first, and so can anyone, by
// `node src/packaging/publishable.mjs`. CONTRIBUTING.md says what belongs where.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("../../", import.meta.url)));
const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const [npm, jsr] = [read("package.json"), read("jsr.json")];

const missing = [
  // The registry holds the address in a provenance statement against the one in the package.
  !/^git\+https:\/\/.+\.git$/.test(npm.repository?.url ?? "") &&
    'package.json: "repository": { "type": "git", "url": "git+https://….git" }, which the provenance must match',
  npm.homepage === undefined && 'package.json: "homepage"',
  npm.bugs === undefined && 'package.json: "bugs", the address where faults are reported',
  npm.author === undefined && 'package.json: "author"',
  npm.publishConfig?.provenance !== true && 'package.json: "publishConfig": { "provenance": true }',
  jsr.name.startsWith("@scope/") && 'jsr.json: "name" with a scope of yours in place of @scope',
  jsr.version !== npm.version && `jsr.json: the version is ${jsr.version}, and ${npm.version} in package.json`,
  !readFileSync("CHANGELOG.md", "utf8").includes(`\n## ${npm.version}`) &&
    `CHANGELOG.md: a heading "## ${npm.version}" over what it brings`,
].filter((line) => line !== false);

for (const line of missing) console.error(`✗ ${line}`);
if (missing.length > 0) {
  console.error("Nothing was published: fill in what is missing, see CONTRIBUTING.md");
  process.exitCode = 1;
}
