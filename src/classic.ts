/**
 * What a page without modules gets, one opened from disk for instance: `<script src="cellist.iife.js">` makes the global
 * `cellist`, which has all of "cellist" and, beside it, all of "cellist/rvc" (`cellist.blend`, `cellist.buildVoiceIndex`).
 * esbuild makes that one file of this one (`npm run build:classic`), and makes the name a global where a script is a
 * module, too: in an AudioWorklet, `addModule("cellist.iife.js")` before a processor's own module.
 *
 * @module
 */
export * from "./index.js";
export * from "./rvc/index.js";
