import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, zstdCompressSync } from 'node:zlib';
import { seqStep } from './feed.ts';
import {
  type FeedRow,
  type HandMade,
  NPM_RECORDINGS,
  ORIGIN_PLACEHOLDER,
  packumentFile,
  type Recording,
  readJson,
} from './recordings.ts';

const USER_AGENT = 'tributary-fixture-recorder/0.1 (records a few dozen packuments once)';
/** One request after the other, this far apart. */
const PAUSE_MS = 1000;
/** A larger text does not belong in a fixture folder. */
const TEXT_LENGTH_MAX = 12 * 1024 * 1024;
/** The feed's numbers begin near where npm's were in 2026. */
const FIRST_SEQ = 122_880_000;
/** Every third row is a hand-made one, until there are none left. */
const HAND_MADE_EVERY = 3;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

/** The contents of `names.json`: the names to record, and those of them that keep the registry's form without hoisted fields. */
interface Names {
  names: string[];
  plain: string[];
}

/** Records the packuments of `names.json` and writes their index. */
export async function record({ folder, registry }: { folder: string; registry: string }): Promise<Recording[]> {
  const { names, plain } = readJson<Names>(folder, 'names.json');
  rmSync(path.join(folder, 'packuments'), { recursive: true, force: true });
  mkdirSync(path.join(folder, 'packuments'), { recursive: true });
  const scrub = makeScrubber(registry);
  const recordings: Recording[] = [];
  for (const name of names) {
    const document = await fetchPackument(registry, name);
    const text = JSON.stringify(scrub(complete(document, { hoist: !plain.includes(name) })));
    const recording = { name, file: packumentFile(name), rev: revOf(document), bytes: Buffer.byteLength(text) };
    writeFileSync(path.join(folder, recording.file), compress(text));
    recordings.push(recording);
    process.stdout.write(`${name} ${recording.rev} ${recording.bytes}\n`);
    await sleep(PAUSE_MS);
  }
  writeFileSync(path.join(folder, 'packuments.json'), lines(recordings));
  return recordings;
}

/** Writes `feed.json` from the recorded revisions and the hand-made entries. The same folder gives the same feed. */
export function writeFeed(folder: string): void {
  const recorded = readJson<Recording[]>(folder, 'packuments.json').map(({ name, rev }) => ({ id: name, rev }));
  const handMade = existsSync(path.join(folder, 'hand-made/hand-made.json'))
    ? readJson<HandMade[]>(folder, 'hand-made/hand-made.json')
    : [];
  const handMadeRows = handMade.map(({ name, rev, deleted }) => ({ id: name, rev, deleted }));
  const entries: { id: string; rev: string; deleted?: true }[] = [];
  while (recorded.length + handMadeRows.length > 0) {
    const isTurn = recorded.length === 0 || entries.length % HAND_MADE_EVERY === HAND_MADE_EVERY - 1;
    entries.push((isTurn && handMadeRows.length > 0 ? handMadeRows.shift() : recorded.shift())!);
  }
  let seq = FIRST_SEQ;
  const results = entries.map(({ id, rev, deleted }, i): FeedRow => {
    seq += seqStep(i);
    return { seq, id, changes: [{ rev }], ...(deleted ? { deleted } : {}) };
  });
  writeFileSync(path.join(folder, 'feed.json'), `{"results":${lines(results).trimEnd()},\n"last_seq":${seq}}\n`);
}

/**
 * Makes a function that replaces, in every text of a document, the registry's origin, other registries' hosts, and the
 * addresses of persons. It gives one address the same invented one in all documents.
 */
export function makeScrubber(registry: string): (document: Json) => Json {
  const origin = new URL(registry);
  const ownHost = new RegExp(`(?:https?://)?${escapeRegExp(origin.host)}(?::\\d+)?`, 'gi');
  const invented = new Map<string, string>();
  const addressFor = (address: string): string => {
    if (INVENTED.test(address)) return address;
    const key = address.toLowerCase();
    if (!invented.has(key)) invented.set(key, `person-${String(invented.size + 1).padStart(4, '0')}@example.com`);
    return invented.get(key)!;
  };
  const scrubText = (text: string): string =>
    text
      .replace(ownHost, ORIGIN_PLACEHOLDER)
      .replace(REGISTRY_HOST, ORIGIN_PLACEHOLDER)
      .replace(URL_USER, '$1git@')
      .replace(ADDRESS, address => (isNoAddress(address) ? address : addressFor(address)));
  const scrub = (value: Json, key?: string): Json => {
    if (typeof value === 'string') return key === 'email' && value !== '' ? addressFor(value) : scrubText(value);
    if (Array.isArray(value)) return value.map(item => scrub(item));
    if (value === null || typeof value !== 'object') return value;
    // `fromEntries` makes own properties, also for `__proto__`.
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [scrubText(name), scrub(item, name)]));
  };
  return scrub;
}

