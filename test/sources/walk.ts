import path from 'node:path';
import { ChangeError } from '../../src/errors.ts';
import type { Change, Loaded } from '../../src/ports/change.ts';
import type { Source } from '../../src/sources/source.ts';
import type { Answer } from '../../src/sources/stand-in/faults.ts';
import type { FetcherOptions } from '../../src/sources/upstream/fetcher.ts';
import { type Lake, load, pullAll, runStep, servers, visitsOf } from './step.ts';

export const FIXTURES = path.resolve(import.meta.dirname, '../fixtures');

/** The outcome of a visit: the columns of its row, that the key is gone, or the reason why the change is parked. */
export type Expected = { row: Record<string, unknown> } | { gone: true } | { parked: string };

/** A local server that plays a source's upstream from its fixture folder. */
export interface StandIn {
  origin: string;
  /** The source's settings; `pageChanges` is the size of a page where the source has a feed. */
  env(pageChanges: number): Record<string, unknown>;
  /** The first word of error messages about its answers. */
  subject: string;
  /** Sets the answer to the next request for a page of the feed, for the list of servers, or of a probe. */
  failPage(answer: Answer): void;
  /** Sets the answer to the next request for a change's document. */
  failDocument(key: string, answer: Answer): void;
  /** An answer of a wrong shape to such a request, and the field that the error must name. */
  wrongPage: { body: string; field: string };
  wrongDocument: { body(key: string): string; field: string };
  /** Keys whose connection breaks, so that their requests are repeated in the same slot. */
  retried: string[];
  /** Whether `rows.json` was written by hand, as what must be in the outcomes; otherwise it holds the outcomes whole. */
  rowsByHand?: boolean;
  /** Keys that the changes leave and a listing does not have, as of things that are withheld. */
  unlisted?: string[];
  /** A timer that expires only when the upstream does not answer; the real timer by default. */
  timer?: FetcherOptions['timer'];
  /** Only of a source with an agenda. */
  agenda?: {
    keys: string[];
    /** Texts that are not keys. */
    invalidKeys: string[];
    /** How many visits a key needs, and the outcome of the last one. */
    expected(key: string): { visits: number; outcome: Expected };
    /** Keys with another registration a month later. */
    changedLater: string[];
    /** Whether answers have a main part, and second hosts that some keys ask. */
    hasParts: boolean;
    /** Moves the upstream a month ahead. */
    passMonth(): void;
  };
  close(): Promise<void>;
}

/** The stand-in of a source, from `<id>/walk.ts`. */
export async function walkOf(id: string): Promise<StandIn> {
  const { startWalk } = (await import(`./${id}/walk.ts`)) as { startWalk(folder: string): Promise<StandIn> };
  return startWalk(path.join(FIXTURES, id));
}

/** The changes of a source: those of its feed, or a first visit of each key. */
export async function changesOf(source: Source, settings: unknown, { agenda }: StandIn): Promise<Change[]> {
  if (agenda) {
    const known = source.agenda?.directory ? await servers(source, settings) : null;
    return visitsOf(source, agenda.keys, known);
  }
  const { value } = await runStep(source, { settings, step: 'pull' }, ctx => source.feed!.start(ctx));
  return pullAll(source, settings, value);
}

/** The first changes that load into rows and a document. */
export async function plainChanges(
  source: Source,
  {
    settings,
    changes,
    timer,
    count,
    lake,
  }: { settings: unknown; changes: Change[]; count: number; lake?: Lake | undefined } & Pick<StandIn, 'timer'>,
): Promise<{ change: Change; loaded: Loaded }[]> {
  const found: { change: Change; loaded: Loaded }[] = [];
  for (const change of changes.filter(({ deleted, skip }) => !deleted && skip === null)) {
    if (found.length === count) break;
    const loaded = await load(source, settings, change, { timer, lake }).catch(() => null);
    if (loaded && loaded.documents.length > 0) found.push({ change, loaded });
  }
  if (found.length < count) throw new Error(`${source.id}: expected ${count} plain changes, got ${found.length}`);
  return found;
}

/** Changes as revisits: with the facts that a first visit leaves, those that it found. */
export async function revisitsOf(
  source: Source,
  { settings, changes, timer }: { settings: unknown; changes: Change[] } & Pick<StandIn, 'timer'>,
): Promise<Change[]> {
  const loaded = await Promise.all(changes.map(change => load(source, settings, change, { timer }).catch(() => null)));
  return changes.flatMap((change, index) => {
    const seen = loaded[index]?.seen;
    return seen?.found ? [{ ...change, facts: seen.facts }] : [];
  });
}

/** The reason why a change is parked; rethrows an error that is not about the upstream. */
export function parked(error: unknown): { parked: string } {
  if (error instanceof ChangeError) return { parked: error.reason };
  throw error;
}
