// Compiles types/*.ts against the packed library by every TypeScript from 5.2 on, as strictly as can be: no library check is skipped, and
// no library is there but what `lib` names.

import { execFile } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const VERSIONS = ["5.2", "5.3", "5.4", "5.5", "5.6", "5.7", "5.8", "5.9", "6"];
/** What npm installs for it. */
export const COMPILERS = VERSIONS.map((version) => `typescript${version}@npm:typescript@${version}`);

const STRICT = {
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: false,
  skipLibCheck: false,
  target: "es2022",
  types: [],
};
/** What is compiled, and how: as for Node, and as for bundlers. */
const PROJECTS = [
  {
    files: ["consumer.ts"],
    compilerOptions: { ...STRICT, module: "nodenext", moduleResolution: "nodenext", lib: ["es2022", "dom"] },
  },
  {
    files: ["using.ts"],
    compilerOptions: {
      ...STRICT,
      module: "esnext",
      moduleResolution: "bundler",
      lib: ["es2022", "dom", "esnext.disposable"],
    },
  },
];

const run = promisify(execFile);

/** What each compiler is called, and the job that compiles by it. */
export function compilations(tools, project) {
  cpSync(fileURLToPath(new URL("types", import.meta.url)), project, { recursive: true });
  const configs = PROJECTS.map((config, i) => {
    writeFileSync(join(project, `tsconfig.${i}.json`), JSON.stringify(config));
    return `tsconfig.${i}.json`;
  });
  return VERSIONS.map((name) => {
    const folder = join(tools, "node_modules", `typescript${name}`);
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const job = async () => {
      for (const config of configs) {
        await run(process.execPath, [join(folder, "bin/tsc"), "-p", config], { cwd: project }).catch((error) => {
          throw new Error(`${config}: ${error.stdout || error.message}`);
        });
      }
    };
    return { title: `TypeScript ${version}`, job };
  });
}
