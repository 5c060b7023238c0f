import { agendaSchedules, DOUBLED, LOST, type Mutant, scene } from './mutant.ts';

const READER = 'src/engine/follow/inlet.ts';
const INLETS = 'src/engine/journal/inlets.ts';
const EVIDENCE = 'src/engine/journal/evidence.ts';
const AGENDA = 'src/engine/journal/agenda.ts';
const VISITS = 'src/engine/journal/visits.ts';
const RETRIES = 'src/engine/follow/retries.ts';
const LOADER = 'src/loader/inlet.ts';

const FOLD = 'evidence is what the newest row of each key of the feeding table says';
const SEEN = 'a change of evidence is seen by a visit';
const OUT = 'a removed key stays out until a person adds it again';
const ANEW = 'a table that began anew is read from its first row, and nothing of the old one is left';

/** Mutants of inlets and evidence. */
export const INLET_MUTANTS: Mutant[] = [
  {
    name: 'rows of an inlet counted and its LSN left',
    breaks: DOUBLED,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      {
        file: INLETS,
        text: "'UPDATE inlets SET lsn = ?, rows",
        instead: "'UPDATE inlets SET lsn = max(lsn - 1, ? - 1), rows",
      },
    ],
  },
  {
    name: 'rows of an inlet passed over where they name a key that is watched',
    breaks: FOLD,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      {
        file: INLETS,
        text: 'for (const key of this.#evidence.replace(given)) changed.add(key);',
        instead:
          'if (row.findings.some(({ key }) => !this.#agenda.find(key))) for (const key of this.#evidence.replace(given)) changed.add(key);',
      },
    ],
  },
  {
    name: 'inlet not asked again after it has read all',
    breaks: LOST,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      {
        file: READER,
        text: '(isBehind ? 0 : this.#options.pollMs)',
        instead: '(isBehind ? 0 : 10 * 24 * 3_600_000)',
      },
      {
        file: READER,
        text: 'return waitingUntil(this.#known.next_ms, nowMs, this.#options.pollMs);',
        instead: 'return this.#known.next_ms;',
      },
    ],
  },
  {
    name: 'merged file read from its first row on',
    breaks: DOUBLED,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      {
        file: LOADER,
        text: 'rows = await opened.rowsOf(afterLsn + 1);',
        instead: 'rows = await opened.rowsOf(opened.firstLsn);',
      },
    ],
  },
  {
    name: 'what a row said before kept beside what it says now',
    breaks: FOLD,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [{ file: EVIDENCE, text: '      else this.#remove(id);\n', instead: '' }],
  },
  {
    name: 'evidence withdrawn by key and item, whatever row gave it',
    breaks: FOLD,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      {
        file: EVIDENCE,
        text: 'JOIN evidence_keys ON evidence_keys.id = key_id WHERE inlet = ? AND row_key = ?`,',
        instead:
          'JOIN evidence_keys ON evidence_keys.id = key_id WHERE inlet = ?1 AND (key_id, item) IN (SELECT key_id, item FROM evidence WHERE row_key = ?2)`,',
      },
    ],
  },
  {
    name: 'change of evidence without another version',
    breaks: SEEN,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      { file: EVIDENCE, text: 'SET evidence_version = evidence_version + 1', instead: 'SET evidence_version = 1' },
    ],
  },
  {
    name: 'change of evidence that makes no key due',
    breaks: SEEN,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      {
        file: INLETS,
        text: "for (const key of changed) this.#agenda.advance(key, { dueMs: nowMs + this.#settleMs, reason: 'evidence' });",
        instead: '',
      },
    ],
  },
  {
    name: 'visit put off by each change of evidence',
    breaks: SEEN,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [{ file: AGENDA, text: 'SET due_ms = min(due_ms, ?1)', instead: 'SET due_ms = ?1' }],
  },
  {
    name: 'evidence that came during an attempt taken for seen',
    breaks: SEEN,
    caughtBy: scene('evidence that comes during an attempt'),
    edits: [{ file: VISITS, text: 'isOvertaken ? watched.due_ms : ', instead: '' }],
  },
  {
    name: 'attempt at a parked key without its evidence',
    breaks: SEEN,
    caughtBy: scene('evidence that comes before an attempt'),
    edits: [{ file: RETRIES, text: 'change: evidence ? { ...change, evidence } : change,', instead: 'change,' }],
  },
  {
    name: 'change of evidence left to the probe',
    breaks: SEEN,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [{ file: AGENDA, text: ', revisit = 0 WHERE key = ?3', instead: ' WHERE key = ?3' }],
  },
  {
    name: 'removed key added again by a row',
    breaks: OUT,
    caughtBy: scene('a removed key that rows name'),
    edits: [
      {
        file: AGENDA,
        text: "    this.#sql.exec('INSERT INTO removed_keys (key) VALUES (?) ON CONFLICT DO NOTHING', key);\n",
        instead: '',
      },
    ],
  },
  {
    name: 'evidence of a removed key not kept',
    breaks: FOLD,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      {
        file: INLETS,
        text: 'lsn, findings };',
        instead: 'lsn, findings: findings.filter(({ key }) => !this.#agenda.isRemoved(key)) };',
      },
    ],
  },
  {
    name: 'table that began anew read from the old LSN on',
    breaks: ANEW,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [{ file: INLETS, text: 'SET identity = ?, lsn = 0 WHERE', instead: 'SET identity = ? WHERE' }],
  },
  {
    name: 'evidence of a table that began anew kept',
    breaks: ANEW,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      {
        file: INLETS,
        text: '      if (this.find(inlet).items > 0) return false;\n',
        instead: '',
      },
      { file: INLETS, text: 'this.#evidence.dropItems(known.id, DROP_ITEMS)', instead: 'new Set<string>()' },
    ],
  },
];
