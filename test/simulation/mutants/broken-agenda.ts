import type { SceneName } from '../schedules/directed.ts';
import { type Broken, DOUBLED, inScene, LOST, NEWEST } from './broken-form.ts';

const AGENDA = 'src/engine/journal/agenda.ts';
const PICK = 'src/engine/follow/visits.ts';
const VISITOR = 'src/engine/follow/visitor.ts';
const JOURNAL = 'src/engine/journal/journal.ts';

const FORGOTTEN = 'no key is forgotten';
const TWICE = 'one outcome for one due time';
const EARLY = 'none is visited early';
const STARVED = 'none is starved by a host that is not its own';
const UNWATCHED = 'what is not watched gives no row';

type Edit = Broken['edits'][number];

/** Seen in random schedules of an agenda, of which every eighth seed is one. */
const visiting = (name: string, breaks: string, ...edits: Edit[]): Broken => ({
  name,
  breaks,
  edits,
  firstSeed: 6,
  seeds: 60,
  apart: 8,
});

const playing = (scene: SceneName, name: string, breaks: string, edit: Edit): Broken =>
  inScene(scene, name, breaks, edit);

/** Mistakes with an agenda: what is due, what a visit comes to, and hosts beside each other. */
export const BROKEN_AGENDA: Broken[] = [
  visiting('due again outside the append', TWICE, {
    file: AGENDA,
    text: `this.#sql.exec(
      \`UPDATE agenda SET due_ms = ?, reason = ?,`,
    instead: `const later = (...given: Parameters<SqlPort['exec']>) => queueMicrotask(() => void this.#sql.exec(...given));
    later(
      \`UPDATE agenda SET due_ms = ?, reason = ?,`,
  }),
  visiting(
    'due again from the start of the visit',
    EARLY,
    {
      file: VISITOR,
      text: 'const { outcomes } = await',
      instead: 'const startedMs = this.#ports.clock.now();\n      const { outcomes } = await',
    },
    { file: VISITOR, text: 'this.#append(visited);', instead: 'this.#append(visited, startedMs);' },
    {
      file: VISITOR,
      text: '#append(visited: Accepted[]): void {\n    if (visited.length === 0) return;\n    const nowMs = this.#ports.clock.now();',
      instead: '#append(visited: Accepted[], nowMs: number): void {\n    if (visited.length === 0) return;',
    },
  ),
  visiting('not due again when unchanged', TWICE, {
    file: AGENDA,
    text: 'const visitOutcome = !seen.found ?',
    instead: "if (isSame) return { kind: 'skip', reason: 'unchanged' };\n    const visitOutcome = !seen.found ?",
  }),
  visiting('not due again by another look', TWICE, {
    file: JOURNAL,
    text: 'const visited = this.#acceptVisit({ change, outcome: judged }, nowMs);',
    instead: 'const visited = { change, outcome: judged };',
  }),
  visiting('parked key visited as due', EARLY, {
    file: AGENDA,
    text: `AND due_ms <= ?2
           AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.key = agenda.key AND died_ms IS NULL)`,
    instead: 'AND due_ms <= ?2',
  }),
  visiting('failed visit due at once', EARLY, {
    file: AGENDA,
    text: 'Math.round(atMs),',
    instead: "outcome === 'failed' ? nowMs : Math.round(atMs),",
  }),
  visiting('failed visit due before its host has said', EARLY, {
    file: AGENDA,
    text: "const retryAfterMs = outcome.kind === 'park' ? outcome.retryAfterMs : null;",
    instead: 'const retryAfterMs = null;',
  }),
  visiting('removed key still gives its row', UNWATCHED, {
    file: AGENDA,
    text: "if (!watched) return { kind: 'skip', reason: 'unwatched' };",
    instead: 'if (!watched) return outcome;',
  }),
  visiting('what is parked of a removed key stays', UNWATCHED, {
    file: JOURNAL,
    text: "countOutcome(this.#sql, 'skipped:unwatched', this.parked.removeAllOf(key, { ...status, nowMs }));",
    instead: 'void [key, status, nowMs];',
  }),
  visiting(
    'key added again takes the old digest',
    NEWEST,
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
  ),
  visiting('part compared with the whole', NEWEST, {
    file: AGENDA,
    text: 'const isSame = seen.partial ? seen.mainDigest === watched.main_digest : seen.digest === watched.digest;',
    instead: 'const isSame = seen.digest === watched.digest;',
  }),
  visiting('whole compared with the last part', NEWEST, {
    file: AGENDA,
    text: 'const digests = seen && !(seen.partial && isSame) ? seen : null;',
    instead: 'const digests = seen;',
  }),
  visiting('spaces that count a key twice', LOST, {
    file: AGENDA,
    text: "if (removed) this.#sql.exec('UPDATE agenda_spaces SET keys = keys - 1 WHERE id = ?', removed.space);",
    instead: '',
  }),
  visiting('host asked before its wait is over', EARLY, {
    file: 'src/engine/load/admission.ts',
    text: 'if (blockedUntilMs > nowMs) return { count: 0, atMs: blockedUntilMs };',
    instead: '',
  }),
  visiting('late visits not parked', STARVED, {
    file: 'src/engine/load/slices.ts',
    text: 'for (const { index, park } of slice.unanswered) outcomes[index] = park;',
    instead: 'void slice.unanswered;',
  }),
  playing('a clock that was a year ahead', 'due time of a clock that was ahead kept', FORGOTTEN, {
    file: VISITOR,
    text: 'this.#agenda.correctDueTimes(this.#ports.clock.now());',
    instead: '',
  }),
  playing('spaces that share a host', 'first space served first', STARVED, {
    file: PICK,
    text: 'const next = first % Math.max(1, spaces.length);',
    instead: 'const next = first * 0;',
  }),
  playing('a host that says when to come again', 'wait of a host not learnt', EARLY, {
    file: 'src/engine/load/admission.ts',
    text: 'const waitMs = Math.max(backoffMs(strikes), Math.min(tally.retryAfterMs ?? 0, LIMITS.retryAfterMsMax));',
    instead: 'const waitMs = backoffMs(strikes);',
  }),
  playing('a slow host whose keys go alone', 'slice held by what goes alone', STARVED, {
    file: 'src/engine/load/slices.ts',
    text: 'if (turn > 0 && this.#isLate(slice)) break;',
    instead: '',
  }),
  playing('a key whose deletion is known', 'deletion given again', DOUBLED, {
    file: AGENDA,
    text: "if (!seen.found && rowState !== 'present')",
    instead: "if (!seen.found && rowState === 'missing')",
  }),
  playing('a second host that is blocked', 'blocked second host waited for', STARVED, {
    file: PICK,
    text: 'return this.#takes(alone) ? alone : null;',
    instead: 'return isBlocked ? null : this.#takes(alone) ? alone : null;',
  }),
];
