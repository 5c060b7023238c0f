import { readSettings } from '../config.ts';
import type { ControlAction } from '../contract/controls.ts';
import type { SourceStub } from '../contract/objects.ts';
import { SettingError } from '../errors.ts';
import { checkFeeds } from '../sources/feeds.ts';
import { within } from '../time.ts';
import { ApiError, answer } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiCall, ApiEnv, Handler, Known } from './env.ts';

/** Ids in the setting SOURCES. Throws `SettingError` when one, or a pair of FEEDS, is unknown. */
export function enabledSources(env: ApiEnv, { sources }: Pick<Known, 'sources'>): string[] {
  const { sources: enabled, feeds } = readSettings({ ...env });
  checkFeeds(feeds, sources);
  const ids = [...new Set(enabled)];
  const unknown = ids.find(id => !sources.some(source => source.id === id));
  if (unknown === undefined) return ids;
  throw new SettingError(`SOURCES: expected ids out of ${idsOf({ sources })}, got ${JSON.stringify(unknown)}`);
}

/** Shows the status of every source. */
export async function listSources({ env, known }: ApiCall): Promise<Response> {
  return answer({ sources: await Promise.all(known.sources.map(({ id }) => env.SOURCES_NS.getByName(id).status())) });
}

/** Shows the status of one source. */
export async function showSource(call: ApiCall): Promise<Response> {
  return answer(await sourceOf(call).stub.status());
}

/** Starts, pauses or flushes a source. */
export function controlSource(action: ControlAction): Handler {
  return async call => {
    const { id, stub } = sourceOf(call);
    await readBody(call.request.body, { fields: [], hint: 'Send no body; a control has no parameter.' });
    if (action === 'start' && !enabledSources(call.env, call.known).includes(id)) {
      throw new ApiError('conflict', `${id} is not enabled, so it stays paused.`, 'Name it in the setting SOURCES.');
    }
    return answer(await stub.control(action));
  };
}

/** Calls the object of a source. Throws the object's error, or one that says it did not answer within `ms`. */
export function callSource<T>(
  env: ApiEnv,
  { id, subject, ms }: { id: string; subject: string; ms: number },
  call: (stub: SourceStub) => Promise<T>,
): Promise<T> {
  return answerWithin(
    // In a callback, because making the stub may throw as well.
    Promise.resolve().then(() => call(env.SOURCES_NS.getByName(id))),
    { subject, ms },
  );
}

/** Waits at most `ms` for an answer. Throws its error, or one that says it is late. */
export function answerWithin<T>(answer: Promise<T>, { subject, ms }: { subject: string; ms: number }): Promise<T> {
  return within(answer, ms, () => new Error(`${subject}: expected an answer within ${ms} ms, got none`));
}

/** The source that the path names in `:id`, and its object. Throws `not_found` for an unknown source. */
export function sourceOf({ env, known, param }: ApiCall): { id: string; stub: SourceStub } {
  const id = param('id');
  return { id, stub: stubOf(env, known, id) };
}

/** The object of a source. Throws `not_found` for an unknown source. */
export function stubOf(env: ApiEnv, known: Known, id: string): SourceStub {
  if (!known.sources.some(source => source.id === id)) {
    throw new ApiError('not_found', 'There is no source of this name.', `Known sources: ${idsOf(known)}.`);
  }
  return env.SOURCES_NS.getByName(id);
}

function idsOf({ sources }: Pick<Known, 'sources'>): string {
  return sources.map(({ id }) => id).join(', ');
}
