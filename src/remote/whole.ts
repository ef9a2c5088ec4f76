import { CellistError, fail, makingArrays } from "../errors.js";
import { reasonOf, throwIfAborted } from "../work/pace.js";
import type { Ranges } from "./ranges.js";

/**
 * A file that comes whole, from its first byte to its last, because its server knows no ranges: a part is there once it has come by. The
 * bytes stay until the file is closed.
 */
export class Whole implements Ranges {
  readonly bridge: number = Number.POSITIVE_INFINITY;
  readonly size: number;
  readonly version: string;
  readonly #bytes: Uint8Array;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #there = 0;
  #failure: unknown;
  /** Who waits for more to come. */
  #waiting: (() => void)[] = [];

  private constructor(bytes: Uint8Array, version: string, reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#bytes = bytes;
    this.size = bytes.length;
    this.version = version;
    this.#reader = reader;
  }

  /** Begins to read an answer. Where it does not say how long it is, or is compressed, it is read to its end first. */
  static async open(response: Response, version: string, signal: AbortSignal): Promise<Whole> {
    const { body, headers } = response;
    if (body === null) return fail("ERR_FORMAT", "the answer has no body: check the address");
    const length =
      headers.get("content-encoding") === null ? Number(headers.get("content-length") ?? Number.NaN) : Number.NaN;
    const reader = body.getReader();
    signal.addEventListener("abort", () => void reader.cancel().catch(() => undefined), { once: true });
    if (Number.isSafeInteger(length)) {
      const whole = new Whole(room(length), version, reader);
      void whole.#fill();
      return whole;
    }
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      chunks.push(step.value);
      size += step.value.length;
    }
    throwIfAborted(signal);
    const bytes = room(size);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    const whole = new Whole(bytes, version, reader);
    whole.#there = size;
    return whole;
  }

  async read(from: number, to: number, signal: AbortSignal): Promise<Uint8Array> {
    let stop = (): void => undefined;
    try {
      while (this.#there < to) {
        throwIfAborted(signal);
        if (this.#failure !== undefined) throw this.#failure as Error;
        await new Promise<void>((resolve, reject) => {
          this.#waiting.push(resolve);
          stop = () => reject(reasonOf(signal));
          signal.addEventListener("abort", stop, { once: true });
        }).finally(() => signal.removeEventListener("abort", stop));
      }
      return makingArrays(() => this.#bytes.slice(from, to));
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  close(): void {
    void this.#reader.cancel().catch(() => undefined);
  }

  async #fill(): Promise<void> {
    try {
      for (let step = await this.#reader.read(); !step.done; step = await this.#reader.read()) {
        if (this.#there + step.value.length > this.size)
          throw new Error("it is longer than its Content-Length: have index files served as they are, not compressed");
        this.#bytes.set(step.value, this.#there);
        this.#there += step.value.length;
        this.#wake();
      }
      if (this.#there < this.size) throw new Error("the connection was cut");
    } catch (error) {
      const words = `the download broke off after ${this.#there} of ${this.size} bytes (${String(error)}): open it again`;
      this.#failure = Object.assign(new CellistError("ERR_FORMAT", words), { cause: error });
      this.#wake();
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function room(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch {
    return fail("ERR_MEMORY", `the file has ${bytes} bytes, more than an array holds, and its server knows no ranges`);
  }
}
