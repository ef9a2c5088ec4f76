// Names of one's own for what an index has numbers for.

export class Keys {
  #keys = [];
  #ids = new Map();

  /** The number of a key: a new one, if it has none yet. */
  id(key) {
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.#keys.push(key) - 1;
      this.#ids.set(key, id);
    }
    return id;
  }

  /** The key of a number; undefined for -1, which means that nothing was found. */
  key(id) {
    return this.#keys[id];
  }

  /** To be kept beside the index; `Keys.from` takes it back. */
  toJSON() {
    return this.#keys;
  }

  static from(keys) {
    const made = new Keys();
    for (const key of keys) made.id(key);
    return made;
  }
}
