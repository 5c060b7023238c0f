import { keyOf, tableNamed } from '../../../schemas/index.ts';
import type { Row } from '../../../schemas/table.ts';
import { checkRow, digestsOf } from '../../../src/loader/rows.ts';
import type { Change, Document, Loaded } from '../../../src/ports/change.ts';
import { github } from '../../../src/sources/github/github.ts';
import type { GithubSettings } from '../../../src/sources/github/settings.ts';
import { type GithubStandIn, startStandIn } from '../../../src/sources/github/stand-in/stand-in.ts';
import { World } from '../../../src/sources/github/stand-in/world.ts';
import { runStep } from '../step.ts';

/** What a follower keeps of a watched key, as the agenda does. */
interface Watched {
  facts: Change['facts'];
  digests: Record<string, string>;
  isUnfinished: boolean;
}

/**
 * Follows a stand-in without an engine: visits keys one by one, with the facts of their last visits, asks the probe before
 * revisits, and keeps the newest row of each key.
 */
export class Follower {
  readonly watched = new Map<string, Watched>();
  /** By table, the newest row of each row key; null for a deletion. */
  readonly rows = new Map<string, Map<string, Row | null>>();
  /** Rows that were appended, by table. */
  readonly appended: Record<string, number> = {};
  readonly documents = new Map<string, Document>();
  readonly hub: World;
  readonly standIn: GithubStandIn;
  readonly settings: GithubSettings;

  constructor(standIn: GithubStandIn, env: Record<string, string> = {}) {
    this.standIn = standIn;
    this.hub = standIn.world;
    this.settings = github.settings({ ...standIn.settings, ...env });
  }

  /** Visits a key until its work is done. Returns how many visits that took. */
  async follow(key: string): Promise<number> {
    let visits = 1;
    let now = await this.visit(key);
    while (this.watched.get(now)?.isUnfinished) {
      now = await this.visit(now);
      visits += 1;
    }
    return visits;
  }

  /** One visit, which a probe may answer. Returns the name of the key after it. */
  async visit(key: string, { probed = true } = {}): Promise<string> {
    const before = this.watched.get(key) ?? { facts: null, digests: {}, isUnfinished: true };
    const change = changeOf(key, before.facts);
    if (probed && !before.isUnfinished) {
      const [answer] = await this.probe([change]);
      if (answer!.kind === 'unchanged') return key;
      if (answer!.kind === 'failed') throw new Error(answer!.reason);
      change.probed = answer!.answer;
    }
    return this.#accept(key, before, await this.load(change));
  }

  probe(changes: Change[]) {
    const options = { settings: this.settings, step: 'probe' as const, changes };
    return this.#step(options, ctx => github.agenda!.probe!.ask(changes, ctx));
  }

  load(change: Change): Promise<Loaded> {
    const options = { settings: this.settings, step: 'load' as const, changes: [change], afresh: true };
    return this.#step(options, ctx => github.load(change, ctx));
  }

  async #step<T>(
    options: Parameters<typeof runStep<GithubSettings, null, T>>[1],
    work: Parameters<typeof runStep<GithubSettings, null, T>>[2],
  ): Promise<T> {
    const nowMs = this.hub.nowMs;
    return (await runStep(github, options, ctx => work({ ...ctx, nowMs }))).value;
  }

  #accept(key: string, before: Watched, { rows, documents, seen }: Loaded): string {
    const digests = seen!.unchanged ? {} : { ...digestsOf(rows.map(checkRow)), ...seen!.digests };
    for (const { table, op, row } of rows) {
      if (!seen!.always && before.digests[table] !== undefined && before.digests[table] === digests[table]) continue;
      const kept = this.rows.get(table) ?? new Map<string, Row | null>();
      this.rows.set(table, kept);
      const rowKey = keyOf(tableNamed(table), row);
      const { identity, immutable } = tableNamed(table);
      const known = kept.get(rowKey);
      if (immutable && known) continue;
      if (op === 'delete' && (!known || (row[identity!] !== '' && known[identity!] !== row[identity!]))) continue;
      kept.set(rowKey, op === 'delete' ? null : row);
      this.appended[table] = (this.appended[table] ?? 0) + 1;
    }
    for (const document of documents) this.documents.set([...(document.path ?? []), document.file].join('/'), document);
    const now = seen!.movedTo === undefined ? key : keyNamed(seen!.movedTo);
    if (now !== key) this.watched.delete(key);
    this.watched.set(now, {
      facts: structuredClone(seen!.facts),
      digests: { ...before.digests, ...digests },
      isUnfinished: seen!.unfinished ?? false,
    });
    for (const found of seen!.keys ?? []) {
      const own = keyNamed(found);
      if (!this.watched.has(own)) this.watched.set(own, { facts: null, digests: {}, isUnfinished: true });
    }
    return now;
  }

  rowsOf(table: string): Row[] {
    return [...(this.rows.get(table)?.values() ?? [])].filter(row => row !== null);
  }

  row(table: string, key: string): Row | null {
    return this.rows.get(table)?.get(key) ?? null;
  }

  shas(): string[] {
    return this.rowsOf('github_commit').map(({ sha }) => String(sha));
  }

  /** The paths that were asked for since the last call, with their queries and statuses. */
  asked(): string[] {
    const { recent } = this.standIn.requests;
    return recent.splice(0).map(({ path, query, status }) => `${path}${query && `?${query}`} ${status}`);
  }
}

export function changeOf(key: string, facts: Change['facts'] = null): Change {
  return { key, cursor: key, deleted: false, revision: null, skip: null, facts };
}

function keyNamed(text: string): string {
  const read = github.agenda!.read(text);
  if ('rejected' in read) throw new Error(`${text}: expected a key, got ${read.rejected}`);
  return read.key;
}

/** A follower of a world without anything in it; `close` ends its server. */
export async function startFollower(env: Record<string, string> = {}) {
  const standIn = await startStandIn({ world: new World(), fast: true });
  return { follower: new Follower(standIn, env), hub: standIn.world, standIn, close: standIn.stop };
}
