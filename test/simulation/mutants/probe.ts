import { type Mutant, scene } from './mutant.ts';

const AGENDA = 'src/engine/journal/agenda.ts';
const VISITS = 'src/engine/journal/visits.ts';
const PICK = 'src/engine/follow/visits.ts';
const ADMISSION = 'src/engine/load/admission.ts';
const VISITOR = 'src/engine/follow/visitor.ts';
const IDENTITIES = 'src/engine/journal/row-identities.ts';

const ONE_KEY = 'a key that fails its probe holds no other up';
const NO_PERMIT = 'keys that changed and wait for a permit hold no other up';
const MOVED = 'a key that moves keeps what its visits found';
const TAKEN = 'a deletion counts only for the thing that has its key';
const WHOLE = 'a key is visited until all its work is done';
const QUOTA = 'a host whose quota is used up is not asked before its reset';
const SHARED = 'first visits and revisits share a host';

/** Mutants of a probe, of keys that move or have more work, and of what a push does to visits. */
export const PROBE_MUTANTS: Mutant[] = [
  {
    name: 'host whose quota is used up is asked on',
    breaks: QUOTA,
    caughtBy: scene('a host whose quota is used up'),
    edits: [{ file: ADMISSION, text: 'this.#heedQuota(tally, nowMs);', instead: '' }],
  },
  {
    name: 'host whose quota is used up is asked again at half of its reset',
    breaks: QUOTA,
    caughtBy: scene('a host whose quota is used up'),
    edits: [{ file: ADMISSION, text: 'Math.max(0, quota.resetMs)', instead: 'quota.resetMs / 2' }],
  },
  {
    name: 'request of a probe that fails is not halved',
    breaks: ONE_KEY,
    caughtBy: scene('a key that fails its probe'),
    edits: [
      {
        file: 'src/loader/probe.ts',
        text: 'waiting.unshift(asked.slice(0, half), asked.slice(half));',
        instead:
          "for (const index of [...asked.slice(0, half), ...asked.slice(half)]) answers[index] = { kind: 'failed', reason: messageOf(error) };",
      },
    ],
  },
  {
    name: 'key that fails its probe stays due',
    breaks: ONE_KEY,
    caughtBy: scene('a key that fails its probe'),
    edits: [{ file: VISITOR, text: 'this.#putOff(failed);', instead: '' }],
  },
  {
    name: 'key that fails its probe is loaded',
    breaks: ONE_KEY,
    caughtBy: scene('a key that fails its probe'),
    edits: [
      {
        file: VISITOR,
        text: 'const visited = await this.#visit(changed, load, run);',
        instead:
          'changed.push(...probe.filter(({ key }) => failed.some(one => one.key === key)));\n      const visited = await this.#visit(changed, load, run);',
      },
    ],
  },
  {
    name: 'changed key without a permit stays due',
    breaks: NO_PERMIT,
    caughtBy: scene('changed keys of a blocked host'),
    edits: [
      {
        file: VISITOR,
        text: 'if (waiting.length > 0) this.#agenda.postpone(waiting, dueMs);',
        instead: 'void [waiting, dueMs];',
      },
    ],
  },
  {
    name: 'change without a permit ends a slice of visits',
    breaks: NO_PERMIT,
    caughtBy: scene('changed keys of a blocked host'),
    edits: [{ file: 'src/engine/load/slices.ts', text: 'if (spread) continue;', instead: '' }],
  },
  {
    name: 'moved key begins anew',
    breaks: MOVED,
    caughtBy: scene('a key that moves'),
    edits: [
      {
        file: AGENDA,
        text: "this.#sql.exec('UPDATE agenda SET key = ?, space = ? WHERE key = ?', to.key, space, key);",
        instead:
          "this.#sql.exec('UPDATE agenda SET key = ?, space = ?, revisit = 0, facts = NULL WHERE key = ?', to.key, space, key);",
      },
    ],
  },
  {
    name: 'moved key watched under both names',
    breaks: MOVED,
    caughtBy: scene('a key that moves'),
    edits: [
      {
        file: VISITS,
        text: 'this.#agenda.rename(key, moved);',
        instead: 'this.#agenda.add(moved, 0);',
      },
    ],
  },
  {
    name: 'deletion of a name that another thing has taken',
    breaks: TAKEN,
    caughtBy: scene('a name that another key takes'),
    edits: [
      {
        file: IDENTITIES,
        text: "if (op === 'delete' && (current === null || (identity !== '' && identity !== current))) return null;",
        instead: "if (op === 'delete' && current === null) return null;",
      },
    ],
  },
  {
    name: 'things of rows kept in memory only',
    breaks: TAKEN,
    caughtBy: scene('a name that another key takes'),
    edits: [{ file: 'src/engine/journal/entries.ts', text: 'this.#identities.write();', instead: '' }],
  },
  {
    name: 'unfinished visit waits for its interval',
    breaks: WHOLE,
    caughtBy: scene('a key with several visits of work'),
    edits: [
      { file: VISITS, text: 'const { atMs, reason } = seen?.unfinished', instead: 'const { atMs, reason } = false' },
    ],
  },
  {
    name: 'unfinished visit is probed',
    breaks: WHOLE,
    caughtBy: scene('a key with several visits of work'),
    edits: [
      { file: VISITS, text: 'seen && !isOvertaken ? (seen.unfinished ? 0 : 1) : null,', instead: 'seen ? 1 : null,' },
    ],
  },
  {
    name: 'first visits get no room beside revisits',
    breaks: SHARED,
    caughtBy: scene('first visits beside revisits'),
    edits: [
      {
        file: PICK,
        text: 'this.#reserved.set(host, Math.min(count, Math.floor((this.#leftOf(host) + odd) / 2)));',
        instead: 'this.#reserved.set(host, Math.min(count * odd, 0));',
      },
    ],
  },
  {
    name: 'first visits go before revisits',
    breaks: SHARED,
    caughtBy: scene('first visits beside revisits'),
    edits: [
      {
        file: PICK,
        text: 'this.#reserved.set(host, Math.min(count, Math.floor((this.#leftOf(host) + odd) / 2)));',
        instead: 'this.#reserved.set(host, Math.min(count, this.#leftOf(host) + odd));',
      },
    ],
  },
];
