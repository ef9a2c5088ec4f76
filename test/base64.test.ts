import fc from "fast-check";
import { expect, test } from "vitest";
import { decode, decodeBase64 } from "../src/wasm/base64.js";

test("base64 is decoded as Node does, with the runtime's help and without", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = Buffer.from(bytes).toString("base64");
      expect([...decode(text)]).toEqual([...bytes]);
      expect([...decodeBase64(text)]).toEqual([...bytes]);
    }),
  );
});
