import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SettingError } from '../../../src/errors.ts';
import { localSettings } from '../../../src/sources/pypi/local-settings.ts';
import { pypi } from '../../../src/sources/pypi/pypi.ts';

const URL = 'https://index.example.org';

describe('the settings', () => {
  it('need an index, and say where it may come from', () => {
    expect(() => pypi.settings({})).toThrow(SettingError);
    expect(() => pypi.settings({})).toThrow(/^PYPI_URL: expected .*PIP_INDEX_URL.*, got null$/);
  });

  it('have the feed below the index, unless it is set', () => {
    expect(pypi.settings({ PYPI_URL: `${URL}/` })).toMatchObject({ indexUrl: URL, feedUrl: `${URL}/pypi` });
    const feed = 'https://feed.example.org/RPC2';
    expect(pypi.settings({ PYPI_URL: URL, PYPI_FEED_URL: feed })).toMatchObject({ feedUrl: feed });
  });

  it('show no password of an index', () => {
    expect(() => pypi.settings({ PYPI_URL: 'https://ann:secret@index.example.org' })).toThrow(/got \(hidden\)/);
  });

  it('give the feed permits of its own, and heed its quota', () => {
    const { hosts } = pypi.pace(pypi.settings({ PYPI_URL: URL }));
    expect(hosts['index.example.org/feed']).toEqual({ requestsPerSecond: 1, burst: 2, quota: { field: 'RateLimit' } });
    expect(hosts['index.example.org']).toEqual({ requestsPerSecond: 5, burst: 5 });
    expect(Object.keys(hosts)).toHaveLength(3);
  });
});

describe("pip's configuration", () => {
  const savedPath = process.env.PATH;
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'pip-'));
    process.env.PATH = folder;
  });
  afterEach(() => {
    process.env.PATH = savedPath;
    rmSync(folder, { recursive: true });
  });
  const install = (name: string, script: string) => {
    writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(path.join(folder, name), 0o755);
  };

  it.each([
    ['https://index.example.org/simple', URL],
    ['https://index.example.org/simple/', URL],
    ['https://index.example.org/mirrors/pypi/simple', `${URL}/mirrors/pypi`],
    ['https://index.example.org', URL],
  ])('in the environment (%s) names the index', (index, expected) => {
    expect(localSettings({ PIP_INDEX_URL: index })).toEqual({ PYPI_URL: expected });
  });

  it('is asked of pip, with what it prints on one line', () => {
    install('pip', '[ "$*" = "config get global.index-url" ] && echo https://index.example.org/simple');
    expect(localSettings({})).toEqual({ PYPI_URL: URL });
  });

  it('is asked of pip3 where there is no pip, or pip has no setting', () => {
    install('pip', 'echo "ERROR: No such key" >&2; exit 1');
    install('pip3', 'echo https://index.example.org/simple');
    expect(localSettings({})).toEqual({ PYPI_URL: URL });
  });

  it('changes nothing where the setting is there, and leaves it missing without pip', () => {
    expect(localSettings({ PYPI_URL: 'https://x.example.org', PIP_INDEX_URL: URL })).toEqual({});
    expect(localSettings({})).toEqual({});
  });
});
