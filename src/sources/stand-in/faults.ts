/** An answer in place of the usual one. Without `status` and `body` it is the usual answer, but cut or delayed. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Encode the body with gzip, whatever the client accepts. */
  gzip?: boolean;
  /** Send only so many bytes of the encoded body, with a `Content-Length` that fits them. */
  truncateTo?: number;
  /** Close the connection half-way through the body. */
  cut?: boolean;
  /** Wait this long before the answer. */
  delayMs?: number;
  /** Do not answer: the connection stays open until the client gives up. */
  hold?: boolean;
}

/** The answers that a stand-in gives before, or in place of, the usual ones. */
export interface Faults {
  /** Queues answers for a name or, with a leading `/`, for every path that begins with the target. */
  add(target: string, answers: Answer[], options?: { repeat?: boolean }): void;
  clear(): void;
  /** The answer to this request, null for the usual one. */
  next(request: { path: string; name: string | null }): Answer | null;
  /** How many requests `failShare` made fail. */
  failed(): number;
}

/** The answers that `failShare` picks from, each equally likely. */
const FAILURES: Answer[] = [
  { status: 500, body: '{"error":"Internal Server Error"}' },
  { status: 429, headers: { 'retry-after': '1' }, body: '{"error":"Too Many Requests"}' },
  { cut: true },
];

/** Makes the faults of one stand-in. `failShare` of all requests fail; which ones depends on `seed` alone. */
export function makeFaults({ failShare = 0, seed = 1 }: { failShare?: number; seed?: number }): Faults {
  const queues = new Map<string, { answers: Answer[]; repeat: boolean }>();
  const coin = makeCoin(seed);
  let failed = 0;

  const nextOf = (target: string): Answer | null => {
    const queue = queues.get(target);
    if (!queue) return null;
    const answer = queue.answers.length === 1 && queue.repeat ? queue.answers[0]! : queue.answers.shift();
    if (queue.answers.length === 0) queues.delete(target);
    return answer ?? null;
  };

  return {
    add(target, answers, { repeat = false } = {}) {
      queues.set(target, { answers: [...answers], repeat });
    },
    clear: () => queues.clear(),
    next({ path, name }) {
      const prefix = [...queues.keys()].find(target => target.startsWith('/') && path.startsWith(target));
      const answer = (name === null ? null : nextOf(name)) ?? (prefix === undefined ? null : nextOf(prefix));
      if (answer || failShare === 0 || coin() >= failShare) return answer;
      failed += 1;
      return FAILURES[Math.floor(coin() * FAILURES.length)]!;
    },
    failed: () => failed,
  };
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function makeCoin(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
