/** A person of a commit, as the commit itself names them. */
export interface GitPerson {
  name: string;
  email: string;
  /** ISO 8601, as the API shows it. */
  date: string;
}

export interface Commit {
  sha: string;
  parents: string[];
  author: GitPerson | null;
  committer: GitPerson | null;
  message: string;
  signed: boolean;
  /** Length of the patch of the one file that it changes. */
  patchBytes: number;
}

/** The objects of a repository. Forks share them. What no branch reaches stays, as on GitHub. */
export type Objects = Map<string, Commit>;

/** How two commits relate: `ahead` are the commits of `head` that `base` does not reach, oldest first. */
export interface Comparison {
  mergeBase: string;
  ahead: string[];
  behind: number;
}

/** Histories kept for each repository, because clients page through them. */
const HISTORIES_MAX = 8;

const histories = new WeakMap<Objects, Map<string, string[]>>();

/** The commits that one reaches, itself included, in the order of `git log`: newest committer date first. */
export function historyOf(objects: Objects, head: string): string[] {
  const kept = histories.get(objects) ?? new Map<string, string[]>();
  histories.set(objects, kept);
  const known = kept.get(head);
  if (known) return known;
  const history = walk(objects, head);
  if (kept.size >= HISTORIES_MAX) kept.delete(kept.keys().next().value!);
  kept.set(head, history);
  return history;
}

/** Forgets what was kept, because objects were removed. */
export function forgetHistories(objects: Objects): void {
  histories.delete(objects);
}

/** Null when the two have no common ancestor. */
export function compare(objects: Objects, base: string, head: string): Comparison | null {
  const ofHead = historyOf(objects, head);
  const baseSet = new Set(historyOf(objects, base));
  const common = ofHead.filter(sha => baseSet.has(sha));
  // A best common ancestor is one that no other common ancestor descends from.
  const older = new Set(common.flatMap(sha => objects.get(sha)!.parents));
  const mergeBase = common.find(sha => !older.has(sha));
  if (mergeBase === undefined) return null;
  const ahead = ofHead.filter(sha => !baseSet.has(sha)).reverse();
  return { mergeBase, ahead, behind: baseSet.size - common.length };
}

function walk(objects: Objects, head: string): string[] {
  const seen = new Set([head]);
  const next = new NewestFirst();
  const history: string[] = [];
  next.push(head, dateOf(objects, head));
  for (let sha = next.pop(); sha !== undefined; sha = next.pop()) {
    history.push(sha);
    for (const parent of objects.get(sha)!.parents) {
      if (seen.has(parent)) continue;
      seen.add(parent);
      next.push(parent, dateOf(objects, parent));
    }
  }
  return history;
}

/** A date that is none counts as the oldest. */
function dateOf(objects: Objects, sha: string): number {
  const ms = Date.parse(objects.get(sha)?.committer?.date ?? '');
  return Number.isNaN(ms) ? Number.NEGATIVE_INFINITY : ms;
}

/** A binary heap: the newest first; of equal dates the one that came first. */
class NewestFirst {
  readonly #heap: { sha: string; date: number; order: number }[] = [];
  #pushed = 0;

  push(sha: string, date: number): void {
    const heap = this.#heap;
    let at = heap.push({ sha, date, order: this.#pushed++ }) - 1;
    for (let up = (at - 1) >> 1; at > 0 && this.#isBefore(at, up); up = (at - 1) >> 1) {
      this.#swap(at, up);
      at = up;
    }
  }

  pop(): string | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last) return undefined;
    if (heap.length === 0) return first.sha;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let best = at;
      if (left < heap.length && this.#isBefore(left, best)) best = left;
      if (right < heap.length && this.#isBefore(right, best)) best = right;
      if (best === at) return first.sha;
      this.#swap(at, best);
      at = best;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a]!, this.#heap[b]!];
    return one.date > other.date || (one.date === other.date && one.order < other.order);
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b]!, this.#heap[a]!];
  }
}
