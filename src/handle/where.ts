import { kindOf, what } from "../checks.js";
import { fail } from "../errors.js";
import { toBigInts } from "./input.js";

/** Which ids a filter admits: a description, which goes to a worker as it is but for a predicate. */
export type Where =
  | { kind: "ids"; ids: BigInt64Array }
  | { kind: "range"; from: number | bigint; to: number | bigint }
  | { kind: "predicate"; admits: (id: number | bigint) => unknown }
  | { kind: "not"; of: Where }
  | { kind: "and" | "or"; a: Where; b: Where };

/** Reads what people give to say which ids. ERR_PARAMETER for anything else, ERR_ID for what is no id. */
export function whereOf(given: unknown): Where {
  if (typeof given === "function") return { kind: "predicate", admits: given as (id: number | bigint) => unknown };
  if (Array.isArray(given) || ArrayBuffer.isView(given)) return idsOf(given);
  if (typeof given === "object" && given !== null) {
    if (Symbol.iterator in given) return idsOf([...(given as Iterable<unknown>)]);
    const { from, to } = given as { from?: unknown; to?: unknown };
    if (from !== undefined || to !== undefined) {
      return { kind: "range", from: endOf("from", from, -(2n ** 63n)), to: endOf("to", to, 2n ** 63n) };
    }
  }
  return fail(
    "ERR_PARAMETER",
    `a filter of ${what(given)}: give ids (an array, a typed array, a Set), { from, to }, or a function of an id`,
  );
}

function idsOf(given: unknown): Where {
  const kind = kindOf(given);
  const whole = kind === undefined || /^(?:Big)?(?:Ui|I)nt/.test(kind);
  if (!whole) fail("ERR_ID", `ids are ${what(given)}: give an array of whole numbers`);
  return { kind: "ids", ids: toBigInts(kind === undefined ? (given as number[]) : Array.from(given as Int32Array)) };
}

function endOf(name: string, value: unknown, otherwise: bigint): number | bigint {
  if (value === undefined) return otherwise;
  if (typeof value === "bigint" || (typeof value === "number" && !Number.isNaN(value))) return value;
  return fail("ERR_PARAMETER", `${name} is ${what(value)}: give a number`);
}

/** Whether an id is admitted: a number where ids are 32-bit, else a bigint. */
export function matcherOf(where: Where, wide: boolean): (id: number | bigint) => boolean {
  switch (where.kind) {
    case "ids": {
      const ids = new Set<number | bigint>(wide ? where.ids : Array.from(where.ids, Number));
      return (id) => ids.has(id);
    }
    case "range":
      return (id) => id >= where.from && id < where.to;
    case "predicate":
      return (id) => Boolean(where.admits(id));
    case "not": {
      const of = matcherOf(where.of, wide);
      return (id) => !of(id);
    }
    default: {
      const [a, b] = [matcherOf(where.a, wide), matcherOf(where.b, wide)];
      return where.kind === "and" ? (id) => a(id) && b(id) : (id) => a(id) || b(id);
    }
  }
}
