import { expect } from "vitest";
import type { CellistError, ErrorCode } from "../src/index.js";

/** What is tried: a promise, or a call that throws or gives one. */
type Call = Promise<unknown> | (() => unknown);

/** What a call throws or rejects with, or undefined. */
export async function thrownBy(call: Call): Promise<unknown> {
  try {
    await (typeof call === "function" ? call() : call);
  } catch (error) {
    return error;
  }
  return undefined;
}

/** What a call throws or rejects with, as it must. */
export async function errorOf(call: Call): Promise<unknown> {
  return (await thrownBy(call)) ?? expect.fail("nothing was thrown");
}

/** The same, where it must be the library's own, of what is built or of its source. */
export async function refusalOf(call: Call): Promise<CellistError> {
  const error = await errorOf(call);
  expect(error).toMatchObject({ name: "CellistError" });
  return error as CellistError;
}

/** The code of such an error. */
export async function codeOf(call: Call): Promise<ErrorCode> {
  return (await refusalOf(call)).code;
}
