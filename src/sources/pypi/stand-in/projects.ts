import { toBytes } from '../../stand-in/server.ts';
import { isObject, type JsonObject } from '../../upstream/json.ts';
import { makeDocument, ORIGIN_PLACEHOLDER } from './document.ts';
import { type FeedRow, keyOf, type RecordedProject, type Recordings } from './recordings.ts';
import { sortedJson } from './sorted-json.ts';

/** `unreleased`: the index lists the project, but has no document of it. */
export type Presence = 'absent' | 'unreleased' | 'quarantined' | 'present';

/**
 * Makes a document when it is asked for, because the fixture has large ones. An object is completed and gets its serial;
 * text and bytes are served as they are.
 */
export type Document = () => JsonObject | string | Uint8Array;

/** A project as the index holds it after one row of the journal. */
export interface Version {
  presence: Presence;
  document: Document | null;
  /** The row, from which the serial is: a renumbered journal gives it another one. */
  row: FeedRow;
}

export interface Project {
  key: string;
  /** As the index shows it: the spelling of the newest upload. */
  display: string;
  archived: boolean;
  recorded: RecordedProject | null;
  now: Version;
  /** Before the newest row; null before the second one. */
  before: Version | null;
  /** For so many more requests the CDN serves `before`. */
  lagging: number;
}

/** All projects of the index, by their keys. They are there once a row of the journal is. */
export interface Projects {
  /** Brings the project of a row to its next version; `document` replaces the one before. */
  apply(row: FeedRow, document?: unknown): void;
  find(name: string): Project | undefined;
  /** In the order of their keys. */
  all(): Project[];
  /** The version that the CDN serves to a request: the one before, while the project lags. */
  served(project: Project): Version | null;
  /** The body of a document with status 200, and its serial. */
  body(project: Project, version: Version): { bytes: Uint8Array; serial: number };
  serialOf(project: Project, version?: Version): number;
}

export function makeProjects(recordings: Recordings, originOf: () => string): Projects {
  const projects = new Map<string, Project>();
  const recorded = new Map(recordings.projects.map(project => [keyOf(project.name), project]));
  const bodies = new WeakMap<Version, { bytes: Uint8Array; serial: number }>();

  const serialOfVersion = (project: Project, { row }: Version): number => {
    const behind = project.recorded?.lagsForGood && project.before !== null && row === project.now.row;
    return (behind ? project.before!.row : row).serial;
  };

  return {
    apply(row, document) {
      const key = keyOf(row.name);
      const project = projects.get(key);
      const before = project?.now ?? null;
      const inFixture = recorded.get(key) ?? null;
      const stored = inFixture && recordings.readerOf(inFixture);
      const now = nextVersion(row, { before, given: documentIn(document), recorded: inFixture, stored });
      if (project) {
        if (isUpload(row)) project.display = inFixture?.name ?? row.name;
        Object.assign(project, { now, before });
        return;
      }
      const display = inFixture?.name ?? row.name;
      const archived = inFixture?.archived ?? false;
      projects.set(key, { key, display, archived, recorded: inFixture, now, before: null, lagging: 0 });
    },
    find: name => projects.get(keyOf(name)),
    all: () => [...projects.values()].sort((a, b) => (a.key < b.key ? -1 : 1)),
    served(project) {
      if (project.lagging === 0) return project.now;
      project.lagging -= 1;
      return project.before;
    },
    body(project, version) {
      const serial = serialOfVersion(project, version);
      const known = bodies.get(version);
      if (known?.serial === serial) return known;
      const made = { bytes: bytesOf(project, version, { serial, origin: originOf() }), serial };
      bodies.set(version, made);
      return made;
    },
    serialOf: (project, version = project.now) => serialOfVersion(project, version),
  };
}

/** What a row makes of a project; actions are compared whole. */
function nextVersion(
  row: FeedRow,
  {
    before,
    given,
    recorded,
    stored,
  }: { before: Version | null; given: Document | null; recorded: RecordedProject | null; stored: Document | null },
): Version {
  if (recorded?.missing || row.action === 'remove project') return { presence: 'absent', document: null, row };
  if (row.action === 'create') return { presence: given ? 'present' : 'unreleased', document: given, row };
  const isGone = before?.presence === 'absent' && !isUpload(row) && !given;
  if (isGone) return { presence: 'absent', document: null, row };
  // A project whose first row is not `create` is older than the journal, so it has its recorded document already.
  const isMadeUp = recorded === null && (!before?.document || madeUp.has(before.document));
  const kept = given ?? before?.document ?? (before === null || isUpload(row) ? stored : null);
  const document = isMadeUp && !given && isUpload(row) ? madeUpDocument(row) : kept;
  const staysQuarantined = before?.presence === 'quarantined' && row.action !== 'project quarantine cleared' && !given;
  if (row.action === 'project quarantined' || staysQuarantined) return { presence: 'quarantined', document, row };
  const isHidden = document === null || recorded?.releasesQuarantined;
  return { presence: isHidden ? 'unreleased' : 'present', document, row };
}

function documentIn(document: unknown): Document | null {
  if (document === undefined || document === null) return null;
  if (typeof document === 'string' || document instanceof Uint8Array || isObject(document)) return () => document;
  throw new Error(`document: expected an object, text or bytes, got ${typeof document}`);
}

/** Whether a row is about a new file or release. */
function isUpload({ action }: FeedRow): boolean {
  return action === 'new release' || /^add \S+ file /.test(action ?? '');
}

/** Documents made of a row: a later release makes another one. */
const madeUp = new WeakSet<Document>();

/** The document of a project that has no recorded one, after a release. */
function madeUpDocument({ name, version, timestamp }: FeedRow): Document {
  const release = version ?? '0';
  const filename = `${keyOf(name).replaceAll('-', '_')}-${release}.tar.gz`;
  const uploadedAt = new Date(timestamp * 1000).toISOString();
  const info = { version: release, summary: `Made-up project ${keyOf(name)}` };
  const document = () => makeDocument({ name, info, files: { [release]: [{ filename, uploadedAt }] } });
  madeUp.add(document);
  return document;
}

/** The document with everything that a test left out; null where its text is no document. */
export function completedOf({ display }: Project, { document }: Version): JsonObject | null {
  const given = document?.();
  if (typeof given === 'string' || given instanceof Uint8Array || given === undefined) return null;
  const usual = makeDocument({ name: display, info: isObject(given.info) ? given.info : {}, files: {} });
  return Object.assign(usual, given, { info: isObject(given.info) ? usual.info : (given.info ?? usual.info) });
}

function bytesOf(
  project: Project,
  version: Version,
  { serial, origin }: { serial: number; origin: string },
): Uint8Array {
  const completed = completedOf(project, version);
  if (completed === null) return toBytes(version.document?.() as string | Uint8Array);
  completed.last_serial ??= serial;
  return toBytes(`${sortedJson(completed)}\n`.replaceAll(ORIGIN_PLACEHOLDER, origin));
}
