import type { TransformTree } from "../indexes/tree.js";
import type { Engine } from "../wasm/engine.js";
import { LinearTransform } from "./linear.js";
import { Opq } from "./opq.js";
import { Pca } from "./pca.js";
import { RandomRotation } from "./rotation.js";
import { HadamardRotation, Normalization, Remapping } from "./simple.js";
import type { Transform } from "./transform.js";

/** Makes an untrained transform of vectors of d dimensions. */
export function buildTransform(tree: TransformTree, engine: Engine, d: number): Transform {
  switch (tree.type) {
    case "PCA":
      return Pca.make(engine, d, tree.dout, tree.whiten, tree.rotate);
    case "OPQ":
      return new Opq(engine, d, tree.dout ?? d, tree.m);
    case "RR":
      return new RandomRotation(engine, d, tree.dout ?? d);
    case "HR":
      return new HadamardRotation(engine, d, tree.seed);
    case "L2norm":
      return new Normalization(engine, d);
    case "Pad": {
      const map = Int32Array.from({ length: tree.dout }, (_, to) => (to < d ? to : -1));
      return new Remapping(engine, d, tree.dout, map);
    }
    default:
      // No description gives these: the grammar refuses them.
      return new LinearTransform(engine, d, "dout" in tree ? tree.dout : d);
  }
}
