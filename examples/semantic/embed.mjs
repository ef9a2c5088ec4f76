// Stands in for a model that makes vectors of texts, so that the example runs at once. A real one is as short:
//
//     import { pipeline } from "@huggingface/transformers";
//     const extract = await pipeline("feature-extraction", "Xenova/all-MiniLM-L6-v2");
//     export const D = 384;
//     export const embed = async (text) => (await extract(text, { pooling: "mean", normalize: true })).data;

export const D = 256;

/** Counts the words of a text, and their beginnings, in D places; of length 1. */
export async function embed(text) {
  const vector = new Float32Array(D);
  for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) {
    vector[place(word)] += 1;
    if (word.length > 4) vector[place(word.slice(0, 4))] += 0.5;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((x) => x / length);
}

function place(word) {
  let hash = 0x811c9dc5;
  for (const character of word) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  return (hash >>> 0) % D;
}
