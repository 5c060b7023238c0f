import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { digestsOf } from '../../../src/loader/rows.ts';
import type { Loaded } from '../../../src/ports/change.ts';
import { readName } from '../../../src/sources/zones/stand-in/names.ts';
import { startStandIn, type ZonesStandIn } from '../../../src/sources/zones/stand-in/stand-in.ts';
import { readZone } from '../../../src/sources/zones/stand-in/zone-text.ts';
import { zones } from '../../../src/sources/zones/zones.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { type Lake, load, visitsOf } from '../step.ts';
import { askedOf, canonical } from './canonical.ts';
import { diceOf, randomZone, shuffled } from './random-zones.ts';
import { expectedRow, readZoneFile, recorded } from './recordings.ts';

const RANDOM = 'random-example.com';

let standIn: ZonesStandIn;
let settings: ReturnType<typeof zones.settings>;
beforeAll(async () => {
  standIn = await startStandIn({ fast: true });
  settings = zones.settings(standIn.settings);
});
afterAll(() => standIn.stop());

/** A visit; those that share a lake find the file that the last one left. */
function visit(domain: string, lake: Lake = new Map()): Promise<Loaded> {
  return load(zones, settings, visitsOf(zones, [domain], null)[0]!, { lake });
}

function fileOf({ documents }: Loaded): string {
  expect(documents).toHaveLength(1);
  return Buffer.from(documents[0]!.bytes).toString('utf8');
}

describe.each([
  ['at first', false, recorded.domains.map(({ domain }) => domain).concat(recorded.plain)],
  ['in the next month', true, recorded.later.map(({ domain }) => domain)],
] as const)('the zone files of the fixture folder %s', (_, isLater, domains) => {
  beforeAll(() => standIn.passDays(isLater ? 30 : 0));

  it.each(domains.filter(domain => readZoneFile(domain, isLater) !== null))('%s: are as expected', async domain => {
    const loaded = await visit(domain);
    expect(fileOf(loaded)).toBe(readZoneFile(domain, isLater));
    const { row } = loaded.rows[0]!;
    const expected = expectedRow(domain, isLater);
    expect(Object.fromEntries(Object.keys(expected).map(name => [name, row[name]]))).toEqual(expected);
  });
});

describe('random zones', () => {
  const seed = seedOf('ZONES_SEED');
  const cases = Array.from({ length: numberOf('ZONES_CASES', 12) }, (_, index) => seed + index);
  const digestOf = ({ rows, seen }: Loaded) =>
    JSON.stringify({ ...digestsOf(rows, zones.agenda!.uncounted), ...seen!.digests });
  const apex = readName(`${RANDOM}.`, []);
  afterEach(() => standIn.setZone(RANDOM, null));

  it.each(cases)(
    'of seed %i: the file has their records, in any order and with any TTLs those of one digest',
    async one => {
      const dice = diceOf(one);
      const lake: Lake = new Map();
      const lines = randomZone(dice);
      standIn.setZone(RANDOM, { records: lines.join('\n') });
      const first = await visit(RANDOM, lake);
      const records = readZone(fileOf(first), RANDOM).map(canonical);
      expect(new Set(records).size).toBe(records.length);
      const wanted = askedOf(readZone(lines.join('\n'), RANDOM), apex).map(canonical);
      expect([...records].sort()).toEqual([...new Set(wanted)].sort());
      standIn.setZone(RANDOM, { records: shuffled(lines, dice).join('\n') });
      const again = await visit(RANDOM, lake);
      expect(digestOf(again)).toBe(digestOf(first));
      expect(again.documents).toEqual([]);
      // One record more is another digest.
      standIn.setZone(RANDOM, { records: [...lines, '@ TXT "one more"'].join('\n') });
      expect(digestOf(await visit(RANDOM, lake))).not.toBe(digestOf(first));
    },
  );
});
