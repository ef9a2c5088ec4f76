// What somebody's own code may do with each entry. It is compiled against the packed library by every TypeScript that is promised, and
// never run: where a type is not what is said here, it does not compile.

import { CellistError, indexFactory, METRIC_L2, readIndex } from "cellist";
import type { Index, IdType, Labels, ReadOptions, Vectors } from "cellist";
import module from "cellist/cellist.wasm";
import { openRemote } from "cellist/remote";
import { blend, buildVoiceIndex, measureVoice, shrinkVoice, voiceCodec } from "cellist/rvc";
import * as behindWorker from "cellist/worker";

const rows: Vectors = new Float32Array(2 * 64);
const index = await indexFactory(64, "IDMap,Flat", METRIC_L2, { module });
await index.addWithIds(rows, [7, 8]);

// What comes back lies in buffers of its own: it may be sent to a worker, written to a file, put into a Blob.
const { labels, distances } = index.search(rows, 1, { filter: index.filter((id) => id > 7) });
const first: number = labels[0] + distances[0];
const buffers: ArrayBuffer[] = [labels, distances, index.toBytes(), index.reconstruct(7)].map(({ buffer }) => buffer);
const wide: Labels<"int64"> = (await readIndex<"int64">(new Blob(buffers))).search(rows, 1).labels;
const id: bigint = wide[0];

const options: ReadOptions = { codecs: [voiceCodec], onProgress: ({ phase, done, total }) => [phase, done / total] };
const voice: Index = await readIndex(await fetch("alice.voice"), options);
const either: Index<IdType> = Math.random() < 0.5 ? index : voice;
voice.nprobe = (voice.nprobe ?? 1) * 2;
const frames: Float32Array = blend(voice, new Float32Array(16 * 64), { rate: 0.75, k: 8 });
const { index: built, fileName } = await buildVoiceIndex([{ name: "0_0.npy", data: frames }], { version: "v1" });
const { report } = await shrinkVoice(built, { ratio: 8 });
const { settings } = await measureVoice(built);

const other = await behindWorker.indexFactory(64, "Flat");
const found: Float32Array = (await other.search({ data: frames, dims: [1, 16, 64] }, 1)).distances;
const remote = await openRemote(new URL("https://example.org/alice.index"), { cache: "voices" });
const lacking: number = remote.blendNow(frames, { nprobe: 4 });
const code: string = new CellistError("ERR_ID", "").code;
for (const one of [index, voice, built]) one.dispose();

export { code, either, fileName, first, found, id, lacking, report, settings };
