// Libraries that infer a JSON Schema from samples (genson-js, quicktype-core) give one schema for all samples. They do not
// count how many answers have a field, which this file needs to judge an absence, and they have no rule for maps.
import { isObject, type JsonObject } from '../../sources/upstream/json.ts';
import { hasReads, ITEMS, type Reads } from './reads.ts';

/** The key of a map's members, except those that every recorded map has. */
const ANY_KEY = '*';

/**
 * A field that some recorded answers lack is missing only where answers like the recorded ones would all lack it with less
 * than this probability. At the usual four live answers, that is a field in more than two thirds of the recorded ones.
 */
const CHANCE_MAX = 0.01;

/** An object with fewer different keys is no map: a record may have that many optional fields of one type. */
const MAP_KEYS_MIN = 10;

/** One path at which the live answers of a kind differ from the recorded ones. */
export interface Difference {
  kind: string;
  /** Keys from the answer on, as `results[].seq` and `versions.*.dist`. */
  path: string;
  /** `missing` here, `new` here, or of another `type`. */
  change: 'missing' | 'new' | 'type';
  /** The source reads this path, or one below it. */
  read: boolean;
  recorded: Found;
  live: Found;
}

/** The types at a path, and in how many answers it is, `of` those that have the object or list around it. */
export interface Found {
  types: string[];
  answers: number;
  of: number;
}

/** The values at one path: a list for each answer that has some. */
type Values = unknown[][];

interface At {
  path: string;
  recorded: Values;
  live: Values;
  reads: Reads[];
}

export interface Compared {
  kind: string;
  recorded: readonly unknown[];
  live: readonly unknown[];
  reads: Reads[];
  /** Whether objects may be maps, whose keys are data. */
  maps?: boolean;
}

/** The paths at which live answers differ from recorded ones of their kind. Nothing is said below such a path. */
export function differences({ kind, recorded, live, reads, maps = true }: Compared): Difference[] {
  const found: Difference[] = [];
  const each = (answers: readonly unknown[]): Values => answers.map(answer => [answer]);

  function report(at: At, { change, of }: Pick<Difference, 'change'> & { of: { recorded: number; live: number } }) {
    const facts = (values: Values, ofAnswers: number) => ({
      types: typesIn(values),
      answers: values.length,
      of: ofAnswers,
    });
    found.push({
      kind,
      path: at.path,
      change,
      // A source may come across what is in a new member, in search of something else.
      read: at.reads.some(change === 'new' ? ({ isRead }) => isRead : hasReads),
      recorded: facts(at.recorded, of.recorded),
      live: facts(at.live, of.live),
    });
  }

  /** Compares the values at a path that both sides have. */
  function compareValues(at: At, of: { recorded: number; live: number }): void {
    const known = typesIn(at.recorded);
    if (typesIn(at.live).some(type => !known.includes(type))) report(at, { change: 'type', of });
    compareMembers(at);
    compareItems(at);
  }

  function compareMembers({ path, ...at }: At): void {
    const [recorded, live] = [objectsIn(at.recorded), objectsIn(at.live)];
    if (recorded.length === 0 || live.length === 0) return;
    const nameOf = maps ? memberNames(recorded.flat()) : (key: string) => key;
    const of = { recorded: recorded.length, live: live.length };
    const names = new Set([...recorded, ...live].flat().flatMap(object => Object.keys(object).map(nameOf)));
    for (const name of names) {
      const member: At = {
        path: pathTo(path, name),
        recorded: membersOf(recorded, name, nameOf),
        live: membersOf(live, name, nameOf),
        reads: at.reads.flatMap(({ members }) =>
          [...members].filter(([key]) => nameOf(key) === name).map(([, m]) => m),
        ),
      };
      if (member.recorded.length === 0) report(member, { change: 'new', of });
      else if (member.live.length > 0) compareValues(member, of);
      else if (isMissing(member.recorded.length, of)) report(member, { change: 'missing', of });
    }
  }

  function compareItems({ path, ...at }: At): void {
    const [recorded, live] = [itemsIn(at.recorded), itemsIn(at.live)];
    const items: At = {
      path: `${path}${ITEMS}`,
      recorded,
      live,
      reads: at.reads.flatMap(({ members }) => members.get(ITEMS) ?? []),
    };
    // An empty list says nothing of its items.
    if (live.length === 0) return;
    const of = { recorded: recorded.length, live: live.length };
    if (recorded.length > 0) compareValues(items, of);
    else if (typesIn(at.recorded).includes('list')) report(items, { change: 'new', of });
  }

  compareValues({ path: '', recorded: each(recorded), live: each(live), reads }, countsOf({ recorded, live }));
  return found;
}

/** The path to a member. A key with characters of paths is quoted: `exports["./next"]`. */
function pathTo(path: string, name: string): string {
  if (name !== ANY_KEY && !/^[\w$@ -]+$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
}

function countsOf({ recorded, live }: Pick<Compared, 'recorded' | 'live'>) {
  return { recorded: recorded.length, live: live.length };
}

/** Whether it means anything that none of the live answers has what so many recorded ones have. */
function isMissing(have: number, of: { recorded: number; live: number }): boolean {
  return (1 - have / of.recorded) ** of.live < CHANCE_MAX;
}

/**
 * The name of a member in paths. An object is a map where it has many keys over all recorded answers, more than half of
 * them are in at most half of the objects, and the values under those have one type: its keys are data, and all go by one
 * name, except those that every recorded map has (`time.created`). Any other object is a record, and its keys are names.
 */
function memberNames(objects: JsonObject[]): (key: string) => string {
  const filled = objects.filter(object => Object.keys(object).length > 0);
  const counts = new Map<string, number>();
  for (const object of filled) for (const key of Object.keys(object)) counts.set(key, (counts.get(key) ?? 0) + 1);
  if (counts.size < MAP_KEYS_MIN) return key => key;
  const isRare = (key: string) => counts.get(key)! * 2 <= filled.length;
  const rareCount = [...counts.keys()].filter(isRare).length;
  if (rareCount * 2 <= counts.size) return key => key;
  const types = new Set<string>();
  for (const object of filled)
    for (const [key, value] of Object.entries(object)) if (value !== null && isRare(key)) types.add(typeOf(value));
  if (types.size > 1) return key => key;
  return key => (counts.get(key) === filled.length ? key : ANY_KEY);
}

function objectsIn(values: Values): JsonObject[][] {
  return values.map(list => list.filter(isObject)).filter(list => list.length > 0);
}

function membersOf(objects: JsonObject[][], name: string, nameOf: (key: string) => string): Values {
  return objects.map(list => list.flatMap(object => valuesNamed(object, name, nameOf))).filter(list => list.length > 0);
}

function valuesNamed(object: JsonObject, name: string, nameOf: (key: string) => string): unknown[] {
  if (name !== ANY_KEY && nameOf(name) === name) return Object.hasOwn(object, name) ? [object[name]] : [];
  return Object.keys(object)
    .filter(key => nameOf(key) === name)
    .map(key => object[key]);
}

function itemsIn(values: Values): Values {
  return values.map(list => list.filter(Array.isArray).flat()).filter(list => list.length > 0);
}

function typesIn(values: Values): string[] {
  return [...new Set(values.flatMap(list => list.map(typeOf)))].sort();
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  return typeof value === 'string' ? 'text' : typeof value;
}
