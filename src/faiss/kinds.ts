import type { Metric } from "../api.js";
import type { Reader } from "../format/reader.js";
import { Hierarchy } from "../graph/hierarchy.js";
import { HnswNode } from "../graph/hnsw.js";
import { FlatNode } from "../indexes/flat.js";
import { IdMapNode } from "../indexes/id-map.js";
import { IvfFlatNode } from "../indexes/ivf-flat.js";
import { IvfPqFastScanNode } from "../indexes/ivf-pq-fastscan.js";
import type { NodeReader } from "../indexes/ivf.js";
import type { IndexNode } from "../indexes/node.js";
import { PqFastScanNode } from "../indexes/pq-fastscan.js";
import { RefineNode } from "../indexes/refine.js";
import type { IndexTree } from "../indexes/tree.js";
import { ProductQuantizer } from "../quantizers/product.js";
import { PackedLayout } from "../storage/packed-codes.js";
import type { Engine } from "../wasm/engine.js";

/** What an index is built in: `build` makes the indexes that it wraps. */
export interface Site {
  engine: Engine;
  d: number;
  metric: Metric;
  readonly build: (tree: IndexTree, d?: number) => IndexNode;
}

/** One kind of index: what it is called, how a description and a file ask for it, how it is made. */
export interface Kind {
  /** As a description writes it, for sentences that say what there is. */
  readonly name: string;
  /** What files of it begin with. */
  readonly fourccs: readonly string[];
  /** Whether a tree asks for it, the parts that it wraps left aside. */
  is(tree: IndexTree): boolean;
  /** Makes an empty index of a tree that {@link is} said yes to. */
  build(tree: IndexTree, site: Site): IndexNode;
  /** Reads what follows the fourcc. `nested` reads an index from its fourcc on. */
  read(reader: Reader, engine: Engine, fourcc: string, nested: NodeReader): Promise<IndexNode>;
}

/** A kind whose trees all have one `kind`: the functions are given them as what they are. */
function kind<K extends IndexTree["kind"], T extends IndexTree & { kind: K }>(
  of: K,
  row: Omit<Kind, "is" | "build"> & { is?(tree: T): boolean; build(tree: T, site: Site): IndexNode },
): Kind {
  return {
    ...row,
    is: (tree) => tree.kind === of && (row.is?.(tree as T) ?? true),
    build: (tree, site) => row.build(tree as T, site),
  };
}

/**
 * The one table of what cellist has: the factory, the reader and the sentences of both look here. A new kind of index is a row, and
 * whatever reads and makes it.
 */
export const KINDS: readonly Kind[] = [
  kind("flat", {
    name: "Flat",
    fourccs: ["IxF2", "IxFI", "IxFl"],
    build: (_tree, { engine, d, metric }) => new FlatNode(engine, d, metric),
    read: (reader, engine, fourcc) => FlatNode.read(reader, engine, fourcc),
  }),
  kind("ivf", {
    name: "IVF1024,Flat",
    fourccs: ["IwFl"],
    is: ({ code }) => code.kind === "flat",
    build: ({ coarse, nlist }, { metric, build }) => new IvfFlatNode(build(coarse), nlist, metric),
    read: (reader, engine, _fourcc, nested) => IvfFlatNode.read(reader, engine, nested),
  }),
  kind("pqfs", {
    name: "PQ16x4fs",
    fourccs: ["IPfs"],
    build({ m, bbs }, { engine, d, metric }) {
      return new PqFastScanNode(metric, new ProductQuantizer(engine, d, m, 4), new PackedLayout(m, bbs), engine);
    },
    read: (reader, engine) => PqFastScanNode.read(reader, engine),
  }),
  kind("ivf", {
    name: "IVF1024,PQ16x4fs",
    fourccs: ["IwPf"],
    is: ({ code }) => code.kind === "pqfs",
    build({ coarse, nlist, code }, { engine, d, metric, build }) {
      const { m, bbs, residual } = code as IndexTree & { kind: "pqfs" };
      const quantizer = new ProductQuantizer(engine, d, m, 4);
      return new IvfPqFastScanNode(build(coarse), nlist, metric, quantizer, new PackedLayout(m, bbs), residual);
    },
    read: (reader, engine, _fourcc, nested) => IvfPqFastScanNode.read(reader, engine, nested),
  }),
  kind("hnsw", {
    name: "HNSW32",
    fourccs: ["IHNf"],
    is: ({ storage }) => storage.kind === "flat",
    build: ({ m, storage }, { engine, build }) => new HnswNode(build(storage), Hierarchy.make(engine, m)),
    read: (reader, engine, _fourcc, nested) => HnswNode.read(reader, engine, nested),
  }),
  kind("refine", {
    name: "Flat,RFlat",
    fourccs: ["IxRF"],
    // What re-ranks must number its vectors as they come.
    is: ({ refine }) => refine.kind === "flat" || refine.kind === "pqfs",
    build: ({ base, refine }, { build }) => new RefineNode(build(base), build(refine)),
    read: (reader, engine, _fourcc, nested) => RefineNode.read(reader, engine, nested),
  }),
  kind("idmap", {
    name: "IDMap,Flat",
    fourccs: ["IxMp", "IxM2"],
    build: ({ base, two }, { build }) => new IdMapNode(build(base), two),
    read: (reader, engine, fourcc, nested) => IdMapNode.read(reader, engine, fourcc === "IxM2", nested),
  }),
];

/** faiss' indexes that are known and not in the table, by fourcc: what is said of them. */
export const UNBUILT: Readonly<Record<string, string>> = {
  IxPq: "PQ",
  IxPQ: "PQ",
  IxPo: "PQ",
  IxSQ: "SQ",
  IwSq: "IVF with SQ",
  IwSQ: "IVF with SQ",
  IwPQ: "IVF with PQ",
  IwQR: "IVF with refined PQ",
  IxPT: "a vector transform",
  IHNs: "HNSW with SQ",
  IHNp: "HNSW with PQ",
  IHN2: "HNSW with two-level PQ",
};

/** The indexes that a tree wraps. */
export function partsOf(tree: IndexTree): readonly IndexTree[] {
  switch (tree.kind) {
    case "ivf":
      return [tree.coarse];
    case "hnsw":
      return [tree.storage];
    case "idmap":
    case "transform":
      return [tree.base];
    case "refine":
      return [tree.base, tree.refine];
    default:
      return [];
  }
}

/** What there is, for a sentence: "Flat, IVF1024,Flat …". */
export function knownKinds(): string {
  return KINDS.map(({ name }) => name).join(", ");
}
