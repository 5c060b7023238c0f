import type { Source } from '../../sources/source.ts';
import { plainText } from '../program.ts';
import type { Difference, Found } from './differences.ts';
import { REQUESTS_MAX } from './permits.ts';

/** The result of a probe, as `--json` prints it. */
export interface Result {
  source: string;
  keys: readonly string[];
  /** Requests sent, by host. */
  requests: Record<string, number>;
  /** How many answers of each kind were compared with how many recorded ones. */
  kinds: { kind: string; live: number; recorded: number }[];
  differences: Difference[];
  refused: string[];
  unanswered: string[];
  exit_code: number;
}

/** Unread paths printed of one kind: some documents have hundreds of fields of their authors' own. */
const UNREAD_MAX = 20;

/** A longer path has keys that are an upstream's data. */
const PATH_LENGTH_MAX = 120;

/** What a probe is about to ask, and whom. */
export function planText(
  source: Source,
  { settings, keys, contact }: { settings: unknown; keys: readonly string[]; contact: string | null },
): string {
  const changes = keys.map(key => ({ key, cursor: '0', deleted: false, revision: null, skip: null }));
  const steps = (['pull', 'list', 'prepare', 'load'] as const).flatMap(step =>
    Object.entries(source.requests(step, changes, settings)).map(
      ([host, count]) => `  ${step.padEnd(9)}${host}: ${count} at most`,
    ),
  );
  const lines = [
    `${source.id}: reads from its upstream, at its own pace and with at most ${REQUESTS_MAX} requests`,
    ...steps,
    ...(contact === null ? ['  CONTACT is not set: the upstream cannot tell who asks'] : []),
    `  ${'keys'.padEnd(9)}${keys.join(', ')}${source.agenda?.directory ? ', of the servers that the upstream names' : ''}`,
  ];
  return `${plainLines(lines)}\n`;
}

/** The result for a person: each path that differs, what had no answer, and counts. */
export function resultText(result: Result): string {
  const { kinds, differences, refused, unanswered, requests, exit_code } = result;
  const read = differences.filter(difference => difference.read).length;
  const compared = kinds.filter(({ recorded }) => recorded > 0);
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  const lines = [
    ...kinds.flatMap(kind =>
      linesOf(
        kind,
        differences.filter(difference => difference.kind === kind.kind),
      ),
    ),
    ...refused.map(message => `refused: ${message}`),
    ...unanswered.map(message => `no answer: ${message}`),
    `Requests: ${sum(Object.values(requests))}. Answers and rows: ${sum(compared.map(({ live }) => live))}, compared ` +
      `with ${sum(compared.map(({ recorded }) => recorded))} recorded ones. Kinds: ${compared.length}.`,
    `Paths that differ: ${read} read, ${differences.length - read} unread. Refused: ${refused.length}. Hosts or keys ` +
      `without an answer: ${unanswered.length}. ${VERDICTS[exit_code]}`,
  ];
  return `${plainLines(lines)}\n`;
}

const VERDICTS: Record<number, string> = {
  0: 'The recordings have the forms of these answers.',
  1: 'The recordings are not true any more.',
  2: 'Not everything could be compared.',
};

function linesOf({ kind, live, recorded }: Result['kinds'][number], differences: readonly Difference[]): string[] {
  if (recorded === 0) return [`${kind}: ${live} here, none recorded to compare with`];
  const read = differences.filter(difference => difference.read);
  const unread = differences.filter(difference => !difference.read);
  const hidden = unread.length - UNREAD_MAX;
  return [
    `${kind}: ${live} here, ${recorded} recorded${differences.length === 0 ? ', the same form' : ''}`,
    ...read.map(differenceLine),
    ...unread.slice(0, UNREAD_MAX).map(differenceLine),
    ...(hidden > 0 ? [`  and ${hidden} more that the source does not read (--json prints all)`] : []),
  ];
}

function differenceLine({ path, change, read, recorded, live }: Difference): string {
  const facts = {
    missing: `recorded: ${foundText(recorded)}`,
    new: `here: ${foundText(live)}`,
    type: `here: ${live.types.join(' or ')}; recorded: ${recorded.types.join(' or ')}`,
  };
  const shown = path.length > PATH_LENGTH_MAX ? `${path.slice(0, PATH_LENGTH_MAX)}…` : path || '(the answer)';
  return `  ${change.padEnd(8)}${read ? 'read    ' : 'unread  '}${shown}  (${facts[change]})`;
}

function foundText({ types, answers, of }: Found): string {
  return `${types.join(' or ')} in ${answers} of ${of}`;
}

function plainLines(lines: string[]): string {
  return lines.map(plainText).join('\n');
}
