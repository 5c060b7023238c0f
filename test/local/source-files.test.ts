import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Result } from '../../src/local/probe/report.ts';
import { runProbe } from '../../src/local/probe.ts';
import { demoOf, examplesOf, localSettingsOf } from '../../src/local/source-files.ts';
import { SOURCES } from '../../src/sources/registry.ts';
import type { StandInModule } from '../../src/sources/stand-in/stand-in.ts';

const LOCAL = path.resolve(import.meta.dirname, '../../src/local');

describe.each(SOURCES)('source $id', source => {
  it.each([false, true])('has a stand-in whose settings it accepts, fast: %s', async fast => {
    const { startStandIn }: StandInModule = await import(`../../src/sources/${source.id}/stand-in/stand-in.ts`);
    const standIn = await startStandIn({ fast });
    try {
      expect(source.settingNames).toEqual(expect.arrayContaining(Object.keys(standIn.settings)));
      source.settings(standIn.settings);
      // The stand-in of a feed knows the feed's newest cursor; an agenda has no feed.
      const head = standIn.head?.() ?? null;
      expect(source.feed ? source.feed.parse(head ?? '') : null).toBe(head);
    } finally {
      await standIn.stop();
    }
  });

  it('has a demo: a stand-in, acts in the order of time, and a query over its tables', async () => {
    const demo = (await demoOf(source.id))!;
    expect(source.tables.some(({ name }) => new RegExp(`\\bFROM ${name}\\b`).test(demo.example))).toBe(true);
    const { standIn, acts } = await demo.start();
    try {
      source.settings(standIn.settings);
      const days = acts.map(({ daysAhead }) => daysAhead);
      expect(days.length).toBeGreaterThan(0);
      expect(days).toEqual([...new Set(days)].sort((a, b) => a - b));
    } finally {
      await standIn.stop();
    }
  });

  it('has examples for a probe, whose recorded answers have one form', async () => {
    const { start, keys } = (await examplesOf(source.id))!;
    expect(keys.length).toBeGreaterThan(0);
    const { standIn, keys: recorded } = await start();
    try {
      const written: string[] = [];
      const options = {
        signal: new AbortController().signal,
        announce: () => {},
        write: (text: string) => written.push(text),
      };
      const args = [source.id, '--json', '--keys', recorded.slice(0, 3).join(',')];
      expect(await runProbe(args, { CONTACT: 'tests', ...standIn.settings }, options), written[0]).not.toBe(1);
      const { kinds, differences } = JSON.parse(written[0]!) as Result;
      expect(differences).toEqual([]);
      expect(kinds.length).toBeGreaterThan(0);
      expect(kinds.filter(kind => kind.recorded === 0)).toEqual([]);
    } finally {
      await standIn.stop();
    }
  });

  it('finds local settings under its own names only', async () => {
    const localSettings = await localSettingsOf(source.id);
    const found = localSettings?.({ npm_execpath: '/none' }) ?? {};
    expect(source.settingNames).toEqual(expect.arrayContaining(Object.keys(found)));
  });
});

it('a source without files for local programs has no demo, no examples and no local settings', async () => {
  expect([await demoOf('none'), await examplesOf('none'), await localSettingsOf('none')]).toEqual([null, null, null]);
});

/** Commands and products with a source's id in their name. */
const OTHER_NAMES = /\bnpm (start|run|install)\b|`npm`/g;

it('no local program names a source, its tables or its settings', () => {
  const files = readdirSync(LOCAL, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'));
  const names = SOURCES.flatMap(({ id, tables, settingNames }) => [
    id,
    ...tables.map(({ name }) => name),
    ...settingNames,
  ]);
  const named = new RegExp(`\\b(${names.join('|')})\\b`, 'i');
  const found = files.flatMap(file =>
    readFileSync(path.join(LOCAL, file), 'utf8')
      .split('\n')
      .map((line, i) => ({ at: `${file}:${i + 1}`, line: line.replace(OTHER_NAMES, '') }))
      .filter(({ line }) => named.test(line))
      .map(({ at, line }) => `${at}: ${line.trim()}`),
  );
  expect(files.length).toBeGreaterThan(20);
  expect(found).toEqual([]);
});
