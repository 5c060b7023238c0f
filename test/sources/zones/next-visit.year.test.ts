import { expect, it } from 'vitest';
import { DOUBLINGS_MAX, nextVisit } from '../../../src/sources/zones/next-visit.ts';
import { type AddressSets, digestOfSet, nextSets, rotatingOf } from '../../../src/sources/zones/rotation.ts';
import { recordsOf } from './messages.ts';

const DAY = 24 * 3_600_000;
const START = Date.UTC(2026, 0, 1);

/** What the DNS says of one domain from a day on; null for NXDOMAIN, `lame` for no answer. */
const STORY: [from: string, zone: { mail: string; expiry: string; leaving?: true } | null | 'lame'][] = [
  ['2026-01-01', { mail: 'mx1', expiry: '2026-04-10' }],
  // The owner moves the mail.
  ['2026-01-25', { mail: 'mx2', expiry: '2026-04-10' }],
  ['2026-03-10', 'lame'],
  ['2026-03-13', { mail: 'mx2', expiry: '2026-04-10' }],
  // The registry renews the domain, and the owner does not pay.
  ['2026-04-10', { mail: 'mx2', expiry: '2027-04-10' }],
  ['2026-05-20', { mail: 'parking', expiry: '2027-04-10', leaving: true }],
  ['2026-05-22', null],
];

interface Line {
  reason: string;
  answer: string;
  isChanged: boolean;
  atMs: number;
  days: number;
}

/** Visits a domain for a year as an agenda does, each visit at the time that the one before it gave. */
function visitsOfAYear(domain: string): Line[] {
  const lines: Line[] = [];
  let quiet = DOUBLINGS_MAX;
  let row: string | null = null;
  let [outcome, times] = ['', 0];
  let facts = { quiet, expiry: null as string | null, leaving: false };
  let last = { atMs: START, reason: 'first' as string };
  for (let visit = last; visit.atMs < START + 365 * DAY; ) {
    const zone = STORY.findLast(([from]) => Date.parse(from) <= visit.atMs)![1];
    const found = zone === 'lame' ? 'failed' : zone === null ? 'gone' : 'found';
    times = found === outcome ? times + 1 : 1;
    outcome = found;
    const answer: string =
      zone === 'lame' ? 'no answer' : zone === null ? 'gone' : `${zone.mail}, until ${zone.expiry}`;
    const isChanged = zone !== 'lame' && row !== null && answer !== row;
    if (zone !== 'lame') {
      quiet = isChanged ? 0 : Math.min(quiet + 1, DOUBLINGS_MAX);
      // WHOIS knows the redemption still when the zone has gone.
      facts = {
        quiet,
        expiry: zone?.expiry ?? facts.expiry,
        leaving: zone === null ? facts.leaving && visit.atMs < Date.UTC(2026, 5, 24) : zone.leaving === true,
      };
      row = answer;
    }
    lines.push({ reason: visit.reason, answer, isChanged, atMs: visit.atMs, days: (visit.atMs - last.atMs) / DAY });
    last = visit;
    visit = nextVisit(
      { key: domain, nowMs: visit.atMs, outcome: found, times, facts, notBeforeMs: null },
      { everyMs: DAY },
    );
  }
  return lines;
}

/** Visits running of one reason and answer as one line. */
function summaryOf(lines: Line[]): string[] {
  const groups: Line[][] = [];
  for (const line of lines) {
    const [head] = groups.at(-1) ?? [];
    const isSame = head?.reason === line.reason && head.answer === line.answer && !line.isChanged && !head.isChanged;
    if (isSame) groups.at(-1)!.push(line);
    else groups.push([line]);
  }
  return groups.map(group => {
    const [first] = group as [Line];
    const date = new Date(first.atMs).toISOString().slice(0, 16).replace('T', ' ');
    const hours = (24 * group.reduce((sum, { days }) => sum + days, 0)) / group.length;
    const [count, wait] = [String(group.length).padStart(4), hours.toFixed(1).padStart(7)];
    return `${date} ${count} ${wait}  ${first.reason.padEnd(9)} ${first.answer}${first.isChanged ? ' (changed)' : ''}`;
  });
}

const YEAR = `
2026-01-01 00:00    1     0.0  first     mx1, until 2026-04-10
2026-01-02 01:58   24    23.8  regular   mx1, until 2026-04-10
2026-01-25 17:15    1    23.3  regular   mx2, until 2026-04-10 (changed)
2026-01-25 18:20    5     6.6  changed   mx2, until 2026-04-10
2026-01-28 00:16   42    23.6  regular   mx2, until 2026-04-10
2026-03-10 10:53    1    26.0  regular   no answer
2026-03-11 11:09    1    24.3  failed    no answer
2026-03-13 07:23    1    44.2  failed    mx2, until 2026-04-10
2026-03-14 07:47   25    23.7  regular   mx2, until 2026-04-10
2026-04-07 05:39   11     6.0  expiring  mx2, until 2026-04-10
2026-04-10 00:05    1     5.7  expiring  mx2, until 2027-04-10 (changed)
2026-04-10 00:59    5     6.3  changed   mx2, until 2027-04-10
2026-04-12 05:06   38    23.8  regular   mx2, until 2027-04-10
2026-05-20 02:25    1    26.4  regular   parking, until 2027-04-10 (changed)
2026-05-20 03:20    3     2.3  changed   parking, until 2027-04-10
2026-05-20 14:57    6     5.9  expiring  parking, until 2027-04-10
2026-05-22 02:43    1     6.4  expiring  gone (changed)
2026-05-22 08:10  133     6.0  expiring  gone
2026-07-25 19:44    6   712.8  gone      gone
`;

it('a year of visits sees mail moved, a zone lame, and a domain lapsed', () => {
  const lines = summaryOf(visitsOfAYear('lapsing.example'));
  console.log(`from            visits  hours  reason    answer\n${lines.join('\n')}`);
  expect(lines).toEqual(YEAR.trim().split('\n'));
});

it('a load balancer gives four rows in a year of daily visits, and one when it held still for a week', () => {
  let sets: AddressSets | null = null;
  let row: string | null = null;
  const rows: number[] = [];
  for (let day = 0; day < 365; day++) {
    // It moves on each day but for a fortnight in June.
    const address = day >= 150 && day < 164 ? 150 : day % 256;
    const digest = digestOfSet(recordsOf(`example.com. 60 A 192.0.2.${address}`));
    sets = nextSets(sets, { A: digest }, START + day * DAY);
    const counted = rotatingOf(sets).length > 0 ? 'rotates' : digest;
    if (counted !== row) rows.push(day);
    row = counted;
  }
  expect(rows).toEqual([0, 1, 2, 3, 157, 164, 165, 166]);
});
