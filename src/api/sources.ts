import { readSettings } from '../config.ts';
import { SettingError } from '../errors.ts';
import { ApiError, answer } from './answer.ts';
import type { ApiEnv, ControlAction, Known, SourceStub } from './forms.ts';

/** Controls have no parameter: their body is empty, or an object without fields. */
const CONTROL_BODY_LENGTH_MAX = 1_000;

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
  checkControlBody(await request.text());
  if (action === 'start' && !enabledSources(env, known).includes(id)) {
    throw new ApiError('conflict', `${id} is not enabled, so it stays paused.`, 'Name it in the setting SOURCES.');
  }
  return answer(await stub.control(action));
}

function stubOf(env: ApiEnv, known: Known, id: string): SourceStub {
  if (!known.sources.some(source => source.id === id)) {
    throw new ApiError('not_found', 'There is no source of this name.', `Known sources: ${idsOf(known)}.`);
  }
  return env.SOURCES_NS.getByName(id);
}

function idsOf({ sources }: Pick<Known, 'sources'>): string {
  return sources.map(({ id }) => id).join(', ');
}

function checkControlBody(text: string): void {
  if (text.trim() === '') return;
  const hint = 'Send no body; a control has no parameter.';
  const body = text.length > CONTROL_BODY_LENGTH_MAX ? undefined : parsed(text);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError('invalid_body', 'body: expected nothing or a JSON object, got something else', hint);
  }
  const [field] = Object.keys(body);
  if (field !== undefined) {
    throw new ApiError('invalid_body', `body: expected no field, got ${JSON.stringify(field)}`, hint);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
