import { runSearches } from "./searches.mjs";

// Of the classic script, which was added before as a module of its own.
const { cellist } = globalThis;

class Searcher extends AudioWorkletProcessor {
  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      runSearches(cellist, data).then(
        (sums) => this.port.postMessage(sums),
        (error) => this.port.postMessage({ error: String(error.stack) }),
      );
    };
  }

  process() {
    return true;
  }
}

registerProcessor("classic", Searcher);
