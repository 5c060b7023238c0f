import { readFileSync } from 'node:fs';
import path from 'node:path';
import { startStandIn } from '../../../src/sources/github/stand-in/stand-in.ts';
import type { World } from '../../../src/sources/github/stand-in/world.ts';
import type { Expected, StandIn } from '../walk.ts';

const MONTH_MS = 31 * 86_400_000;

/** What `rows.json` says: the outcome of a visit by key, and commits by the key of their repository, oldest first. */
export interface ExpectedRows {
  outcomes: Record<string, Expected>;
  commits: Record<string, Record<string, string | null>[]>;
}

/** Keys of which something but a counter is other after each month. */
const CHANGED_LATER = [
  'repo:harbour-works/lantern',
  'repo:northfield/atlas',
  'user:sam-specimen',
  'user:harbour-works',
];

export async function startWalk(folder: string): Promise<StandIn> {
  const standIn = await startStandIn({ folder, fast: true });
  const { outcomes } = readRows(folder);
  return {
    origin: standIn.origin,
    env: () => standIn.settings,
    subject: 'github',
    failPage: answer => standIn.fault('/graphql', [answer]),
    failDocument: (key, answer) => standIn.fault(nameOf(key), [answer]),
    wrongPage: { body: '{"data":{"nodes":{}}}', field: 'nodes' },
    wrongDocument: { body: () => '{"id":"one","node_id":1}', field: 'id' },
    retried: [],
    agenda: {
      keys: Object.keys(outcomes),
      invalidKeys: [
        '',
        ' ',
        'repo:',
        'repo:octo',
        'repo:octo/boat/deck',
        'user:octo/boat',
        'user:-octo',
        'owner:a b',
        'https://gist.github.com/octo/1',
        'https://gitlab.com/octo/boat',
        'github.com',
        '\u0007',
      ],
      expected: key => ({ visits: 1, outcome: outcomes[key]! }),
      changedLater: CHANGED_LATER,
      hasParts: false,
      passMonth: () => passMonth(standIn.world),
    },
    close: standIn.stop,
  };
}

export function readRows(folder: string): ExpectedRows {
  return JSON.parse(readFileSync(path.join(folder, 'rows.json'), 'utf8')) as ExpectedRows;
}

/** `owner/name` or the login of a key. */
export function nameOf(key: string): string {
  return key.slice(key.indexOf(':') + 1);
}

/** A month later. Counters of the other keys move as well, which is no change. */
function passMonth(world: World): void {
  world.nowMs += MONTH_MS;
  const text = `As of ${world.now}`;
  for (const key of CHANGED_LATER) {
    if (key.startsWith('user:')) world.account(nameOf(key), { bio: text });
    else world.repository(nameOf(key), { description: text });
  }
  world.commit(world.find('harbour-works/lantern')!, [{ message: text }]);
  world.find('harbour-works/tide-table')!.stars += 1;
}
