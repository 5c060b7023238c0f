import { withoutValue } from '../config.ts';
import type { SourceHealth } from '../contract/source.ts';
import { messageOf } from '../errors.ts';
import { answer, settingMessage } from './answer.ts';
import type { ApiCall, ApiEnv, Known } from './env.ts';
import { callSource, enabledSources } from './sources.ts';
import { withoutSecrets } from './token.ts';

/** A source that has not answered after this counts as unhealthy. */
const HEALTH_MS_MAX = 5_000;

/** Answers 200 when every enabled source is healthy, else 503; the body gives the reason of each. */
export async function showHealth({ env, known }: ApiCall): Promise<Response> {
  const healths = await Promise.all(enabledSources(env, known).map(id => healthOf(env, known, id)));
  const ok = healths.every(health => health.ok);
  const sources = healths.map(({ id, state, reason }) => ({ id, state, reason }));
  return answer({ ok, sources }, ok ? 200 : 503);
}

/** Calls the watchdog of every enabled source; when one call fails, the others still happen. */
export async function watchSources(env: ApiEnv, known: Known): Promise<void> {
  const watches = enabledSources(env, known).map(async id => {
    try {
      await env.SOURCES_NS.getByName(id).watch();
    } catch (error) {
      known.log('watch_failed', { source: id, message: withoutSecrets(messageOf(error), env) });
    }
  });
  await Promise.all(watches);
}

async function healthOf(env: ApiEnv, { log }: Known, id: string): Promise<SourceHealth> {
  try {
    return await callSource(env, { id, subject: 'health', ms: HEALTH_MS_MAX }, stub => stub.health());
  } catch (error) {
    log('health_failed', { source: id, message: withoutSecrets(messageOf(error), env) });
    const setting = settingMessage(error);
    return {
      id,
      state: null,
      ok: false,
      reason: setting === null ? 'The source did not answer.' : withoutValue(setting),
    };
  }
}
