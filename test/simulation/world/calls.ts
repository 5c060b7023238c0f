/** What is told of a call before it has its effect, and after: `<port>.<method> <subject>`. */
type Hook = (call: string) => void | Promise<void>;

/** A call that is held back until it is let go. */
export interface HeldCall {
  /** Settles once the call has been made. */
  made: Promise<void>;
  release(): void;
}

/** Every call the engine makes out of its object passes here: where it can be failed, held back, or its answer lost. */
export class Calls {
  /** All calls made so far. */
  readonly made: string[] = [];
  /** Calls without an answer yet, those of dead instances too. */
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

  /** Fails matching calls: before they had any effect or, with `answer: 'lost'`, after. Returns what ends it. */
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

  /** Holds the first matching call back before its effect, or its answer after it. */
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

  /** Nothing is disturbed any more. */
  calm(): void {
    this.#before.clear();
    this.#after.clear();
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
        // Nothing is waited for in vain: there are more calls than anything else.
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
