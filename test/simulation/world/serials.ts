import { npmPackage } from '../../../schemas/npm_package.ts';
import { ChangeError } from '../../../src/errors.ts';
import type { Loaded } from '../../../src/ports/change.ts';
import { coalescing, rowOf, type SourceKind } from './sources.ts';
import { FEED_HOST } from './upstream.ts';

const HOUR = 3_600_000;

/** A stored listing is used again for so long. */
export const LISTING_FRESH_MS = HOUR / 2;
/** The time in which each key is checked once. */
export const ROUND_MS = HOUR;

/**
 * Follows the upstream's journal, which has a row for each change: of several rows of a key in a page the last is loaded.
 * The revision of a change is its sequence. All keys are listed in one answer, in an order that is not that of their bytes.
 * A row has the status of its key, as the round found it, as `license`.
 */
export const serials: SourceKind = (upstream, call) => {
  const { feed, agenda: _, load: ___, ...rest } = coalescing(upstream, call);
  const { list: __, ...follows } = feed!;
  return {
    ...rest,
    id: 'serials',
    feed: {
      ...follows,

      async pull({ cursor }, { settings }) {
        const since = Number(cursor);
        const { rows, head } = await upstream.journalPage(since, { limit: settings.pageChanges, call });
        const lastOf = new Map(rows.map(({ key }, index) => [key, index]));
        const changes = rows.map(({ key, seq, deleted }, index) => ({
          key,
          cursor: String(seq),
          deleted,
          revision: seq,
          skip: lastOf.get(key) === index ? null : ('coalesced' as const),
        }));
        return {
          changes,
          cursor: String(rows.at(-1)?.seq ?? Math.max(since, head)),
          head: String(head),
          atHead: rows.length < settings.pageChanges,
          belowCursor: head < since,
        };
      },

      listing: { freshMs: LISTING_FRESH_MS, read: () => upstream.listWhole(call) },
    },

    async load(change, { afresh }) {
      const gone: Loaded = {
        documents: [],
        rows: [{ table: npmPackage.name, op: 'delete', row: rowOf(npmPackage, { name: change.key }) }],
        revision: null,
      };
      if (change.deleted && !afresh) return gone;
      try {
        const { bytes, revision, seq, text } = await upstream.document(change.key, call);
        const license = change.facts ? String(change.facts.status) : null;
        const row = rowOf(npmPackage, { name: change.key, version: String(revision), description: text, license });
        const documents = [{ name: change.key, bytes, revision: seq }];
        return { documents, rows: [{ table: npmPackage.name, op: 'upsert', row }], revision: seq };
      } catch (error) {
        if (change.deleted && error instanceof ChangeError && error.status === 404) return gone;
        throw error;
      }
    },
  };
};

/** As `serials`, with a round that asks for the status of each key. */
export const rounding: SourceKind = (upstream, call) => {
  const { feed, agenda: _, requests, ...rest } = serials(upstream, call);
  return {
    ...rest,
    id: 'rounding',
    feed: {
      ...feed!,
      round: {
        everyMs: ROUND_MS,
        async check({ key }) {
          const status = await upstream.status(key, call);
          return status === null ? null : { status };
        },
      },
    },
    requests: (step, changes, settings) =>
      step === 'round' ? { [FEED_HOST]: changes.length } : requests(step, changes, settings),
  };
};
