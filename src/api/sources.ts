import { readSettings } from '../config.ts';
import type { ControlAction } from '../contract/controls.ts';
import type { SourceStub } from '../contract/objects.ts';
import { SettingError } from '../errors.ts';
import { ApiError, answer } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiEnv, Known } from './env.ts';

/** Ids of the sources the setting SOURCES names. Throws `SettingError` when it names one that is not known. */
export function enabledSources(env: ApiEnv, { sources }: Pick<Known, 'sources'>): string[] {
  const ids = [...new Set(readSettings({ ...env }).sources)];
  const unknown = ids.find(id => !sources.some(source => source.id === id));
  if (unknown === undefined) return ids;
  throw new SettingError(`SOURCES: expected ids out of ${idsOf({ sources })}, got ${JSON.stringify(unknown)}`);
}

/** Status of every source. */
export async function listSources(env: ApiEnv, known: Known): Promise<Response> {
  return answer({ sources: await Promise.all(known.sources.map(({ id }) => env.SOURCES_NS.getByName(id).status())) });
}

/** Status of one source. */
export async function showSource(env: ApiEnv, known: Known, id: string): Promise<Response> {
  return answer(await stubOf(env, known, id).status());
}

/** Starts, pauses or flushes a source. */
export async function controlSource(
  env: ApiEnv,
  known: Known,
  { id, action, request }: { id: string; action: ControlAction; request: { text(): Promise<string> } },
): Promise<Response> {
  const stub = stubOf(env, known, id);
  readBody(await request.text(), { fields: [], hint: 'Send no body; a control has no parameter.' });
  if (action === 'start' && !enabledSources(env, known).includes(id)) {
    throw new ApiError('conflict', `${id} is not enabled, so it stays paused.`, 'Name it in the setting SOURCES.');
  }
  return answer(await stub.control(action));
}

/** What a source's object answers within so many milliseconds. Throws what it throws, or that it is late. */
export function askSource<T>(
  env: ApiEnv,
  { id, subject, ms }: { id: string; subject: string; ms: number },
  ask: (stub: SourceStub) => Promise<T>,
): Promise<T> {
  return within(
    Promise.resolve().then(() => ask(env.SOURCES_NS.getByName(id))),
    { subject, ms },
  );
}

/** An answer within so many milliseconds. Throws what it was answered with, or that it is late. */
export async function within<T>(asked: Promise<T>, { subject, ms }: { subject: string; ms: number }): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${subject}: expected an answer within ${ms} ms, got none`)), ms);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The object of a source. Throws `not_found` for one that is not known. */
export function stubOf(env: ApiEnv, known: Known, id: string): SourceStub {
  if (!known.sources.some(source => source.id === id)) {
    throw new ApiError('not_found', 'There is no source of this name.', `Known sources: ${idsOf(known)}.`);
  }
  return env.SOURCES_NS.getByName(id);
}

function idsOf({ sources }: Pick<Known, 'sources'>): string {
  return sources.map(({ id }) => id).join(', ');
}
