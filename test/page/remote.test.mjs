/** The example of a voice that speaks before it is downloaded, in a browser. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { D } from "../../examples/page/sound/log-mel.js";
import { serve } from "../../examples/remote/serve.mjs";
import { Shaper } from "../../examples/remote/shaper.js";
import { BLOCK, ROW, ROWS } from "../../examples/remote/timing.js";
import { BROWSERS, launch, open, PATIENCE } from "./harness.mjs";

const server = await serve({ mbit: 20 });
after(() => server.close());

for (const name of BROWSERS) {
  test(
    `${name}: the voice is heard before it is there, and is whole in the end`,
    { timeout: 4 * PATIENCE },
    async () => {
      const tab = await open(await launch(name), { address: server.address });
      const figures = (how) =>
        tab.evaluate((which) => ({ ...document.querySelector(`tr[data-how=${which}]`).dataset }), how);
      for (const how of ["layers", "lists", "whole"]) {
        await tab.click(`button[data-how=${how}]`);
        // Whole, a block without a frame that lacks a list, and one that the sound is late or not for.
        await tab.waitForFunction((which) => {
          const { first, resident, size, late } = document.querySelector(`tr[data-how=${which}]`)?.dataset ?? {};
          return first > 0 && resident === size && late !== undefined;
        }, how);
        const { lists, there, frames, lacking, blocks, size } = await figures(how);
        assert.equal(there, how === "whole" ? "0" : lists);
        assert.ok(Number(frames) === ROWS * Number(blocks) && Number(lacking) < Number(frames));
        assert.ok(Number(size) > 1e6);
      }
      await tab.click("button[data-how='']");
      assert.equal(await tab.textContent("[role=status]"), "");
      assert.deepEqual(tab.complaints, []);
    },
  );
}

test("sound whose rows are left as they are comes back as it was, and louder ones make it louder", () => {
  const sound = Float32Array.from({ length: 4 * BLOCK }, (_, i) => 0.3 * Math.sin(i * 0.1) + 0.2 * Math.sin(i * 0.37));
  for (const [change, gain] of [
    [0, 1],
    [1, Math.sqrt(10)],
  ]) {
    const shaper = new Shaper(new Float32Array(D));
    const answers = [];
    for (let at = 0; at + ROW <= sound.length; at += ROW) {
      const block = shaper.push(sound.subarray(at, at + ROW));
      if (block === undefined) continue;
      for (let i = 0; i < block.rows.length; i++) block.rows[i] += change;
      answers.push(...shaper.shape(block));
    }
    assert.equal(answers.length, 3 * BLOCK);
    // What came before the first window is silence.
    for (let i = ROW; i < answers.length; i++) assert.ok(Math.abs(answers[i] - gain * sound[i]) < 1e-3, `sample ${i}`);
  }
});
