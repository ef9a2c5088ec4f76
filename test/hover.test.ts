import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  exports: Record<string, string | { types: string }>;
};
const entries = Object.values(exports)
  .map((target) => (typeof target === "string" ? target : target.types))
  .filter((file) => file.endsWith(".d.ts") && !file.endsWith("worker/worker.d.ts"))
  .map((file) => join(root, file));

const program = ts.createProgram(entries, { target: ts.ScriptTarget.ES2022, types: [] });
const checker = program.getTypeChecker();

/** What an editor shows for a name: its description, and an example. */
function lacks(symbol: ts.Symbol): string | undefined {
  const text = ts.displayPartsToString(symbol.getDocumentationComment(checker));
  if (text.length < 5) return "a description";
  return symbol.getJsDocTags(checker).some(({ name }) => name === "example") ? undefined : "an example";
}

/** A name, and those of the members that it declares itself. */
function* named(symbol: ts.Symbol): Generator<[string, ts.Symbol]> {
  yield [symbol.name, symbol];
  const types = [checker.getDeclaredTypeOfSymbol(symbol)];
  if (symbol.flags & ts.SymbolFlags.Class) types.push(checker.getTypeOfSymbol(symbol));
  for (const type of types) {
    if (!(type.flags & ts.TypeFlags.Object) || checker.isArrayType(type)) continue;
    for (const member of type.getProperties()) {
      const [declaration] = member.declarations ?? [];
      if (declaration === undefined || member.name === "prototype") continue;
      if (!declaration.getSourceFile().fileName.includes("/dist/")) continue;
      if (declaration.getText().startsWith("#")) continue;
      yield [`${symbol.name}.${member.name}`, member];
    }
  }
}

test.each(entries.map((file) => [file.slice(root.length + 1), file]))(
  "all that %s exports says what it is and shows how it is used",
  (_, file) => {
    const source = program.getSourceFile(file);
    const module = source && checker.getSymbolAtLocation(source);
    const symbols = module === undefined ? [] : checker.getExportsOfModule(module);
    expect(symbols.length).toBeGreaterThan(0);
    const missing: string[] = [];
    for (const exported of symbols) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      for (const [name, member] of named(symbol)) {
        const what = lacks(member);
        if (what !== undefined) missing.push(`${name} lacks ${what}`);
      }
    }
    expect(missing).toEqual([]);
  },
);
