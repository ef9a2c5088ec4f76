// In the audio thread: what is heard goes into one ring, what is to be said comes out of the other. It waits for nobody.

import { Ring } from "cellist/ring";

class Bridge extends AudioWorkletProcessor {
  constructor({ processorOptions: { heard, spoken } }) {
    super();
    this.heard = new Ring(heard);
    this.spoken = new Ring(spoken);
  }

  process([[input]], [[output]]) {
    if (input !== undefined) this.heard.write(input);
    this.spoken.read(output); // silence where the worker is late
    return true;
  }
}

registerProcessor("bridge", Bridge);
