/** How many values are kept. */
const MOST = 32;

/** Values by name, of which the last ones are kept. */
export class Kept<T> {
  #values = new Map<string, T>();

  find(name: string): T | undefined {
    return this.#values.get(name);
  }

  keep(name: string, value: T): T {
    this.#values.set(name, value);
    const [oldest] = this.#values.keys();
    if (this.#values.size > MOST && oldest !== undefined) this.#values.delete(oldest);
    return value;
  }
}
