import * as core from "./node_modules/cellist/dist/index.js";
import * as rvc from "./node_modules/cellist/dist/rvc/index.js";
import { runSearches } from "./searches.mjs";

self.onmessage = ({ data }) => {
  runSearches({ ...core, ...rvc }, data).then(
    (sums) => self.postMessage(sums),
    (error) => self.postMessage({ error: String(error.stack) }),
  );
};
