import { keyOf, tableNamed } from '../../../schemas/index.ts';
import type { PushPart, PushResult } from '../../contract/push.ts';
import { StepError } from '../../errors.ts';
import { policyOf } from '../../failure-policy.ts';
import type { Engine } from '../engine.ts';
import type { Accepted } from '../journal/changes.ts';
import { PushConflict, pushDigest } from '../journal/pushes.ts';

const CONFLICT_HINT =
  'Repeat the request as it was, or send what is new under another key. Nothing of these lines was accepted now.';

/**
 * Takes one part of a request that pushes rows: journals them, with a mark for each line, in one transaction. Lines that
 * are marked already are left out, so a part may be sent again. Refuses a whole part, with the reason, while the journal
 * or the object's database is full, the lake holds files of an earlier journal, or the bucket does not answer; also one
 * whose key came before with another row in the same line.
 */
export async function takePush(engine: Engine, { identity, table: name, rows }: PushPart): Promise<PushResult> {
  const { journal, ports } = engine;
  try {
    // Check now, because these may be the object's first rows: a later check would take their files for foreign ones.
    await engine.checkLake();
    engine.checkRoom();
    // A pushed row may have a key that is new here.
    engine.checkNewKeys();
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    const refused = { message: error.message, hint: policyOf(error.kind).hint };
    return { refused, accepted: 0, repeated: 0 };
  }
  const table = tableNamed(name);
  const changeOf = (line: number, key: string): Accepted['change'] => {
    const cursor = `push/${identity}/${line}`;
    return { key, cursor, deleted: false, revision: null, skip: null };
  };
  const append = () =>
    journal.appendPush(identity, {
      lines: rows.map(({ line, row }) => ({
        line,
        digest: pushDigest(name, row),
        change: changeOf(line, keyOf(table, row)),
        outcome: {
          kind: 'rows',
          rows: [{ table: name, op: 'upsert', row }],
          revision: null,
          documentBytes: 0,
        },
      })),
      nowMs: ports.clock.now(),
    });
  let accepted: number;
  try {
    accepted = append();
  } catch (error) {
    if (!(error instanceof PushConflict)) throw error;
    const refused = { message: error.message, hint: CONFLICT_HINT, isFinal: true };
    return { refused, accepted: 0, repeated: 0 };
  }
  await engine.arm();
  ports.log('push_accepted', { source: engine.source.id, table: name, rows: accepted });
  return { refused: null, accepted, repeated: rows.length - accepted };
}