/** A host whose first or second label is that of a package registry, or npm's own site, with scheme and port. */
const REGISTRY_HOST =
  /(?:https?:\/\/)?\b(?:[a-z0-9-]+\.)?(?:(?:registry|npm|pkgs|artifactory|nexus|verdaccio)(?:\.[a-z0-9-]+){2,}|npmjs(?:\.[a-z]+)+)(?::\d+)?/gi;
/** The login in front of a host in a URL: a name, or a name and a secret. */
const URL_USER = /([a-z+]+:\/\/)[^\s/@"<>]+@/gi;
const ADDRESS = /[\p{L}\d._%+'-]+@[\p{L}\d-]+(?:\.[\p{L}\d-]+)*\.\p{L}{2,}/gu;

/** An invented address stays, so that scrubbing a document again changes nothing. */
const INVENTED = /^[\w.-]+@example\.com$/;

/** `git@host` is a repository, and `name@1.2.3-beta.one` is a version. */
function isNoAddress(text: string): boolean {
  return text.startsWith('git@') || /@v?\d+\.\d+\.\d+/.test(text);
}

/** Adds what the full form of a document has and a mirror may omit: a revision, times, and the fields of the latest version. */
function complete(document: JsonObject, { hoist }: { hoist: boolean }): JsonObject {
  const { _id, _rev, ...rest } = document;
  const whole: JsonObject = { _id: _id!, _rev: _rev ?? revOf(document), ...rest };
  const times = asObject(whole.time);
  const stamps = Object.values(times).map(String).sort();
  if (stamps.length > 0) whole.time = { created: stamps[0]!, modified: stamps.at(-1)!, ...times };
  const latest = asObject(asObject(whole.versions)[String(asObject(whole['dist-tags']).latest)]);
  if (hoist) for (const field of HOISTED) if (!(field in whole) && field in latest) whole[field] = latest[field]!;
  return whole;
}

/** Fields the registry copies from the latest version to the top of the full form. */
const HOISTED = ['description', 'homepage', 'keywords', 'repository', 'author', 'contributors', 'bugs', 'license'];

/** The document's revision, or one invented from its versions where it has none. */
function revOf(document: JsonObject): string {
  if (typeof document._rev === 'string') return document._rev;
  const versions = Object.keys(asObject(document.versions));
  const digest = createHash('md5')
    .update(JSON.stringify([document.name, versions]))
    .digest('hex');
  return `${versions.length + 1}-${digest}`;
}

async function fetchPackument(registry: string, name: string): Promise<JsonObject> {
  const response = await fetch(`${registry.replace(/\/$/, '')}/${name.replace('/', '%2F')}`, {
    headers: { 'user-agent': USER_AGENT, accept: 'application/json' },
    signal: AbortSignal.timeout(60_000),
  });
  if (!response.ok) throw new Error(`packument of ${name}: expected status 200, got ${response.status}`);
  const text = await response.text();
  if (text.length > TEXT_LENGTH_MAX)
    throw new Error(`packument of ${name}: expected at most ${TEXT_LENGTH_MAX} characters, got ${text.length}`);
  return JSON.parse(text) as JsonObject;
}

function compress(text: string): Buffer {
  return zstdCompressSync(text, {
    params: { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_windowLog]: 24 },
  });
}

function asObject(value: Json | undefined): JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};
}

/** A JSON array with one entry a line, so that a diff names the entry. */
function lines(entries: unknown[]): string {
  return `[\n${entries.map(entry => JSON.stringify(entry)).join(',\n')}\n]\n`;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** The registry in the npm client's configuration. npm sets the variable for its scripts only where it is not the default. */
function registryOfClient(): string {
  return (
    process.env.npm_config_registry || execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
  );
}

if (import.meta.main) {
  if (!process.argv.includes('--feed-only')) await record({ folder: NPM_RECORDINGS, registry: registryOfClient() });
  writeFeed(NPM_RECORDINGS);
}
