import { keyOf, tableNamed } from '../../../schemas/index.ts';
import type { Pushed, PushedPart } from '../../contract/controls.ts';
import { StepError } from '../../errors.ts';
import { policyOf } from '../../failure-policy.ts';
import type { Engine } from '../engine.ts';
import type { Accepted } from '../journal/changes.ts';

/**
 * Takes one part of a request whose rows somebody pushes: in the journal, with a mark for each line, in one
 * transaction. What is marked already is left out, so that a part may be sent again. Refuses all of a part, and says
 * why, while the journal is full, the lake is another's, or the bucket does not answer.
 */
export async function takePush(engine: Engine, { identity, table: name, rows }: PushedPart): Promise<Pushed> {
  const { journal, ports } = engine;
  try {
    // These may be the object's first rows: their own files would be foreign to a look that came later.
    await engine.checkLake();
    engine.checkRoom();
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
  const accepted = journal.appendPush(identity, {
    lines: rows.map(({ line, row }) => ({
      line,
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
  await engine.arm();
  ports.log('push_accepted', { source: engine.source.id, table: name, rows: accepted });
  return { refused: null, accepted, repeated: rows.length - accepted };
}
