// Does something again and again: never twice at a time, and not while nobody sees the page.

export class Ticker {
  #work;
  #every;
  #timer = null;
  #on = false;
  #busy = false;

  constructor(milliseconds, work) {
    this.#every = milliseconds;
    this.#work = work;
    document.addEventListener("visibilitychange", () => this.#wake());
  }

  start() {
    this.#on = true;
    this.#wake();
  }

  stop() {
    this.#on = false;
    clearTimeout(this.#timer);
  }

  #wake() {
    clearTimeout(this.#timer);
    if (this.#on && !document.hidden && !this.#busy) this.#tick();
  }

  async #tick() {
    this.#busy = true;
    try {
      await this.#work();
    } finally {
      this.#busy = false;
      clearTimeout(this.#timer);
      if (this.#on && !document.hidden) this.#timer = setTimeout(() => this.#wake(), this.#every);
    }
  }
}
