// A server that answers searches: GET / says what it has, POST /search finds.
//
//     npm install && npm start -- vectors.index     a faiss file; without one, an index of made-up vectors
//     curl -d '{ "vector": [0.1, …], "k": 3 }' http://localhost:8080/search

import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { CellistError, indexFactory, readIndex } from "cellist";

const path = process.argv[2];
const index = path === undefined ? await makeIndex() : await readIndex(createReadStream(path));
index.warmUp({ batch: 1, k: 10 });

// A search takes a fraction of a millisecond here, and others wait for it. Where it takes more, "cellist/worker" has the same index
// in a thread of its own.
const answers = {
  "GET /": () => index,
  "POST /search": async (request) => {
    const { vector, k = 10, nprobe } = await json(request);
    const { labels, distances } = index.search([vector], k, { d: index.d, nprobe });
    return Array.from(labels, (id, i) => ({ id: Number(id), distance: distances[i] })).filter(({ id }) => id >= 0);
  },
};

const server = createServer(async (request, response) => {
  const send = (status, body) =>
    response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
  const answer = answers[`${request.method} ${request.url}`];
  if (answer === undefined) return send(404, { error: "give POST /search" });
  try {
    send(200, await answer(request));
  } catch (error) {
    // What the library says of bad input is meant to be read by whoever sent it.
    if (error instanceof CellistError) send(400, { error: error.message, code: error.code });
    else if (error instanceof SyntaxError) send(400, { error: "the body is no JSON" });
    else throw error;
  }
});
server.listen(Number(process.env.PORT ?? 8080), () =>
  console.log(`http://localhost:${server.address().port}  ${index}`),
);

async function makeIndex() {
  const vectors = new Float32Array(10_000 * 64).map((_, i) => Math.sin(i * 0.37 + Math.floor(i / 64) ** 0.5));
  const made = await indexFactory(64, "IVF100,Flat");
  await made.train(vectors);
  await made.add(vectors);
  made.nprobe = 8;
  return made;
}
