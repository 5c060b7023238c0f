import { agendaSchedules, DOUBLED, LOST, type Mutant, NEWEST, scene } from './mutant.ts';

const AGENDA = 'src/engine/journal/agenda.ts';
const VISITS = 'src/engine/journal/visits.ts';
const PICK = 'src/engine/follow/visits.ts';
const VISITOR = 'src/engine/follow/visitor.ts';
const JOURNAL = 'src/engine/journal/journal.ts';

const FORGOTTEN = 'every watched key is visited when it is due';
const TWICE = 'a due time has one outcome';
const EARLY = 'no key is visited before it is due, and no host before its block is over';
const STARVED = 'a host that is slow or blocked delays no key of another host';
const UNWATCHED = 'a key that is not watched gives no row';

/** Mutants of an agenda: due times, the outcome of a visit, and hosts next to each other. */
export const AGENDA_MUTANTS: Mutant[] = [
  {
    name: 'next due time written after the append',
    breaks: TWICE,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: VISITS,
        text: `this.#sql.exec(
      \`UPDATE agenda SET due_ms = ?, reason = ?,`,
        instead: `const later = (...given: Parameters<SqlPort['exec']>) => queueMicrotask(() => void this.#sql.exec(...given));
    later(
      \`UPDATE agenda SET due_ms = ?, reason = ?,`,
      },
    ],
  },
  {
    name: 'next due time counted from the start of the visit',
    breaks: EARLY,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: VISITOR,
        text: 'const visited = await this.#visit(changed, load, run);',
        instead:
          'const startedMs = this.#ports.clock.now();\n      const visited = await this.#visit(changed, load, run);',
      },
      { file: VISITOR, text: 'this.#append(visited);', instead: 'this.#append(visited, startedMs);' },
      {
        file: VISITOR,
        text: '#append(visited: Accepted[]): void {\n    if (visited.length === 0) return;\n    const nowMs = this.#ports.clock.now();',
        instead:
          '#append(visited: Accepted[], nowMs = this.#ports.clock.now()): void {\n    if (visited.length === 0) return;',
      },
    ],
  },
  {
    name: 'unchanged key keeps its old due time',
    breaks: TWICE,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: VISITS,
        text: 'this.#schedule(watched, {\n      nowMs,\n      outcome: !seen.found ?',
        instead:
          "if (isSame) return { kind: 'skip', reason: 'unchanged' };\n    this.#schedule(watched, {\n      nowMs,\n      outcome: !seen.found ?",
      },
    ],
  },
  {
    name: 'retried key keeps its old due time',
    breaks: TWICE,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: JOURNAL,
        text: 'const visited = this.#acceptVisit({ change, outcome: judged, evidenceVersion }, nowMs);',
        instead: 'const visited = { change, outcome: judged };',
      },
    ],
  },
  {
    name: 'parked key visited when due',
    breaks: EARLY,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: AGENDA,
        text: `AND due_ms <= ?2
           AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.key = agenda.key AND died_ms IS NULL)`,
        instead: 'AND due_ms <= ?2',
      },
    ],
  },
  {
    name: 'key of a failed visit due at once',
    breaks: EARLY,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: VISITS,
        text: 'const stretchedMs = nowMs + (atMs - nowMs) *',
        instead: "const stretchedMs = outcome === 'failed' ? nowMs : nowMs + (atMs - nowMs) *",
      },
    ],
  },
  {
    name: 'key of a failed visit due before Retry-After',
    breaks: EARLY,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: VISITS,
        text: "const retryAfterMs = outcome.kind === 'park' ? outcome.retryAfterMs : null;",
        instead: 'const retryAfterMs = null;',
      },
    ],
  },
  {
    name: 'removed key still gives a row',
    breaks: UNWATCHED,
    caughtBy: agendaSchedules({ from: 38 }),
    edits: [
      {
        file: VISITS,
        text: "if (!watched) return { kind: 'skip', reason: 'unwatched' };",
        instead: 'if (!watched) return outcome;',
      },
    ],
  },
  {
    name: 'parked change of a removed key stays',
    breaks: UNWATCHED,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: JOURNAL,
        text: "countOutcome(this.#sql, 'skipped:unwatched', this.parked.removeAllOf(key, { ...status, nowMs }));",
        instead: 'void [key, status, nowMs];',
      },
    ],
  },
  {
    name: 'key added again keeps its old digest',
    breaks: NEWEST,
    caughtBy: agendaSchedules({ from: 22 }),
    edits: [
      {
        file: AGENDA,
        text: 'remove(key: string): boolean {',
        instead: 'remove(key: string): boolean {\n    FORMER.set(key, this.find(key)?.digest ?? null);',
      },
      {
        file: AGENDA,
        text: "this.#sql.exec('UPDATE agenda_spaces SET keys = keys + 1 WHERE id = ?', id);",
        instead: `this.#sql.exec('UPDATE agenda_spaces SET keys = keys + 1 WHERE id = ?', id);
    this.#sql.exec('UPDATE agenda SET digest = ? WHERE key = ?', FORMER.get(key) ?? null, key);`,
      },
      {
        file: AGENDA,
        text: '/**\n * The agenda in the object',
        instead: 'const FORMER = new Map<string, string | null>();\n\n/**\n * The agenda in the object',
      },
    ],
  },
  {
    name: 'partial answer compared with the whole digest',
    breaks: NEWEST,
    caughtBy: agendaSchedules({ from: 38 }),
    edits: [
      {
        file: VISITS,
        text: 'const isTableSame = (table: string) =>\n    partial ? mainDigest === main_digest : before',
        instead: 'const isTableSame = (table: string) =>\n    before',
      },
      {
        file: VISITS,
        text: 'const isSame = digest !== null && (partial ? mainDigest === main_digest : tables',
        instead: 'const isSame = digest !== null && (tables',
      },
    ],
  },
  {
    name: 'partial answer replaces the whole digest',
    breaks: NEWEST,
    caughtBy: agendaSchedules({ from: 38 }),
    edits: [
      {
        file: VISITS,
        text: 'digests: partial && isSame ? null :',
        instead: 'digests:',
      },
    ],
  },
  {
    name: 'removed key still counted in its space',
    breaks: LOST,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: AGENDA,
        text: "this.#sql.exec('UPDATE agenda_spaces SET keys = keys - 1 WHERE id = ?', removed.space);",
        instead: '',
      },
    ],
  },
  {
    name: 'request to a host that is still blocked',
    breaks: EARLY,
    caughtBy: agendaSchedules(),
    edits: [
      {
        file: 'src/engine/load/admission.ts',
        text: 'if (blockedUntilMs > nowMs) return { count: 0, atMs: blockedUntilMs };',
        instead: '',
      },
    ],
  },
  {
    name: 'unanswered visits not parked',
    breaks: STARVED,
    caughtBy: agendaSchedules({ from: 54 }),
    edits: [
      {
        file: 'src/engine/load/slices.ts',
        text: 'for (const { index, park } of slice.unanswered) outcomes[index] = park;',
        instead: 'void slice.unanswered;',
      },
    ],
  },
  {
    name: 'due time of a clock that was ahead stays',
    breaks: FORGOTTEN,
    caughtBy: scene('a clock that was a year ahead'),
    edits: [
      {
        file: VISITOR,
        text: 'this.#agenda.correctDueTimes(this.#ports.clock.now());',
        instead: '',
      },
    ],
  },
  {
    name: 'first space always served first',
    breaks: STARVED,
    caughtBy: scene('spaces that share a host'),
    edits: [
      {
        file: PICK,
        text: 'const next = first % Math.max(1, spaces.length);',
        instead: 'const next = first * 0;',
      },
    ],
  },
  {
    name: 'Retry-After of a host ignored',
    breaks: EARLY,
    caughtBy: scene('a host that sends Retry-After'),
    edits: [
      {
        file: 'src/engine/load/admission.ts',
        text: 'const waitMs = Math.max(backoffMs(strikes), Math.min(tally.retryAfterMs ?? 0, LIMITS.retryAfterMsMax));',
        instead: 'const waitMs = backoffMs(strikes);',
      },
    ],
  },
  {
    name: 'slice waits for changes that are loaded alone',
    breaks: STARVED,
    caughtBy: scene('a slow host whose keys are loaded alone'),
    edits: [
      {
        file: 'src/engine/load/slices.ts',
        text: 'if (turn > 0 && this.#isLate(slice)) break;',
        instead: '',
      },
    ],
  },
  {
    name: 'deletion of a deleted key appended again',
    breaks: DOUBLED,
    caughtBy: scene('a deleted key that is added again'),
    edits: [
      {
        file: VISITS,
        text: "if (!seen.found && rowState !== 'present')",
        instead: "if (!seen.found && rowState === 'missing')",
      },
      // The simulated table has an identity, which refuses such a deletion too.
      {
        file: 'src/engine/journal/row-identities.ts',
        text: "if (op === 'delete' && (current === null || (identity !== '' && identity !== current))) return null;",
        instead: '',
      },
    ],
  },
  {
    name: 'visit waits for a blocked second host',
    breaks: STARVED,
    caughtBy: scene('a second host that is blocked'),
    edits: [
      {
        file: PICK,
        text: 'return this.#takes({ space, change: alone }) ? alone : null;',
        instead: 'return isBlocked ? null : this.#takes({ space, change: alone }) ? alone : null;',
      },
    ],
  },
];
