import { githubCommit } from '../../schemas/github_commit.ts';
import { ImmutableKeys } from '../../src/engine/journal/immutable-keys.ts';
import { openJournal } from '../../src/engine/journal/open.ts';
import type { SqlPort } from '../../src/ports/sql.ts';

/** One kind of work on the packed keys of commits, and how often it is done in one request. */
export interface DigestWork {
  kind: 'nothing' | 'fill' | 'lookup' | 'visit';
  times: number;
  /** Of `fill`: the first commit, by its number. */
  first: number;
  /** Commits that there are at the end. */
  commits: number;
}

/** Commits of one visit: 10 new ones, and those before them that the upstream lists again. */
const VISIT_COMMITS = 100;
const NEW_COMMITS = 10;
/** One repository has one commit in 50, the others about 31 each. */
const LARGE_SHARE = 50;
const SMALL_COMMITS = 32;

/** Does the work, and returns how many commits were new. */
export function workOnDigests(sql: SqlPort, { kind, times, first, commits }: DigestWork): number {
  openJournal(sql, 'bench', [githubCommit.name]);
  let added = 0;
  if (kind === 'fill')
    sql.transaction(() => {
      const keys = new ImmutableKeys(sql);
      const commits = Array.from({ length: times }, (_, n) => commitOf(first + n));
      added = keys.add(githubCommit, commits).filter(Boolean).length;
      keys.write();
    });
  if (kind === 'lookup') for (let n = 0; n < times; n++) added += lookup(sql, n, commits);
  if (kind === 'visit') for (let n = 0; n < times; n++) added += visit(sql, n);
  return added;
}

/** The n-th commit: its hash has no order, as a real one. */
function commitOf(n: number): { github_id: string; sha: string } {
  const github_id =
    n % LARGE_SHARE === 0
      ? 'owner/large'
      : `owner-${Math.floor(n / SMALL_COMMITS) % 5_000}/repository-${Math.floor(n / SMALL_COMMITS)}`;
  return { github_id, sha: `${n}` };
}

/** Asks for one commit that is known, in an append of its own. */
function lookup(sql: SqlPort, round: number, commits: number): number {
  return sql.transaction(() => {
    // Steps of a large prime reach repositories in no order.
    const [isNew] = new ImmutableKeys(sql).add(githubCommit, [commitOf((round * 15_485_863) % commits)]);
    return isNew ? 1 : 0;
  });
}

let visits = 0;

/** A visit of the largest repository: its digests are in hundreds of blocks. */
function visit(sql: SqlPort, round: number): number {
  visits += 1;
  return sql.transaction(() => {
    const keys = new ImmutableKeys(sql);
    const commits = Array.from({ length: VISIT_COMMITS }, (_, n) => {
      const sha = n < NEW_COMMITS ? `new-${visits}-${round}-${n}` : String(n * LARGE_SHARE);
      return { github_id: 'owner/large', sha };
    });
    const added = keys.add(githubCommit, commits).filter(Boolean).length;
    keys.write();
    return added;
  });
}
