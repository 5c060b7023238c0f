import { describe, expect, it } from 'vitest';
import { watchSources } from '../../src/api/health.ts';
import { SettingError } from '../../src/errors.ts';
import { fakeApi } from './fake-sources.ts';

describe('the watchdog', () => {
  it('is called for every enabled source, once each', async () => {
    const { env, known, calls } = fakeApi({ SOURCES: 'pypi,npm,pypi' });
    await watchSources(env, known);
    expect(calls.toSorted()).toEqual(['npm watch', 'pypi watch']);
  });

  it('is not called for a source that is not enabled', async () => {
    const { env, known, calls } = fakeApi();
    await watchSources(env, known);
    expect(calls).toEqual(['npm watch']);
  });

  it('is called for the others when one fails, and the failure is logged', async () => {
    const { env, known, calls, stubs, logged } = fakeApi({ SOURCES: 'npm,pypi' });
    stubs.npm!.watch = () => {
      throw new Error('broken');
    };
    await watchSources(env, known);
    expect(calls).toEqual(['pypi watch']);
    expect(logged).toEqual([{ event: 'watch_failed', source: 'npm', message: 'broken' }]);
  });

  it('refuses an unknown source, with the names of the known ones', async () => {
    const { env, known } = fakeApi({ SOURCES: 'crates' });
    const watched = watchSources(env, known);
    await expect(watched).rejects.toThrow(SettingError);
    await expect(watched).rejects.toThrow('SOURCES: expected ids out of npm, pypi, got "crates"');
  });
});
