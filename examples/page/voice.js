/** A voice in a worker of its own. To end the worker is to cancel what it does, and to give back all that it held. */
export class Voice {
  #script;
  #worker;
  #helpers = [];
  #calls = new Map();
  #next = 0;
  #ended = false;
  /** Called with what a block of the mosaic took. */
  onMeter = () => {};

  /** @param {string} script of the worker */
  constructor(script) {
    this.#script = script;
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    this.#worker = new Worker(address);
    URL.revokeObjectURL(address);
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => this.#fail(new Error(event.message || "The worker of this voice has stopped."));
  }

  /** Calls a method of worker/worker.js. Rejects with what it threw; after {@link end} it stays pending for good. */
  call(method, args, onProgress) {
    return this.transfer(method, args, [], onProgress);
  }

  transfer(method, args, transferred, onProgress) {
    return new Promise((resolve, reject) => {
      if (this.#ended) return;
      const id = this.#next++;
      this.#calls.set(id, { resolve, reject, onProgress });
      this.#worker.postMessage({ id, method, args }, transferred);
    });
  }

  /** Another worker for long work, so that this one answers at once; it ends with this one at the latest. */
  helper() {
    const helper = new Voice(this.#script);
    this.#helpers.push(helper);
    if (this.#ended) helper.end();
    return helper;
  }

  end() {
    this.#ended = true;
    for (const helper of this.#helpers) helper.end();
    this.#calls.clear();
    this.#worker.terminate();
  }

  #receive({ id, value, error, progress, meter }) {
    if (this.#ended) return;
    if (meter !== undefined) return this.onMeter(meter);
    const call = this.#calls.get(id);
    if (progress !== undefined) return call?.onProgress?.(progress);
    this.#calls.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(new Error(error));
  }

  #fail(error) {
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }
}
