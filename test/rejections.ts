import { expect } from "vitest";
import { CellistError } from "../dist/index.js";
import type { ErrorCode } from "../dist/index.js";

/** What a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail("nothing was thrown"),
    (error: unknown) => error,
  );
}

/** The code of what a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode> {
  const error = await errorOf(promise);
  if (!(error instanceof CellistError)) throw error;
  return error.code;
}
