import type { Metric } from "../api.js";
import { FloatCode } from "../codes/float.js";
import { PackedPqCode } from "../codes/packed-pq.js";
import type { Reader } from "../format/reader.js";
import { Coarse } from "../indexes/coarse.js";
import { IdMapNode } from "../indexes/id-map.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexNode, NodeReader } from "../indexes/node.js";
import { RefineNode } from "../indexes/refine.js";
import type { IndexTree } from "../indexes/tree.js";
import { PackedLayout } from "../lists/layout.js";
import { ProductQuantizer } from "../quantizers/product.js";
import type { Engine } from "../wasm/engine.js";
import { flatFourcc, flatWire, ivfFlatWire, readFlat, readIvfFlat } from "./float-files.js";
import { ivfPackedWire, packedWire, readIvfPacked, readPacked } from "./packed-files.js";

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
export function kind<K extends IndexTree["kind"], T extends IndexTree & { kind: K }>(
  of: K,
  row: Omit<Kind, "is" | "build"> & { is?(tree: T): boolean; build(tree: T, site: Site): IndexNode },
): Kind {
  return {
    ...row,
    is: (tree) => tree.kind === of && (row.is?.(tree as T) ?? true),
    build: (tree, site) => row.build(tree as T, site),
  };
}

type PackedTree = IndexTree & { kind: "pqfs" };

/** Indexes that number their vectors as they come. */
const NUMBERED: ReadonlySet<IndexTree["kind"]> = new Set(["flat", "sq", "pq", "pqfs", "rabitq", "rabitqfs", "eden"]);

function packedCode({ m, bbs, residual }: PackedTree, { engine, d, metric }: Site, isNumbered: boolean): PackedPqCode {
  const quantizer = new ProductQuantizer(engine, d, m, 4);
  return new PackedPqCode(engine, metric, quantizer, new PackedLayout(quantizer, bbs, isNumbered), residual);
}

/**
 * What the core has: the factory and the reader look here first, and in more-kinds.ts for the rest. A new kind of index is a row of one of
 * them, and whatever reads and makes it.
 */
export const KINDS: readonly Kind[] = [
  kind("flat", {
    name: "Flat",
    fourccs: ["IxF2", "IxFI", "IxFl"],
    build: (_tree, { engine, d, metric }) =>
      new ListIndex(new FloatCode(engine, d, metric), undefined, flatWire(flatFourcc(metric))),
    read: (reader, engine, fourcc) => readFlat(reader, engine, fourcc),
  }),
  kind("ivf", {
    name: "IVF1024,Flat",
    fourccs: ["IwFl", "IvFl", "IvFL"],
    is: ({ code }) => code.kind === "flat",
    build: ({ coarse, nlist }, { engine, d, metric, build }) =>
      new ListIndex(new FloatCode(engine, d, metric), new Coarse(build(coarse), nlist), ivfFlatWire),
    read: (reader, engine, fourcc, nested) => readIvfFlat(reader, engine, fourcc, nested),
  }),
  kind("pqfs", {
    name: "PQ16x4fs",
    fourccs: ["IPfs"],
    build(tree, site) {
      const code = packedCode(tree, site, true);
      return new ListIndex(code, undefined, packedWire(code));
    },
    read: (reader, engine) => readPacked(reader, engine),
  }),
  kind("ivf", {
    name: "IVF1024,PQ16x4fs",
    fourccs: ["IwPf"],
    is: ({ code }) => code.kind === "pqfs",
    build({ coarse, nlist, code }, site) {
      const packed = packedCode(code as PackedTree, site, false);
      return new ListIndex(packed, new Coarse(site.build(coarse), nlist), ivfPackedWire(packed));
    },
    read: (reader, engine, _fourcc, nested) => readIvfPacked(reader, engine, nested),
  }),
  kind("refine", {
    name: "Flat,RFlat",
    fourccs: ["IxRF"],
    // What re-ranks must number its vectors as they come.
    is: ({ refine }) => NUMBERED.has(refine.kind),
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
