import { agendaSchedules, DOUBLED, type Mutant, NEWEST, pageSchedules, scene } from './mutant.ts';

const ENTRIES = 'src/engine/journal/entries.ts';
const JOURNAL = 'src/engine/journal/journal.ts';
const KEYS = 'src/engine/journal/immutable-keys.ts';

const KNOWN = 'const known = this.#knownOf(rows);';
const FULL = 'a full database takes no new keys, and all else goes on';
const ONCE = 'an immutable table has one row of each key';

/** Mutants of immutable tables, of what makes a visit's digest void, and of a full database. */
export const IMMUTABLE_MUTANTS: Mutant[] = [
  {
    name: 'known row of an immutable table appended again',
    breaks: ONCE,
    caughtBy: pageSchedules(),
    edits: [{ file: ENTRIES, text: KNOWN, instead: 'const known = this.#knownOf([]);' }],
  },
  {
    name: 'pushed row of an immutable table not held against its keys',
    breaks: ONCE,
    caughtBy: scene('a row of an immutable table that comes again'),
    edits: [
      {
        file: ENTRIES,
        text: KNOWN,
        instead: 'const known = this.#knownOf(isPush ? [] : rows);',
      },
    ],
  },
  {
    name: 'keys of an immutable table kept in memory only',
    breaks: ONCE,
    caughtBy: pageSchedules(),
    edits: [{ file: ENTRIES, text: 'this.#immutableKeys.write();', instead: '' }],
  },
  {
    name: 'keys of an immutable table written without those of the block before',
    breaks: ONCE,
    caughtBy: scene('a row of an immutable table that comes again'),
    edits: [
      { file: KEYS, text: 'const sorted = merged(digests, ', instead: 'const sorted = merged(new Uint8Array(), ' },
    ],
  },
  {
    name: 'row of an immutable table left out with its change',
    breaks: DOUBLED,
    caughtBy: pageSchedules(),
    edits: [
      {
        file: JOURNAL,
        text: "countOutcome(this.#sql, rows.length === 0 ? 'skipped:unchanged' :",
        instead: "countOutcome(this.#sql, rows.length < outcome.rows.length ? 'skipped:unchanged' :",
      },
    ],
  },
  {
    name: 'push leaves the digest of the last visit',
    breaks: NEWEST,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: JOURNAL,
        text: 'for (const key of overtaken) this.agenda?.forgetDigests(key);',
        instead: 'void overtaken;',
      },
    ],
  },
  {
    name: 'digest of the last visit stays when the row is pushed',
    breaks: NEWEST,
    caughtBy: scene('a visit, a push, the same visit'),
    edits: [
      {
        file: 'src/engine/journal/key-index.ts',
        text: 'if (row.isPush) this.overtaken.add(changeKey);',
        instead: 'if (row.isPush) void changeKey;',
      },
    ],
  },
  {
    name: 'new key watched while the database is full',
    breaks: FULL,
    caughtBy: scene('a database that is full'),
    edits: [
      {
        file: 'src/engine/controls/watched-keys.ts',
        text: 'if (refused) return {',
        instead: 'if (refused && keys.length === 0) return {',
      },
    ],
  },
  {
    name: 'no visit while the database is full',
    breaks: FULL,
    caughtBy: scene('a database that is full'),
    edits: [
      {
        file: 'src/engine/engine.ts',
        text: 'this.#checkDatabase(this.room.limits.bytesStop);',
        instead: 'this.checkNewKeys();',
      },
    ],
  },
];
