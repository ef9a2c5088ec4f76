// Search by meaning: documents with string ids, cosine similarity, and only those in one language.
//
//     npm install && npm start -- "how do cats sleep"

import { indexFactory, METRIC_INNER_PRODUCT } from "cellist";
import { D, embed } from "./embed.mjs";
import { Keys } from "./keys.mjs";

const documents = [
  { id: "cats/sleep", language: "en", text: "Cats sleep for most of the day, and dream while they sleep." },
  { id: "cats/food", language: "en", text: "What cats eat: meat, fish, and whatever you eat." },
  { id: "dogs/walk", language: "en", text: "Dogs want a walk in the morning and another in the evening." },
  { id: "katzen/schlaf", language: "de", text: "Katzen schlafen fast den ganzen Tag. How cats sleep, in German." },
  { id: "boats/sail", language: "en", text: "Sailing boats need wind; motor boats need fuel." },
];

// Vectors of length 1: their inner product is the cosine of the angle between them. IDMap takes numbers of our own.
const index = await indexFactory(D, "IDMap,Flat", METRIC_INNER_PRODUCT);
const keys = new Keys();
const byKey = new Map(documents.map((document) => [document.id, document]));
await index.addWithIds(
  await Promise.all(documents.map(({ text }) => embed(text))),
  documents.map(({ id }) => keys.id(id)),
);

// A document has changed: upsert replaces its vector under the same number.
byKey.get("cats/food").text = "What cats eat: meat and fish, never chocolate.";
await index.upsert([await embed(byKey.get("cats/food").text)], [keys.id("cats/food")]);

const question = process.argv[2] ?? "how do cats sleep";
const english = index.filter((id) => byKey.get(keys.key(id)).language === "en");
const { labels, distances } = index.search([await embed(question)], 3, { filter: english });
labels.forEach((label, i) => {
  if (label >= 0) console.log(distances[i].toFixed(3), keys.key(label).padEnd(12), byKey.get(keys.key(label)).text);
});
