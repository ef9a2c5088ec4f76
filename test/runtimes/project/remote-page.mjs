// A page with the Cache API. Its address says which folder is its: #http://…

import { openRemote } from "cellist/remote";
import { blend, readVoice } from "cellist/rvc";
import { goOffline, visitRemote } from "./remote.mjs";

const visit = async (again) => {
  const file = new Uint8Array(await (await fetch("/vectors.npy")).arrayBuffer());
  const folder = location.hash.slice(1);
  if (again) await goOffline(folder);
  return visitRemote({ openRemote, blend, readVoice }, folder, file, "voices", again);
};

window.runs = { first: () => visit(false), again: () => visit(true) };
