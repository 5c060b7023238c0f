/** Called before and after the effect of a call, which is named `<port>.<method> <subject>`. */
type Hook = (call: string) => void | Promise<void>;

/** A call that waits until it is released. */
export interface HeldCall {
  /** Resolves when the call has been made. */
  made: Promise<void>;
  release(): void;
}

/** All calls out of the object go through here. A hook can fail a call, hold it back, or lose its answer. */
export class Calls {
  /** All calls made so far. */
  readonly made: string[] = [];
  /** Calls that have no answer yet, those of dead instances included. */
  underWay = 0;
  readonly #before = new Set<Hook>();
  readonly #after = new Set<Hook>();

  before(hook: Hook): () => void {
    this.#before.add(hook);
    return () => this.#before.delete(hook);
  }

  after(hook: Hook): () => void {
    this.#after.add(hook);
    return () => this.#after.delete(hook);
  }

  /** Fails matching calls before their effect or, with `answer: 'lost'`, after it. Call the result to stop. */
  fail(
    pattern: RegExp,
    {
      times = Number.POSITIVE_INFINITY,
      answer = 'none',
      error = new Error('it failed'),
    }: { times?: number; answer?: 'none' | 'lost'; error?: Error } = {},
  ): () => void {
    let left = times;
    const hook = (call: string) => {
      if (!pattern.test(call) || left <= 0) return;
      left -= 1;
      throw error;
    };
    return answer === 'lost' ? this.after(hook) : this.before(hook);
  }

  /** Holds back the first matching call or, with `answer`, its answer. */
  hold(pattern: RegExp, { answer = false } = {}): HeldCall {
    const made = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const off = (answer ? this.after : this.before).call(this, call => {
      if (!pattern.test(call)) return;
      off();
      made.resolve();
      return released.promise;
    });
    return { made: made.promise, release: released.resolve };
  }

  count(pattern: RegExp): number {
    return this.made.filter(call => pattern.test(call)).length;
  }

  async make<T>(call: string, effect: () => T | Promise<T>): Promise<T> {
    this.made.push(call);
    this.underWay += 1;
    try {
      for (const hook of [...this.#before]) {
        const wait = hook(call);
        // Await only a promise: there are more calls than anything else, and each await costs a turn of the loop.
        if (wait) await wait;
      }
      const result = await effect();
      for (const hook of [...this.#after]) {
        const wait = hook(call);
        if (wait) await wait;
      }
      return result;
    } finally {
      this.underWay -= 1;
    }
  }
}
