// Which tests run which part of src/: what test/mutate.mjs asks of a fault that it makes there. Runs every test once, with a mark at the
// beginning of each block of src/, and writes it to a file.
//
// Blocks are marked in the source itself, before anything is compiled, so that no map of positions is needed; test/mutate-marks.ts looks
// at the marks around each test. What has not changed since the last time is not asked again.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";
import { createVitest } from "vitest/node";

const root = process.cwd();
const [jobs, out, ...names] = process.argv.slice(2);
const folder = join(root, "build/reach");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
process.env.CELLIST_MARKS = folder;

/** Every block: its file, and where it begins and ends. */
const blocks = [];
const marked = new Map();
for (const name of readdirSync(join(root, "src"), { recursive: true }).sort())
  if (/(?<!\.gen|\.d)\.ts$/.test(name)) marked.set(join(root, "src", name), withMarks(join("src", name)));

const hashOf = (...texts) => createHash("sha256").update(texts.join()).digest("hex");
const helpers = readdirSync(join(root, "test")).filter((name) => /(?<!\.test)\.ts$/.test(name));
const common = hashOf(...marked.values(), ...helpers.map((name) => readFileSync(join(root, "test", name), "utf8")));
const before = existsSync(out) ? JSON.parse(readFileSync(out, "utf8")) : {};
const files = new Map();
for (const name of names) {
  const hash = hashOf(common, readFileSync(join(root, "test", name), "utf8"));
  const known = before.files?.find((file) => file.hash === hash);
  files.set(name, known ?? { name, hash });
}
const vitest = await createVitest(
  "test",
  {
    root,
    watch: false,
    maxWorkers: Number(jobs),
    reporters: [{}],
    testTimeout: 3_600_000,
    hookTimeout: 3_600_000,
    setupFiles: ["test/mutate-marks.ts", "test/setup.ts"],
  },
  { plugins: [{ name: "marks", enforce: "pre", transform: (_, id) => marked.get(id) }] },
);
const asked = [...files.values()].filter(({ marks }) => marks === undefined);
const project = vitest.getRootProject();
const { testModules } = await vitest.runTestSpecifications(
  asked.map(({ name }) => project.createSpecification(join(root, "test", name))),
);
for (const module of testModules) {
  const name = relative(join(root, "test"), module.moduleId);
  for (const { message } of module.errors()) console.error(`${name}: ${message}`);
  for (const { fullName } of module.children.allTests("failed"))
    console.error(`${name} fails without a fault: ${fullName}`);
  const path = join(folder, `${module.task.id}.json`);
  // Where every test is left out, none was marked.
  const marks = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : { load: [], rest: [], tests: [] };
  const passed = new Set([...module.children.allTests("passed")].map(({ id }) => id));
  files.get(name).marks = { ...marks, tests: marks.tests.filter(({ id }) => passed.has(id)) };
}
writeFileSync(out, JSON.stringify({ blocks, files: [...files.values()] }));
await vitest.close();
process.exit();

/** A source with a mark at the beginning of each block and before each expression that is a function's body. */
function withMarks(file) {
  const text = readFileSync(join(root, file), "utf8");
  const inserts = [];
  const mark = (node) => `__marks[${blocks.push({ file, from: node.getStart(tree), to: node.getEnd() }) - 1}] = 1`;
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const visit = (node) => {
    if (ts.isBlock(node)) inserts.push([node.getStart(tree) + 1, `${mark(node)};`]);
    else if (ts.isArrowFunction(node) && !ts.isBlock(node.body))
      inserts.push([node.body.getStart(tree), `(${mark(node.body)}, `], [node.body.getEnd(), ")"]);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  // An end comes before a beginning at the same place, and an outer end behind an inner one.
  const order = inserts.map((insert, i) => [...insert, i]).sort((a, b) => b[0] - a[0] || b[2] - a[2]);
  let code = text;
  for (const [at, what] of order) code = code.slice(0, at) + what + code.slice(at);
  return code;
}
