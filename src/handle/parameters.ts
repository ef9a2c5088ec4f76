import { fail } from "../errors.js";
import { describeTree } from "../indexes/describe.js";
import type { IndexNode, Parameter } from "../indexes/node.js";
import { checkOption } from "./options.js";

// What is kept in an index and set by name, as in faiss: nprobe and its like.

/** The largest whole number that a parameter can be, unless it says less: they are 32-bit. */
const MOST = 0x7fffffff;
/** Faiss' names of the parameters that are properties. */
const NAMES = { nprobe: "nprobe", kFactor: "k_factor_rf", efSearch: "efSearch" } as const;

/** A parameter by faiss' name. Throws ERR_PARAMETER where the index has none of it. */
export function parameterOf(node: IndexNode, name: string): Parameter {
  return (
    node.parameter(name) ??
    fail("ERR_PARAMETER", `could not set or get parameter "${name}": ${describeTree(node.tree)} does not have it`)
  );
}

/** Sets what a text like "nprobe=8,k_factor_rf=4" says: all of it, or nothing where ERR_PARAMETER is thrown. */
export function setParameters(node: IndexNode, text: string): void {
  const changes = text
    .split(/[, ]+/)
    .filter((part) => part !== "")
    .map((part) => {
      const [, name, said] =
        /^(\w+)=(.+)$/.exec(part) ?? fail("ERR_PARAMETER", `could not parse "${part}": write name=value`);
      const parameter = parameterOf(node, name);
      const value = Number(said);
      checkRange(name, parameter, value, said);
      return () => parameter.set(parameter.whole ? Math.floor(value) : value);
    });
  for (const change of changes) change();
}

/** The value of a parameter that is a property; undefined where the index has none of it. */
export function valueOf(node: IndexNode, property: keyof typeof NAMES): number | undefined {
  return node.parameter(NAMES[property])?.get();
}

/** Sets a parameter that is a property. Throws ERR_PARAMETER where the index has none of it, or the value can't be. */
export function assign(node: IndexNode, property: keyof typeof NAMES, value: number | undefined): void {
  const parameter = parameterOf(node, NAMES[property]);
  const number = checkOption(property, value);
  checkRange(property, parameter, number, String(number));
  // A factor as a file keeps it, so that it finds the same when it is read again.
  parameter.set(property === "kFactor" ? Math.fround(number) : number);
}

/** Throws ERR_PARAMETER for a value that a parameter can't have. */
function checkRange(name: string, { min, max }: Parameter, value: number, text: string): void {
  if (value >= min && value <= (max ?? MOST)) return;
  const range = `from ${min} ${max === undefined ? "on" : `to ${max}`}`;
  fail("ERR_PARAMETER", `could not set ${name} to "${text}": give a number ${range}`);
}
