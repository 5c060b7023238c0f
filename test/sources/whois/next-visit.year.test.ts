import { expect, it } from 'vitest';
import { nextVisit, type VisitState } from '../../../src/sources/whois/next-visit.ts';

const DAY = 24 * 3_600_000;

interface Registration {
  expiry: string;
  statuses: string[];
  nameserver: string;
}

/** The registry's answer about one domain from a day on; null for "not found", `down` for no answer. */
const STORY: [from: string, answer: Registration | null | 'down'][] = [
  ['2026-01-01', { expiry: '2026-04-10', statuses: ['ok'], nameserver: 'ns.one.example' }],
  // The owner moves the domain to other name servers.
  ['2026-01-25', { expiry: '2026-04-10', statuses: ['ok'], nameserver: 'ns.two.example' }],
  ['2026-03-10', 'down'],
  ['2026-03-13', { expiry: '2026-04-10', statuses: ['ok'], nameserver: 'ns.two.example' }],
  // The registry renews the domain, the owner does not pay, and the registrar deletes it on the 40th day of its grace.
  ['2026-04-10', { expiry: '2027-04-10', statuses: ['autoRenewPeriod'], nameserver: 'ns.two.example' }],
  ['2026-05-20', { expiry: '2027-04-10', statuses: ['redemptionPeriod'], nameserver: 'ns.two.example' }],
  ['2026-06-19', { expiry: '2027-04-10', statuses: ['pendingDelete'], nameserver: 'ns.two.example' }],
  ['2026-06-24', null],
];

function answerAt(ms: number): Registration | null | 'down' {
  return STORY.findLast(([from]) => Date.parse(from) <= ms)![1];
}

/** Visits a domain for a year as an agenda does, each visit at the time that the one before it gave; one line a visit. */
function visitsOfAYear(domain: string): string[] {
  const startMs = Date.UTC(2026, 0, 1);
  const lines: string[] = [];
  let row: Registration | null = null;
  let misses = 0;
  let failures = 0;
  let last = { atMs: startMs, reason: 'first' as string };
  for (let visit = last; visit.atMs < startMs + 365 * DAY; ) {
    const answer = answerAt(visit.atMs);
    const outcome = answer === 'down' ? 'failed' : answer === null ? 'gone' : 'found';
    misses = outcome === 'gone' ? misses + 1 : 0;
    failures = outcome === 'failed' ? failures + 1 : 0;
    const found: Registration | null = answer === 'down' ? row : answer;
    const state: VisitState = {
      domain,
      nowMs: visit.atMs,
      outcome,
      expiryMs: found === null ? null : Date.parse(found.expiry),
      statuses: found?.statuses ?? [],
      changed: row !== null && JSON.stringify(found) !== JSON.stringify(row),
      partials: 0,
      misses,
      failures,
      notBeforeMs: null,
    };
    const summary = found === null || outcome !== 'found' ? outcome : Object.values(found).flat().join(' ');
    const date = new Date(visit.atMs).toISOString().slice(0, 16).replace('T', ' ');
    const days = ((visit.atMs - last.atMs) / DAY).toFixed(1).padStart(5);
    lines.push(`${date} ${days}  ${visit.reason.padEnd(13)}  ${summary}${state.changed ? ' (changed)' : ''}`);
    row = found;
    last = visit;
    visit = nextVisit(state);
  }
  return lines;
}

const YEAR = `
2026-01-01 00:00   0.0  first          2026-04-10 ok ns.one.example
2026-02-02 11:01  32.5  regular        2026-04-10 ok ns.two.example (changed)
2026-02-03 11:37   1.0  changed        2026-04-10 ok ns.two.example
2026-03-08 06:02  32.8  regular        2026-04-10 ok ns.two.example
2026-03-11 00:00   2.7  before-expiry  failed
2026-03-12 00:44   1.0  failed         failed
2026-03-14 05:17   2.2  failed         2026-04-10 ok ns.two.example
2026-04-03 00:00  19.8  before-expiry  2026-04-10 ok ns.two.example
2026-04-09 00:00   6.0  before-expiry  2026-04-10 ok ns.two.example
2026-04-11 00:00   2.0  after-expiry   2027-04-10 autoRenewPeriod ns.two.example (changed)
2026-04-11 21:54   0.9  changed        2027-04-10 autoRenewPeriod ns.two.example
2026-04-18 21:14   7.0  lapsed         2027-04-10 autoRenewPeriod ns.two.example
2026-04-26 02:22   7.2  lapsed         2027-04-10 autoRenewPeriod ns.two.example
2026-05-03 06:43   7.2  lapsed         2027-04-10 autoRenewPeriod ns.two.example
2026-05-10 16:42   7.4  lapsed         2027-04-10 autoRenewPeriod ns.two.example
2026-05-18 07:26   7.6  lapsed         2027-04-10 autoRenewPeriod ns.two.example
2026-05-25 00:59   6.7  lapsed         2027-04-10 redemptionPeriod ns.two.example (changed)
2026-05-26 02:55   1.1  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-05-27 03:52   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-05-28 06:01   1.1  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-05-29 04:05   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-05-30 02:32   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-05-31 01:23   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-01 00:47   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-01 22:29   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-02 21:16   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-03 21:12   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-04 19:49   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-05 20:19   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-06 21:24   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-07 23:22   1.1  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-08 21:30   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-09 20:48   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-10 19:17   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-11 16:56   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-12 16:48   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-13 17:35   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-14 19:51   1.1  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-15 18:41   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-16 18:22   1.0  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-17 16:11   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-18 14:12   0.9  leaving        2027-04-10 redemptionPeriod ns.two.example
2026-06-19 12:53   0.9  leaving        2027-04-10 pendingDelete ns.two.example (changed)
2026-06-20 13:14   1.0  leaving        2027-04-10 pendingDelete ns.two.example
2026-06-21 12:36   1.0  leaving        2027-04-10 pendingDelete ns.two.example
2026-06-22 13:13   1.0  leaving        2027-04-10 pendingDelete ns.two.example
2026-06-23 10:56   0.9  leaving        2027-04-10 pendingDelete ns.two.example
2026-06-24 08:54   0.9  leaving        gone (changed)
2026-06-25 07:40   0.9  lost           gone
2026-07-25 05:35  29.9  gone           gone
2026-09-18 23:51  55.8  gone           gone
`;

it('a year of visits sees one domain moved, renewed, lapsed and deleted', () => {
  const lines = visitsOfAYear('lapsing.example');
  console.log(`date              days  reason         answer\n${lines.join('\n')}`);
  expect(lines).toEqual(YEAR.trim().split('\n'));
});
